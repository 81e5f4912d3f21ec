"""Properties of every matrix, tried on small integers, where ties, zeros and low ranks abound."""

import math
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import normgrad
from normgrad.norms import UnitarilyInvariantNorm, resolve
from tests import oracle

NORMS = [
    "fro",
    "nuc",
    2,
    1,
    math.inf,
    normgrad.Schatten(1.3),
    normgrad.Schatten(4),
    normgrad.KyFan(1),
]
norms = st.sampled_from(NORMS)


@st.composite
def matrices(draw: Any, count: int = 1) -> list[Any]:
    """Return matrices of one shape with small integers, real or Gaussian, as entries."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=5))
    integers = hnp.arrays(np.float64, shape, elements=st.integers(-2, 2).map(float))
    is_complex = draw(st.booleans())
    return [draw(integers) + (1j * draw(integers) if is_complex else 0) for _ in range(count)]


def inner(a: Any, b: Any) -> float:
    return float(np.sum(np.real(np.conj(a) * b)))


@settings(max_examples=300, deadline=None)
@given(matrices(2), norms)
def test_first_order(pair: list[Any], ord: Any) -> None:
    """Euler's identity, dual norm at most 1, and the subgradient inequality."""
    A, B = pair
    value, G = normgrad.value_and_grad(A, ord)
    assert abs(inner(G, A) - value) <= 1e-12 * max(1, value)
    assert oracle.dual_norm(G, ord) <= 1 + 1e-12
    assert normgrad.matrix_norm(B, ord) >= value + inner(G, B - A) - 1e-11


@settings(max_examples=200, deadline=None)
@given(matrices(), norms)
def test_least_norm(single: list[Any], ord: Any) -> None:
    """The gradient has every symmetry of the matrix: it is the mean over those that keep it.

    Turning a matrix turns its gradient; so does conjugate transposition.
    """
    (A,) = single
    G = normgrad.grad(A, ord)
    norm = resolve(ord)
    if not isinstance(norm, UnitarilyInvariantNorm):
        np.testing.assert_allclose(normgrad.grad(A[::-1], ord), G[::-1], atol=1e-12)
        return
    np.testing.assert_allclose(normgrad.grad(A.conj().T, ord), G.conj().T, atol=1e-10)
    rng = np.random.default_rng(0)
    m, n = A.shape
    U, V = (np.linalg.qr(rng.standard_normal((k, k)))[0] for k in (m, n))
    np.testing.assert_allclose(normgrad.grad(U @ A @ V, ord), U @ G @ V, atol=1e-10)


@settings(max_examples=200, deadline=None)
@given(matrices(3), norms)
def test_second_order(triple: list[Any], ord: Any) -> None:
    """Finite, self-adjoint, zero along the matrix, and positive semidefinite for gauges."""
    A, E, F = triple
    dG = normgrad.hvp(A, E, ord)
    assert np.all(np.isfinite(dG))
    scale = 1 + np.linalg.norm(dG) * np.linalg.norm(F)
    assert abs(inner(dG, F) - inner(normgrad.hvp(A, F, ord), E)) <= 1e-10 * scale
    np.testing.assert_allclose(normgrad.hvp(A, A, ord), 0, atol=1e-10)
    assert inner(dG, E) >= -1e-10 * scale


@settings(max_examples=150, deadline=None)
@given(matrices(2), st.sampled_from(["fro", "nuc", 2]), st.floats(0, 5))
def test_prox(pair: list[Any], ord: Any, step: float) -> None:
    """Nonexpansive, and no point nearby is better."""
    A, B = pair
    P, Q = normgrad.prox(A, step, ord), normgrad.prox(B, step, ord)
    assert np.linalg.norm(P - Q) <= np.linalg.norm(A - B) * (1 + 1e-12) + 1e-12

    def objective(X: Any) -> float:
        return step * float(normgrad.matrix_norm(X, ord)) + float(np.linalg.norm(X - A) ** 2) / 2

    assert objective(P) <= objective(Q) + 1e-11
    assert objective(P) <= min(objective(A), objective(0 * A)) + 1e-11
