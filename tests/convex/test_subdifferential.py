"""Distances to subdifferentials: the nearest element is in it, and none is nearer."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import normgrad
from normgrad.calculus import nearest_subgradient
from normgrad.norms import resolve
from tests import oracle
from tests.conftest import orthonormal
from tests.convex.test_maps import SPECTRA

ORDS = [
    "fro",
    "nuc",
    2,
    normgrad.Schatten(1.5),
    normgrad.Schatten(4),
    normgrad.KyFan(2),
    normgrad.KyFan(3),
    1,
    math.inf,
]
norms = pytest.mark.parametrize("ord", ORDS, ids=str)


def inner(a: Any, b: Any) -> float:
    return float(np.sum(np.real(np.conj(a) * b)))


def matrix(name: str, m: int, n: int, is_complex: bool) -> Any:
    rng = np.random.default_rng(5)
    U, V = orthonormal(rng, m, 3, is_complex), orthonormal(rng, n, 3, is_complex)
    return (U * np.array(SPECTRA[name])) @ V.conj().T


def lines(ord: Any, is_complex: bool) -> Any:
    """Two tied columns of three, with zeros in them."""
    A = np.array([[1.0, -2, 0], [0, 1, 1], [2, 0, 0.5], [0, 0, 0]])
    A = A * np.exp(1j * np.arange(12).reshape(4, 3)) if is_complex else A
    return A.T if ord == math.inf else A


@norms
@pytest.mark.parametrize("name", list(SPECTRA))
@pytest.mark.parametrize("is_complex", [False, True])
def test_the_nearest_subgradient(ord: Any, name: str, is_complex: bool) -> None:
    """A subdifferential is the convex hull of the limits of gradients nearby (Rockafellar)."""
    m, n = (3, 5) if is_complex else (4, 3)
    entries = ord in (1, math.inf) if isinstance(ord, (int, float)) else False
    A = lines(ord, is_complex) if entries and name != "zero" else matrix(name, m, n, is_complex)
    rng = np.random.default_rng(2)

    def random() -> Any:
        E = rng.standard_normal(A.shape)
        return E + 1j * rng.standard_normal(A.shape) if is_complex else E

    for g in (random(), 0.3 * random()):
        with np.errstate(all="ignore"):  # as the engine does
            Y = nearest_subgradient(resolve(ord), A, g)
        assert normgrad.subgradient_distance(A, g, ord) == pytest.approx(np.linalg.norm(g - Y))
        # in the subdifferential
        assert oracle.dual_norm(Y, ord) <= 1 + 1e-12
        s = np.linalg.svd(A, compute_uv=False)
        assert inner(Y, A) == pytest.approx(oracle.value(A, s, ord), abs=1e-13)
        # and as near as any
        for _ in range(30):
            near = A + 1e-8 * random()
            Z = oracle.gradient(near, np.linalg.svd(near, compute_uv=False), ord)
            assert inner(g - Y, Z - Y) <= (1e-2 if ord == normgrad.Schatten(1.5) else 1e-5)
        assert normgrad.subgradient_distance(A, Y, ord) <= 1e-13
        if is_complex:
            batch = normgrad.subgradient_distance(np.stack([A, A]), np.stack([g, Y]), ord)
            np.testing.assert_allclose(batch, [np.linalg.norm(g - Y), 0], atol=1e-13)


@norms
def test_what_a_proximal_map_takes_away(ord: Any) -> None:
    rng = np.random.default_rng(3)
    A = rng.standard_normal((5, 4, 3)) * np.array([0.01, 0.3, 1, 3, 10])[:, None, None]
    P = normgrad.prox(A, 0.7, ord)
    assert np.all(normgrad.subgradient_distance(P, (A - P) / 0.7, ord) <= 1e-13)
    assert np.all(normgrad.in_subdifferential(P, (A - P) / 0.7, ord))
    assert not np.any(normgrad.in_subdifferential(P, (A - P) / 0.7 + 1e-6, ord)[2:])
    assert np.all(normgrad.in_subdifferential(A, normgrad.grad(A, ord), ord))
    low = A.astype(np.float32)
    assert np.all(normgrad.in_subdifferential(low, normgrad.grad(low, ord), ord))


@norms
def test_every_library(ord: Any) -> None:
    rng = np.random.default_rng(3)
    A, g = rng.standard_normal((2, 2, 4, 3))
    expected = normgrad.subgradient_distance(A, g, ord)
    f = lambda x, g: normgrad.subgradient_distance(x, g, ord)  # noqa: E731
    x = torch.from_numpy(A).requires_grad_()
    received = f(x, torch.from_numpy(g))
    assert not received.requires_grad
    np.testing.assert_allclose(received, expected, atol=1e-12)
    np.testing.assert_allclose(jax.jit(f)(A, g), expected, atol=1e-12)
    np.testing.assert_allclose(f(A * 1e200, g), f(A * 1e-200, g), atol=1e-12)  # of degree 0 in x
    assert np.isnan(f(A * np.nan, g)).all()


@norms
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_distances_that_have_no_square(ord: Any, dtype: str) -> None:
    size = float(np.finfo(dtype).max) / 8
    for A in (np.eye(3), np.diag([2.0, 1, 0]), np.ones((3, 3)), np.zeros((3, 3))):
        x, g = A.astype(dtype), np.eye(3, dtype=dtype)
        for c in (size, size**0.75):
            d = normgrad.subgradient_distance(x, np.asarray(c, dtype) * g, ord)
            assert d / c == pytest.approx(3**0.5, rel=1e-6)


@norms
@pytest.mark.parametrize("is_complex", [False, True])
def test_a_large_g_costs_no_digits(ord: Any, is_complex: bool) -> None:
    """Far away the nearest element is that of a face, and no longer depends on how far."""
    rng = np.random.default_rng(4)
    g = rng.standard_normal((4, 3)) + is_complex * 1j * rng.standard_normal((4, 3))
    for A in (matrix("tied top", 4, 3, is_complex), lines(1, is_complex), np.ones((4, 3)) + 0 * g):
        with np.errstate(all="ignore"):
            near, far = (nearest_subgradient(resolve(ord), A, c * g) for c in (1e5, 1e250))
        np.testing.assert_allclose(near, far, atol=1e-9)


@norms
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_g_that_is_not_finite_stays_alone(ord: Any, bad: float) -> None:
    x, g = np.stack([np.eye(3)] * 3), np.stack([np.eye(3)] * 3)
    g[1, 0, 1] = bad
    alone = normgrad.subgradient_distance(x[0], g[0], ord)
    for array in (np.asarray, torch.from_numpy):
        d = normgrad.subgradient_distance(array(x), array(g), ord)
        np.testing.assert_allclose(d, [alone, math.nan, alone], atol=1e-14)


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (np.asarray, "float64"),
        (np.asarray, "float32"),
        (torch.from_numpy, "float32"),
        (jnp.asarray, "float32"),
    ],
)
def test_entries_of_a_wide_range_are_no_zeros(array: Any, dtype: str) -> None:
    b = 1e300 if dtype == "float64" else 1e30
    x = np.array([[b, b, 0], [1 / b, 0, 1 / b]])  # the first two are tied
    cases = [
        ([[1, 0, 0], [0, 0, 0]], (2 / 3) ** 0.5),  # lambda = (2/3, 1/3)
        ([[1, 0, 0], [1, 0, 0]], 0),
        ([[0, 1, 0], [0, 0.5, 0]], 0),
        ([[0.5, 0.5, 0], [0.5, -0.25, 0]], 0),
        ([[0, 0, 0], [0, 0, 1]], (5 / 3) ** 0.5),  # lambda = (1/3, 2/3)
    ]
    g, expected = map(np.array, zip(*cases, strict=True))
    x, g = (array(y.astype(dtype)) for y in (x + 0 * g, g))
    for ord, axis in ((1, (-2, -1)), (math.inf, (-1, -2))):
        d = normgrad.subgradient_distance(x, g, ord, axis=axis)
        np.testing.assert_allclose(d, expected, atol=1e-6)
        given = normgrad.in_subdifferential(x, g, ord, axis=axis)
        np.testing.assert_array_equal(given, expected == 0)


def test_few_steps_for_many_columns(monkeypatch: Any) -> None:
    from normgrad.calculus import subdifferential

    steps, loop = [], subdifferential.while_loop

    def counted(go_on: Any, step: Any, state: Any) -> Any:
        return loop(go_on, lambda state: steps.append(1) or step(state), state)

    monkeypatch.setattr(subdifferential, "while_loop", counted)
    A = np.random.default_rng(3).choice([-1.0, 0.0, 1.0], (50, 300))
    A[0] += 50 - np.abs(A).sum(axis=0)  # all columns are tied
    g = np.random.default_rng(4).standard_normal(A.shape)
    normgrad.subgradient_distance(A, g, 1)
    assert len(steps) < 40


@pytest.mark.parametrize("tol", [1, 1.0, np.float32(1), np.int64(1), np.array(1.0)], ids=repr)
def test_a_tolerance_is_any_number(tol: Any) -> None:
    assert normgrad.in_subdifferential(np.eye(2), 1.2 * np.eye(2), "nuc", tol=tol)
    assert not normgrad.in_subdifferential(np.eye(2), 3 * np.eye(2), "nuc", tol=tol)


def test_what_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="subdifferential"):
        normgrad.subgradient_distance(np.eye(2), np.eye(2), -2)
    with pytest.raises(ValueError, match="nonnegative"):
        normgrad.in_subdifferential(np.eye(2), np.eye(2), 2, tol=-1)
    with pytest.raises(ValueError, match="shape of x"):
        normgrad.subgradient_distance(np.eye(2), np.eye(3), 2)


@pytest.mark.parametrize("array", [np.asarray, torch.from_numpy, jnp.asarray])
def test_rank_after_thresholding(array: Any) -> None:
    s = np.array([[3.0, 2.0, 1.0], [5.0, 0.5, 0.0]])
    A = np.stack([np.diag(x) for x in s])
    P, rank = normgrad.singular_value_threshold(array(A), array(np.array([1.5, 4.0])))
    np.testing.assert_array_equal(rank, [2, 1])
    np.testing.assert_allclose(P, np.stack([np.diag([1.5, 0.5, 0]), np.diag([1.0, 0, 0])]))
