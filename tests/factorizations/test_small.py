"""The factorizations of batches of small matrices, on matrices made from known triplets."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import normgrad
from normgrad.calculus import NormBySingularValues
from normgrad.factorizations import jacobi
from normgrad.factorizations.base import Demand
from normgrad.factorizations.jacobi import BatchedJacobi
from normgrad.factorizations.planar import RotationAndReflection
from normgrad.norms import KyFan, Nuclear, Schatten, Spectral

LIBRARIES = {"numpy": np.asarray, "torch": torch.asarray}
SHAPES = [(2, 2), (3, 3), (4, 3), (2, 5), (6, 6), (3, 1)]
SPECTRA = {
    "simple": lambda i: 2.0 - 0.3 * i,
    "tied": lambda i: np.where(i < 2, 2.0, 1.0),
    "all tied": lambda i: 1.0 + 0 * i,
    "nearly tied": lambda i: 1.0 - 1e-9 * i,
    "graded": lambda i: 10.0 ** (-1.5 * i),
    "singular": lambda i: np.where(i < 2, 2.0 - i, 0.0),
    "rank one": lambda i: np.where(i < 1, 1.0, 0.0),
    "zero": lambda i: 0.0 * i,
}


def maps(s: Any) -> dict[str, tuple[Any, float]]:
    """Return values g of maps of the singular values, and how much an error in A is amplified."""
    top = s[0] or 1.0
    gap = top - max(s[s < s[0]], default=0.0)
    first = (s == s[0]) & (s > 0)
    return {
        "identity": (s, 1.0),
        "threshold": (np.maximum(s - 0.7, 0), 1.0),
        "nuclear": (np.sign(s), 1 / min(s[s > 0], default=top)),
        "spectral": (first / max(first.sum(), 1), 1 / gap),
    }


def known(s: Any, m: int, n: int, dtype: Any, count: int = 20) -> tuple[Any, Any, Any]:
    """Return matrices ``U diag(s) V^H``, their U and their V."""
    rng = np.random.default_rng(m + 10 * n)

    def frames(rows: int) -> Any:
        X = rng.standard_normal((count, rows, len(s)))
        if np.dtype(dtype).kind == "c":
            X = X + 1j * rng.standard_normal(X.shape)
        return np.linalg.qr(X)[0]

    U, V = frames(m), frames(n)
    return ((U * s) @ V.conj().mT).astype(dtype), U, V


def check(factorization: Any, library: str, s: Any, m: int, n: int, dtype: Any) -> None:
    """Compare singular values, frames and lifts with the known ones."""
    array, eps = LIBRARIES[library], np.finfo(dtype).eps
    A, U, V = known(s, m, n, dtype)
    given = array(A.copy())
    outcome = factorization.factorize(given, Demand(len(s), 16 * eps, 16 * eps))
    spectrum = outcome.spectrum
    assert np.all(np.asarray(outcome.holds))
    np.testing.assert_array_equal(np.asarray(given), A)
    found = np.asarray(spectrum.s)
    np.testing.assert_allclose(found, np.broadcast_to(s, found.shape), atol=12 * eps * s[0])
    assert np.all(np.diff(found) <= 0)
    assert np.all(found >= 0)
    for frame in filter(None, (spectrum.u, spectrum.v)):
        q = np.asarray(frame.q)[..., s > 20 * eps * s[0]]
        assert np.all(np.abs(q.conj().mT @ q - np.eye(q.shape[-1])) <= 12 * eps)
    for name, (g, amplified) in maps(s).items():
        G = np.asarray(spectrum.lift(array(np.broadcast_to(g, found.shape).astype(found.dtype))))
        assert G.dtype == A.dtype
        np.testing.assert_allclose(
            G, (U * g) @ V.conj().mT, rtol=0, atol=20 * eps * amplified, err_msg=name
        )


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128], ids=lambda t: t.__name__)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", SPECTRA)
def test_known_triplets(kind: str, shape: Any, dtype: Any, library: str) -> None:
    s = SPECTRA[kind](np.arange(min(shape)))
    check(BatchedJacobi(), library, s, *shape, dtype)
    if shape == (2, 2) and dtype != np.complex128:
        check(RotationAndReflection(), library, s, *shape, dtype)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("factorization", [RotationAndReflection(), BatchedJacobi()])
def test_special_matrices(factorization: Any, library: str) -> None:
    """Every 2 x 2 matrix of small integers: rotations, reflections, triangles, singular ones."""
    entries = np.arange(-2.0, 3.0)
    A = np.stack(np.meshgrid(*[entries] * 4), axis=-1).reshape(-1, 2, 2)
    spectrum = factorization.factorize(LIBRARIES[library](A), Demand(2, 1e-14, 1e-14)).spectrum
    s = np.asarray(spectrum.s)
    np.testing.assert_allclose(s, np.linalg.svd(A, compute_uv=False), atol=1e-14)
    s = np.where(s < 1e-14, 0, s)
    np.testing.assert_allclose(np.asarray(spectrum.lift(LIBRARIES[library](s))), A, atol=2e-14)
    g = np.sign(s)  # the nuclear norm is <G, A>, and no singular value of G is above 1
    G = np.asarray(spectrum.lift(LIBRARIES[library](g)))
    np.testing.assert_allclose((G * A).sum((-2, -1)), s.sum(-1), atol=1e-13)
    np.testing.assert_allclose(G @ G.mT @ G, G, atol=1e-13)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("axis", [-1, -2], ids=["columns", "rows"])
@pytest.mark.parametrize("decades", [8, 20, 36])
def test_scales_far_apart(decades: int, axis: int, library: str) -> None:
    """Squares underflow in single precision."""
    A = np.random.default_rng(0).standard_normal((200, 4, 4))
    scale = 10.0 ** (-decades * np.arange(4) / 3)
    A = (A * (scale if axis == -1 else scale[:, None])).astype(np.float32)
    outcome = BatchedJacobi().factorize(LIBRARIES[library](A), Demand(4, 2e-6, 2e-6))
    assert np.all(np.asarray(outcome.holds))
    s = outcome.spectrum.s
    np.testing.assert_allclose(np.asarray(outcome.spectrum.lift(s)), A, rtol=0, atol=1e-5)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_rotations_of_any_size_are_rotations(library: str) -> None:
    """Of (a - b, 2 g) neither the squares nor the quotient has to be a normal number."""
    sizes = np.array([0, 1e-44, 1e-30, 1e-25, 1e-20, 1e-12, 1e-7, 1], dtype=np.float32)
    a, b, g = (x.ravel() for x in np.meshgrid(sizes, sizes, np.r_[-sizes, sizes]))
    x = [LIBRARIES[library](v) for v in (a, b, g)]
    c, s, first, second = map(np.asarray, jacobi._Rotations(x[0][:, None, None]).rotation(*x))
    np.testing.assert_allclose(c * c + s * s, 1, rtol=1e-6)
    np.testing.assert_allclose((c * c - s * s) * g, c * s * (a - b), atol=1e-6)
    np.testing.assert_allclose(first, c * c * a + 2 * c * s * g + s * s * b, atol=1e-6)
    np.testing.assert_allclose(second, s * s * a - 2 * c * s * g + c * c * b, atol=1e-6)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("batch", [(), (0,), (3, 4)], ids=str)
@pytest.mark.parametrize("n", [2, 3])
def test_leading_axes_and_strides(n: int, batch: Any, library: str) -> None:
    A = np.random.default_rng(1).standard_normal((*batch, 2 * n, n))
    x, A = LIBRARIES[library](A)[..., ::2, :].mT, A[..., ::2, :].mT
    for factorization in (BatchedJacobi(), RotationAndReflection())[: 4 - n]:
        spectrum = factorization.factorize(x, Demand(n, 1e-14, 1e-14)).spectrum
        assert tuple(spectrum.s.shape) == (*batch, n)
        np.testing.assert_allclose(np.asarray(spectrum.lift(spectrum.s)), A, atol=1e-14)


def test_in_blocks(monkeypatch: Any) -> None:
    A, _, _ = known(SPECTRA["simple"](np.arange(3)), 3, 3, np.float64, count=50)
    whole = BatchedJacobi().factorize(A, Demand(3, 1e-14, 1e-14))
    monkeypatch.setattr(jacobi, "_BLOCK", 2000)
    blocks = BatchedJacobi().factorize(A, Demand(3, 1e-14, 1e-14))
    for a, b in zip(whole.spectrum[:3], blocks.spectrum[:3], strict=True):
        np.testing.assert_allclose(getattr(a, "q", a), getattr(b, "q", b), atol=1e-13)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_what_has_not_converged_is_said(library: str, monkeypatch: Any) -> None:
    """What is orthogonal and in order passes; further sweeps go to the others only."""
    A = np.random.default_rng(2).standard_normal((10, 3, 3))
    A[3], A[4] = np.diag([3, 2, 1]), np.diag([1, 2, 3])
    monkeypatch.setattr(jacobi, "_FIRST", {3: 0})
    late = BatchedJacobi().factorize(LIBRARIES[library](A), Demand(3, 1e-14, 1e-14))
    assert np.all(np.asarray(late.holds))
    np.testing.assert_allclose(np.asarray(late.spectrum.lift(late.spectrum.s)), A, atol=1e-14)
    np.testing.assert_allclose(np.asarray(late.spectrum.s)[4], [3, 2, 1], rtol=1e-15)
    monkeypatch.setattr(jacobi, "_FURTHER", 0)
    outcome = BatchedJacobi().factorize(LIBRARIES[library](A), Demand(3, 1e-14, 1e-14))
    np.testing.assert_array_equal(np.asarray(outcome.holds), np.arange(10) == 3)
    assert "not orthogonal" in outcome.reason


def test_all_triplets_or_none() -> None:
    """Where those of a zero are wanted, it says that it has none; values alone have no vectors."""
    A = np.stack([np.diag([3.0, 2, 1]), np.diag([3.0, 2, 0]), np.ones((3, 3))])
    outcome = BatchedJacobi().factorize(A, Demand(3, 1e-14, 1e-14, complete=True))
    assert outcome.spectrum.complete
    np.testing.assert_array_equal(outcome.holds, [True, False, False])
    values = BatchedJacobi().factorize(A, Demand(3, 1e-14, 1e-14, vectors=False)).spectrum
    assert values.u is values.v is None
    np.testing.assert_allclose(values.s, [[3, 2, 1], [3, 2, 0], [3, 0, 0]], atol=1e-14)


def test_verdicts() -> None:
    wanted = Demand(2, 1e-14, 1e-14)
    planar, batched = RotationAndReflection(), BatchedJacobi()
    assert planar.verdict(np.ones((9, 2, 2)), wanted).accepted
    assert not planar.verdict(np.ones((9, 2, 2)), wanted._replace(complete=True)).accepted
    assert not planar.verdict(np.ones((9, 2, 2), complex), wanted).accepted
    assert not planar.verdict(np.ones((5, 2, 3)), wanted).accepted
    assert batched.verdict(np.ones((10_000, 3, 3)), wanted).accepted
    assert "too small" in batched.verdict(np.ones((10, 3, 3)), wanted).reason
    assert "SVD" in batched.verdict(np.ones((1000, 9, 9)), wanted).reason
    assert "device" in batched.verdict(torch.ones((10_000, 3, 3), device="meta"), wanted).reason


@pytest.mark.parametrize("traced", [False, True], ids=["eager", "jit"])
def test_jax(traced: bool) -> None:
    """Complex matrices where traced, real ones where not: each compiles for a second."""
    wanted = Demand(2, 1e-14, 1e-14)

    def run(factorization: Any, A: Any) -> Any:
        outcome = factorization.factorize(A, wanted)
        s = outcome.spectrum.s
        return s, outcome.spectrum.lift(s), outcome.spectrum.lift(jnp.ones_like(s)), outcome.holds

    cases = [(RotationAndReflection(), (2, 2), np.float64)]
    cases += [(BatchedJacobi(), (3, 2), np.complex128 if traced else np.float64)]
    for factorization, shape, dtype in cases:
        A, U, V = known(np.array([2.0, 0.5]), *shape, dtype)
        f = jax.jit(run, static_argnums=0) if traced else run
        s, same, polar, holds = f(factorization, jnp.asarray(A))
        assert np.all(holds)
        np.testing.assert_allclose(s, np.broadcast_to([2, 0.5], s.shape), atol=1e-14)
        np.testing.assert_allclose(same, A, atol=1e-14)
        np.testing.assert_allclose(polar, U @ V.conj().mT, atol=1e-13)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", ["float32", "complex64", "float64", "complex128"])
@pytest.mark.parametrize(
    "shape",
    [
        *[(3, 3), (20, 20), (45, 45), (30, 100), (120, 110), (200, 9), (240, 250)],
        *[(7, 3, 4), (250, 2, 2), (5, 32, 30), (3, 45, 45), (900, 3, 3)],
    ],
    ids=str,
)
def test_straight_to_the_usual_factorization(library: str, dtype: str, shape: Any) -> None:
    """What is of moderate size: the gradients are known from the triplets it is made of."""
    k, tol = min(shape[-2:]), 200 * np.finfo(dtype).eps
    simple = np.linspace(2, 1, k)
    for s in (simple, np.full(k, 3.0), np.where(np.arange(k) < 2, simple, 0), 0.2 ** np.arange(k)):
        count = shape[0] if len(shape) == 3 else 1
        A, U, V = known(s, *shape[-2:], np.dtype(dtype), count)
        if len(shape) == 2:
            A, U, V = A[0], U[0], V[0]
        top, order = (s == s[0]) / np.sum(s == s[0]), np.minimum(k, 2)
        two = np.full(k, order / k) if s[0] == s[-1] else 1.0 * (np.arange(k) < order)
        for norm, value, mu in [
            (Spectral(), s[0], top),
            (KyFan(2), s[:2].sum(), two),
            (Schatten(3), np.sum(s**3) ** (1 / 3), s**2 / np.sum(s**3) ** (2 / 3)),
            (Nuclear(), s.sum(), 1.0 * (s > 0)),
        ]:
            if isinstance(norm, Nuclear) and 0 < s[-1] < 0.5:
                continue  # the smallest vectors are not known to the precision of A
            quick = NormBySingularValues(norm).quick(LIBRARIES[library](A))
            assert quick is not None
            np.testing.assert_allclose(quick[0], value, rtol=tol)
            np.testing.assert_allclose(quick[1], (U * mu) @ V.conj().mT, atol=tol / min(1, s[1]))


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_lapack_gets_no_inf(library: str, bad: float) -> None:
    """Its SVD of a matrix with inf may never return; here NaN is a quick answer."""
    for shape in [(3, 3), (12, 9), (30, 30), (2, 2, 2), (4, 3, 3), (9, 20, 20)]:
        A = np.random.default_rng(0).standard_normal(shape)
        A[(0,) * (A.ndim - 2)][-1, 1] = bad
        x = LIBRARIES[library](A)
        for norm in ("nuc", 2):
            value, G = normgrad.value_and_grad(x, norm)
            for v in (value, normgrad.matrix_norm(x, norm)):
                np.testing.assert_equal(np.asarray(v).flat[0], abs(bad))
            finite = np.isfinite(A).all(axis=(-2, -1))
            np.testing.assert_array_equal(np.isfinite(np.asarray(G)).all(axis=(-2, -1)), finite)
