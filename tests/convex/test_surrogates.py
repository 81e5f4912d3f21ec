"""Squares, smoothed and weighted norms, and functions of one's own."""

from typing import Any

import autograd
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import normgrad
from tests.conftest import orthonormal

LOGDET = normgrad.SpectralFunction(
    lambda s: 0.5 * s**2 / (1 + s**2), lambda s: s / (1 + s**2) ** 2,
    lambda s: (1 - 3 * s**2) / (1 + s**2) ** 3,
)  # fmt: skip
POWER = normgrad.SpectralFunction(
    lambda s: s**1.5, lambda s: 1.5 * s**0.5, lambda s: 0.75 * s**-0.5
)
SMOOTH = [
    normgrad.Squared("fro"),
    normgrad.Squared("nuc"),
    normgrad.Squared(2),
    normgrad.Squared(1),
    normgrad.Squared(normgrad.Schatten(3)),
    normgrad.HuberNuclear(1.1),
    normgrad.WeightedNuclear([2, 1, 0.5]),
    normgrad.WeightedNuclear([0.5, 1]),
    LOGDET,
    POWER,
]
surrogates = pytest.mark.parametrize("ord", SMOOTH, ids=str)


def by_definition(A: Any, ord: Any) -> float:
    s = np.linalg.svd(A, compute_uv=False)
    if isinstance(ord, normgrad.Squared):
        return float(normgrad.matrix_norm(A, ord.ord)) ** 2
    if isinstance(ord, normgrad.HuberNuclear):
        return float(np.sum(np.where(s < ord.mu, s**2 / 2 / ord.mu, s - ord.mu / 2)))
    if isinstance(ord, normgrad.WeightedNuclear):
        return float(np.dot(ord.weights, s[: len(ord.weights)]))
    return float(np.sum(ord.f(s)))


def inner(a: Any, b: Any) -> float:
    return float(np.sum(np.real(np.conj(a) * b)))


@surrogates
@pytest.mark.parametrize("is_complex", [False, True])
def test_against_differences(ord: Any, is_complex: bool) -> None:
    rng = np.random.default_rng(4)
    A, E = rng.standard_normal((2, 4, 3)) + is_complex * 1j * rng.standard_normal((2, 4, 3))
    value, G = normgrad.value_and_grad(A, ord)
    assert value == pytest.approx(by_definition(A, ord), rel=1e-13)
    h = 1e-5
    ahead, behind = A + h * E, A - h * E
    slope = (by_definition(ahead, ord) - by_definition(behind, ord)) / (2 * h)
    assert inner(G, E) == pytest.approx(slope, rel=1e-8)
    expected = (normgrad.grad(ahead, ord) - normgrad.grad(behind, ord)) / (2 * h)
    np.testing.assert_allclose(normgrad.hvp(A, E, ord), expected, atol=1e-8)


@surrogates
def test_the_engines_agree(ord: Any) -> None:
    rng = np.random.default_rng(5)
    A, E = rng.standard_normal((2, 3, 4))
    value, G, H = *normgrad.value_and_grad(A, ord), normgrad.hvp(A, E, ord)
    f = lambda x: normgrad.matrix_norm(x, ord)  # noqa: E731
    x = torch.from_numpy(A).requires_grad_()
    (g,) = torch.autograd.grad(f(x), x, create_graph=True)
    (gg,) = torch.autograd.grad(g, x, torch.from_numpy(E))
    np.testing.assert_allclose(g.detach(), G, atol=1e-13)
    np.testing.assert_allclose(gg, H, atol=1e-13)
    g, gg = jax.jit(lambda x, e: jax.jvp(jax.grad(f), (x,), (e,)))(A, E)
    np.testing.assert_allclose(g, G, atol=1e-13)
    np.testing.assert_allclose(gg, H, atol=1e-13)
    np.testing.assert_allclose(autograd.grad(f)(A), G, atol=1e-13)
    torch._dynamo.reset()
    compiled = torch.compile(f, fullgraph=True, backend="aot_eager")
    np.testing.assert_allclose(torch.autograd.grad(compiled(x), x)[0], G, atol=1e-13)
    assert float(f(jnp.asarray(A))) == pytest.approx(float(value), rel=1e-13)


@surrogates
def test_a_batch_of_all_scales(ord: Any) -> None:
    """Also what has no degree is right at every magnitude."""
    A = np.random.default_rng(5).standard_normal((3, 4))
    for scale in (1e-140, 1.0, 1e140):
        batch = np.stack([A * scale, np.zeros_like(A), np.full_like(A, np.nan)])
        value, G = normgrad.value_and_grad(batch, ord)
        expected = by_definition(A * scale, ord)
        assert value[0] == pytest.approx(expected, rel=1e-12)
        assert value[1] == 0
        assert np.isnan(value[2])
        assert np.isnan(G[2]).all()
        np.testing.assert_array_equal(G[1], 0)
        if np.isfinite(expected) and expected > 0 and ord is not LOGDET:  # Euler, by degree
            degree = {"Squared": 2, "WeightedNuclear": 1}.get(type(ord).__name__)
            if degree:
                assert inner(G[0], A * scale) == pytest.approx(degree * expected, rel=1e-12)


def test_the_square_of_the_frobenius_norm_is_smooth() -> None:
    ord, E = normgrad.Squared("fro"), np.array([[1.0, 2.0], [3.0, 4.0]])
    for A in (np.zeros((2, 2)), 1e-160 * E, E, 1e150 * E):
        np.testing.assert_array_equal(normgrad.grad(A, ord), 2 * A)
        np.testing.assert_array_equal(normgrad.hvp(A, E, ord), 2 * E)
    np.testing.assert_array_equal(normgrad.grad(1e200 * E, ord), 2e200 * E)
    x = torch.zeros(2, 2, dtype=torch.float64)
    H = torch.func.hessian(lambda x: normgrad.matrix_norm(x, ord))(x).reshape(4, 4)
    np.testing.assert_array_equal(H, 2 * np.eye(4))


def test_ties_and_zeros() -> None:
    rng = np.random.default_rng(1)
    U, V = orthonormal(rng, 4, 3), orthonormal(rng, 5, 3)
    A = (U * [2.0, 2.0, 1.0]) @ V.T
    G = normgrad.grad(A, normgrad.WeightedNuclear([3, 1]))
    np.testing.assert_allclose(G, (U * [2.0, 2.0, 0.0]) @ V.T, atol=1e-14)
    # along a direction that keeps the ties, the derivative is that of the lift
    E = U @ np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 0]]) @ V.T
    for ord in (normgrad.WeightedNuclear([3, 1]), LOGDET, normgrad.HuberNuclear(1.5)):
        h = 1e-5
        expected = (normgrad.grad(A + h * E, ord) - normgrad.grad(A - h * E, ord)) / (2 * h)
        np.testing.assert_allclose(normgrad.hvp(A, E, ord), expected, atol=1e-8)
    # a smooth function is smooth at rank deficient and tied matrices, in every direction
    B = (U * [2.0, 2.0, 0.0]) @ V.T
    E = rng.standard_normal(B.shape)
    for ord in (LOGDET, normgrad.HuberNuclear(1.5)):
        expected = (normgrad.grad(B + h * E, ord) - normgrad.grad(B - h * E, ord)) / (2 * h)
        np.testing.assert_allclose(normgrad.hvp(B, E, ord), expected, atol=1e-8)
    np.testing.assert_allclose(
        normgrad.hvp(np.zeros((2, 3)), np.ones((2, 3)), normgrad.HuberNuclear(0.5)), 2, atol=1e-15
    )
    assert np.isfinite(normgrad.hvp(B, E, POWER)).all()


def test_nearly_tied_singular_values() -> None:
    """The divided differences of one's own function against 50 digits."""
    import mpmath

    for gap in (1e-12, 1e-6, 1e-4, 5e-4, 2e-3, 0.1):
        s = np.array([1.3 + gap, 1.3])
        curvature = LOGDET.curvature(s, 1e-15)
        differences = curvature.differences(s, curvature.g)
        with mpmath.workdps(50):
            x, y = map(mpmath.mpf, s.tolist())
            exact = (x / (1 + x**2) ** 2 - y / (1 + y**2) ** 2) / (x - y)
        assert differences[0, 1] == pytest.approx(float(exact), rel=3e-12)


def test_weights_that_are_other_norms() -> None:
    A = np.random.default_rng(3).standard_normal((5, 4))
    for weights, same in (([1], 2), ([1] * 4, "nuc"), ([1, 1], normgrad.KyFan(2))):
        ord = normgrad.WeightedNuclear(weights)
        for f in (normgrad.matrix_norm, normgrad.grad):
            np.testing.assert_allclose(f(A, ord), f(A, same), atol=1e-14)


def test_what_is_refused() -> None:
    for bad in (lambda: normgrad.HuberNuclear(0), lambda: normgrad.HuberNuclear(np.inf),
                lambda: normgrad.WeightedNuclear([]), lambda: normgrad.WeightedNuclear([1, -1]),
                lambda: normgrad.Squared("nuclear"),
                lambda: normgrad.Squared(normgrad.HuberNuclear(1.0))):  # fmt: skip
        with pytest.raises(ValueError):  # noqa: PT011
            bad()
    with pytest.raises(TypeError, match="callable"):
        normgrad.SpectralFunction(1, 2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="more than the 2 singular values"):
        normgrad.matrix_norm(np.eye(2), normgrad.WeightedNuclear([1, 1, 1]))
    with pytest.raises(NotImplementedError, match="d2f"):
        normgrad.hvp(np.eye(2), np.eye(2), normgrad.SpectralFunction(np.exp, np.exp))
    with pytest.raises(NotImplementedError, match="dual"):
        normgrad.dual_norm(np.eye(2), normgrad.HuberNuclear(1.0))
    with pytest.raises(NotImplementedError, match="HuberNuclear and WeightedNuclear"):
        normgrad.project(np.eye(2), 1.0, normgrad.HuberNuclear(1.0))


def test_weights_that_are_none() -> None:
    with pytest.raises(TypeError, match="sequence of numbers; got '12'"):
        normgrad.WeightedNuclear("12")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not all be 0"):
        normgrad.WeightedNuclear([0, 0.0])


def test_a_smoothing_far_below_the_matrix(rng: Any) -> None:
    """Their quotient may overflow: the function is the nuclear norm there."""
    A, E = 1e150 * np.diag([3.0, 2.0, 1.0]), rng.standard_normal((3, 3))
    norm = normgrad.HuberNuclear(1e-300)
    np.testing.assert_allclose(normgrad.hvp(A, E, norm), normgrad.hvp(A, E, "nuc"), rtol=1e-14)
    x, e = torch.from_numpy(A), torch.from_numpy(E)
    for ord in (norm, normgrad.HuberNuclear(1e-200)):
        dP = torch.func.jvp(lambda x: normgrad.prox(x, 1e-200, ord), (x,), (e,))[1]  # noqa: B023
        torch.testing.assert_close(dP, e)
