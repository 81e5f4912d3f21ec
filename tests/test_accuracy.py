"""Accuracy against 50-digit arithmetic, and against matrices with known singular values."""

import itertools
import math
from typing import Any

import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
import torch

import normgrad
from tests.conftest import orthonormal

ORDS = ["fro", "nuc", 2, -2, normgrad.Schatten(1.5), normgrad.Schatten(3), normgrad.KyFan(2)]
SPECTRA = {
    "distinct": (3.0, 2.0, 1.0, 0.5),
    "wide": (1.0, 1e-1, 1e-2, 1e-3),
    "tied top": (2.0, 2.0, 1.0, 1e-3),
    "tied low": (3.0, 1.0, 1.0, 1.0),
    "tied everywhere": (1.0, 1.0, 1.0, 1.0),
    "rank 2": (2.0, 1.0, 0.0, 0.0),
}


def _slope(s: list[Any], ord: Any) -> list[Any]:
    """Return the minimum-norm slope at exact singular values, in multiple precision."""
    if ord == "fro":
        return [t / mp.norm(s) for t in s]
    if isinstance(ord, normgrad.Schatten):
        p = mp.mpf(ord.p)
        phi = mp.fsum(t**p for t in s) ** (1 / p)
        return [(t / phi) ** (p - 1) if t else mp.mpf(0) for t in s]
    if ord == "nuc":
        return [mp.mpf(t > 0) for t in s]
    at = {2: 0, -2: len(s) - 1}.get(ord, getattr(ord, "k", 0) - 1)
    k = ord.k if isinstance(ord, normgrad.KyFan) else 1
    above = 0 if ord == -2 else sum(t > s[at] for t in s)
    tied = sum(t == s[at] for t in s)
    mu = [
        mp.mpf(1)
        if ord != -2 and t > s[at]
        else mp.mpf(k - above) / tied
        if t == s[at]
        else mp.mpf(0)
        for t in s
    ]
    return [m if t > 0 else mp.mpf(0) for m, t in zip(mu, s, strict=True)]


def _value(s: list[Any], ord: Any) -> Any:
    if ord == "fro":
        return mp.norm(s)
    if isinstance(ord, normgrad.Schatten):
        return mp.fsum(t ** mp.mpf(ord.p) for t in s) ** (1 / mp.mpf(ord.p))
    return {"nuc": mp.fsum(s), 2: s[0], -2: s[-1]}.get(ord) or mp.fsum(s[: getattr(ord, "k", 0)])


def _to_float(M: Any) -> Any:
    rows = [[complex(M[i, j]) for j in range(M.cols)] for i in range(M.rows)]
    array = np.array(rows)
    return array if np.any(array.imag) else array.real


def _orthonormal(rng: Any, m: int, k: int, is_complex: bool) -> Any:
    X = rng.standard_normal((m, k)) + (1j * rng.standard_normal((m, k)) if is_complex else 0)
    return mp.qr(mp.matrix(X.tolist()), mode="skinny")[0]


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("name", list(SPECTRA))
@pytest.mark.parametrize("ord", ORDS, ids=str)
def test_against_fifty_digits(ord: Any, name: str, is_complex: bool) -> None:
    """Value 1e-13, gradient 1e-12 s_1/gap, and Hessian product 1e-9, at exact ties too.

    The exact second derivative is that of the lift, differenced with h = 1e-18 along the
    matrices of the same ties: ``Q(hX) A Q(hY)`` with the singular values moved by h ds,
    equally within a tie, whose derivative is known without any decomposition.
    """
    rng, s = np.random.default_rng(5), SPECTRA[name]
    m, n, k = 5, 4, 4
    with mp.workdps(50):
        U, V = _orthonormal(rng, m, k, is_complex), _orthonormal(rng, n, k, is_complex)
        S = [mp.mpf(t) for t in s]
        A = U * mp.diag(S) * V.H
        mu = _slope(S, ord)
        G = U * mp.diag(mu) * V.H

        # a direction that keeps ties and zeros: E = X A + A Y + U diag(ds) V^H, d lift exact
        ds = [mp.mpf(round(math.sin(3 * t), 3)) if t else mp.mpf(0) for t in s]
        X, Y = (_skew(rng, size, is_complex) for size in (m, n))
        E = X * A + A * Y + U * mp.diag(ds) * V.H
        h = mp.mpf(10) ** -18
        ahead, behind = (
            _slope([t + c * h * d for t, d in zip(S, ds, strict=True)], ord) for c in (1, -1)
        )
        dmu = [(a - b) / (2 * h) for a, b in zip(ahead, behind, strict=True)]
        dG = X * G + G * Y + U * mp.diag(dmu) * V.H
        value = float(_value(S, ord))
        A, E, G, dG = (_to_float(M) for M in (A, E, G, dG))

    received, gradient = normgrad.value_and_grad(A, ord)
    assert float(received) == pytest.approx(value, rel=1e-13, abs=1e-15)
    gaps = [abs(a - b) for a, b in itertools.pairwise(s) if a != b]
    relevant = min([*gaps, *(t for t in s if t > 0)])
    np.testing.assert_allclose(gradient, G, atol=1e-12 * min(1, s[0] / relevant * 0.1), rtol=0)
    product = normgrad.hvp(A, E, ord)
    np.testing.assert_allclose(product, dG, atol=1e-9 * max(1.0, np.abs(dG).max()), rtol=0)


def _skew(rng: Any, n: int, is_complex: bool) -> Any:
    X = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if is_complex else 0)
    X = mp.matrix(X.tolist())
    return (X - X.H) / 2


@pytest.mark.parametrize("shape", [(60, 60), (200, 20), (20, 200)], ids=str)
@pytest.mark.parametrize("ord", ORDS, ids=str)
def test_larger_matrices_of_known_spectrum(ord: Any, shape: Any, rng: Any) -> None:
    m, n = shape
    k = min(m, n)
    s = np.linspace(2, 0.5, k)
    U, V = orthonormal(rng, m, k), orthonormal(rng, n, k)
    A = (U * s) @ V.T
    with mp.workdps(30):
        mu = np.array([float(t) for t in _slope([mp.mpf(t) for t in s], ord)])
        value = float(_value([mp.mpf(t) for t in s], ord))
    received, G = normgrad.value_and_grad(A, ord)
    assert float(received) == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(G, (U * mu) @ V.T, atol=1e-12)


@pytest.mark.parametrize("gap", [1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("ord", ["nuc", normgrad.Schatten(1.5), normgrad.Schatten(3)], ids=str)
def test_near_ties_cost_no_digits(ord: Any, gap: float, rng: Any) -> None:
    """Where the norm is smooth at a tie, a near tie is no harder: D[XA + AY] = XG + GY."""
    U, V = orthonormal(rng, 5, 3), orthonormal(rng, 3, 3)
    A = (U * np.array([2 + gap, 2, 1])) @ V.T
    X, Y = (M - M.T for M in (rng.standard_normal((5, 5)), rng.standard_normal((3, 3))))
    G = normgrad.grad(A, ord)
    dG = normgrad.hvp(A, X @ A + A @ Y, ord)
    np.testing.assert_allclose(dG, X @ G + G @ Y, atol=1e-13 * max(1, np.abs(X).max() * 5))


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
@pytest.mark.parametrize("ord", ORDS, ids=str)
def test_single_precision(ord: Any, dtype: Any, rng: Any) -> None:
    A = rng.standard_normal((30, 20)).astype(dtype)
    value, G = normgrad.value_and_grad(A.astype(np.complex128), ord)
    received, gradient = normgrad.value_and_grad(A, ord)
    assert (received.dtype, gradient.dtype) == (np.float32, dtype)
    np.testing.assert_allclose(received, value, rtol=1e-5 if ord == -2 else 2e-6)
    np.testing.assert_allclose(gradient, G, atol=2e-5)


def test_singular_values_of_any_grading_count_as_they_should(rng: Any) -> None:
    """1e-4 s_1 is no zero in float32, one ulp is no gap, and both tolerances can be given."""
    U, V = orthonormal(rng, 8, 4), orthonormal(rng, 4, 4)
    A = ((U * np.array([1.0, 0.5, 1e-4, 1e-4])) @ V.T).astype(np.float32)
    np.testing.assert_allclose(normgrad.grad(A, "nuc"), U @ V.T, atol=5e-3)
    coarse = normgrad.grad(A, normgrad.Nuclear(rank_tol=1e-2))
    np.testing.assert_allclose(coarse, U[:, :2] @ V[:, :2].T, atol=5e-6)
    near = (U * np.array([1.0, 1 - 1e-5, 0.5, 0.1])) @ V.T
    np.testing.assert_allclose(normgrad.grad(near, 2), np.outer(U[:, 0], V[:, 0]), atol=1e-9)
    shared = normgrad.grad(near, normgrad.Spectral(tie_tol=1e-4))
    np.testing.assert_allclose(shared, U[:, :2] @ V[:, :2].T / 2, atol=1e-12)
    almost = (U * np.array([1.0, 1 - 2e-16, 0.5, 0.1])) @ V.T
    np.testing.assert_allclose(normgrad.grad(almost, 2), U[:, :2] @ V[:, :2].T / 2, atol=1e-12)


@pytest.mark.parametrize("p", [1 + 1e-9, 1.001, 50.0, 1e4, 1e8, 1e12, 1e16])
def test_schatten_of_any_p_at_a_tie(p: float) -> None:
    """(s/phi)^(p-1) must not amplify the rounding of phi."""
    norm = normgrad.Schatten(p)
    value, G = normgrad.value_and_grad(np.diag([3.0, 3.0, 1.0]), norm)
    with mp.workdps(50):
        total = 2 + mp.mpf(1) / 3 ** mp.mpf(p)
        tied = float(total ** (1 / mp.mpf(p) - 1))
        phi = float(3 * total ** (1 / mp.mpf(p)))
    assert float(value) == pytest.approx(phi, rel=1e-14)
    np.testing.assert_allclose(np.diag(G)[:2], tied, rtol=1e-13)
    A = np.diag([3.0, 3.0, 1.0])
    X = np.array([[0, 1, 2], [-1, 0, 1], [-2, -1, 0.0]])
    np.testing.assert_allclose(normgrad.hvp(A, X @ A, norm), X @ G, atol=1e-13)


def test_ky_fan_tie_with_a_zero_in_it() -> None:
    G = normgrad.grad(np.diag([1, 0.005, 0]), normgrad.KyFan(2, tie_tol=1e-2))
    np.testing.assert_array_equal(np.diag(G), [1, 1, 0])


@pytest.mark.parametrize("library", [np.asarray, torch.asarray])
@pytest.mark.parametrize("shape", [(450, 450), (1000, 1000), (1500, 1000)], ids=str)
@pytest.mark.parametrize("entries", ["constant", "signs"])
def test_rounding_errors_of_one_sign_do_not_add_up(
    entries: str, shape: Any, library: Any, rng: Any
) -> None:
    m, n = shape
    A = np.full(shape, 0.1, dtype=np.float32)
    if entries == "signs":
        A *= np.sign(np.outer(rng.standard_normal(m), rng.standard_normal(n))).astype(np.float32)
    exact, eps = float(np.float32(0.1)) * math.sqrt(m * n), 2.0**-23
    A = library(A)
    for found in (
        normgrad.matrix_norm(A, 2),
        normgrad.matrix_norm(A, "fro"),
        normgrad.track(A)[0],
        normgrad.matrix_norm(A, 1) * math.sqrt(n / m),
    ):
        assert float(found) == pytest.approx(exact, rel=32 * eps)


def test_the_second_of_one_singular_value_in_compiled_code(rng: Any) -> None:
    A = np.sign(np.outer(rng.standard_normal(450), rng.standard_normal(450))).astype(np.float32)
    found = float(normgrad.matrix_norm(jnp.asarray(A), normgrad.KyFan(2)))
    assert found == pytest.approx(450, rel=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
def test_long_sums_of_squares(dtype: Any) -> None:
    A = np.full((2, 3_000_001), dtype(1 / 3))
    exact = abs(complex(A[0, 0])) * math.sqrt(A.size)
    eps = float(np.finfo(dtype).eps)
    assert float(normgrad.matrix_norm(A)) == pytest.approx(exact, rel=8 * eps)


LAYOUTS = {
    "rows": lambda A: A,
    "columns": lambda A: A.swapaxes(-1, -2),
    "every other": lambda A: A[..., ::2, ::2],
    "one row many times": lambda A: A[..., :1, :] + 0 * A,
    "ties": lambda A: A.round(decimals=0),
}


@pytest.mark.parametrize("layout", list(LAYOUTS))
@pytest.mark.parametrize(
    "shape", [(5, 3), (40, 30), (7, 3, 3), (2, 60, 2, 2), (3, 30, 40)], ids=str
)
@pytest.mark.parametrize("ord", ["fro", 1, np.inf, -1, -np.inf])
def test_norms_of_entries_in_every_layout(ord: Any, shape: Any, layout: str, rng: Any) -> None:
    """Value and gradient are those of each matrix alone, by sums in a plain loop."""
    real, other = rng.standard_normal((2, *shape))
    libraries = [np.asarray] if layout == "ties" else [np.asarray, torch.asarray]
    for A, library in itertools.product([real, real + 1j * other], libraries):
        for x in (LAYOUTS[layout](library(A)), LAYOUTS[layout](library(A).conj())):
            values, gradients = map(np.asarray, normgrad.value_and_grad(x, ord))
            np.testing.assert_allclose(np.asarray(normgrad.matrix_norm(x, ord)), values)
            entries = np.asarray(x.resolve_conj() if isinstance(x, torch.Tensor) else x)
            for index in np.ndindex(values.shape):
                value, G = _of_entries(entries[index], ord)
                np.testing.assert_allclose(values[index], value, rtol=1e-14)
                np.testing.assert_allclose(gradients[index], G, atol=1e-14)


def _of_entries(A: Any, ord: Any) -> Any:
    """Return norm and gradient by their definitions."""
    if ord == "fro":
        value = math.sqrt(math.fsum(abs(z) ** 2 for z in A.flat))
        return value, A / (value or 1)
    if abs(ord) == np.inf:
        value, G = _of_entries(A.T, 1 if ord > 0 else -1)
        return value, G.T
    sums = [math.fsum(map(abs, column)) for column in A.T]
    value = max(sums) if ord > 0 else min(sums)
    weights = np.array([abs(total - value) <= 1e-13 * value for total in sums], float)
    if ord > 0:
        weights /= np.maximum(np.count_nonzero(A, axis=0), 1)
    signs = np.array([[z / abs(z) if z else 0 for z in row] for row in A])
    return value, signs * (weights / weights.sum())
