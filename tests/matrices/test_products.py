"""Products with vectors: where they fail, the array takes over; multiples, sums, odd functions."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse.linalg
import torch

import normgrad
from normgrad.calculus.structures import isometry
from normgrad.matrices import Transpose

LOW = normgrad.LowRank(np.arange(10.0).reshape(5, 2), np.arange(8.0).reshape(2, 4) - 3)
BLOCKS = normgrad.BlockDiagonal([np.array([[2.0, 1.0]]), np.array([[1.0], [3.0], [0.5]])])
EXP = normgrad.SpectralFunction(lambda s: np.exp(-s), lambda s: -np.exp(-s), lambda s: np.exp(-s))


@pytest.mark.parametrize("factor", [2.0, -1.0, 1j], ids=str)
@pytest.mark.parametrize(
    "A",
    [
        BLOCKS,
        LOW,
        normgrad.Diagonal(np.array([1.0, -2.0])),
        normgrad.Hermitian(np.array([[1.0, 2.0], [2.0, -1.0]])),
        normgrad.PSD(np.array([[2.0, 1.0], [1.0, 2.0]])),
        normgrad.Kronecker(np.ones((2, 2)), np.eye(2)),
        BLOCKS + normgrad.LowRank(np.ones((4, 1)), np.ones((1, 3))),
        Transpose(LOW),
    ],
    ids=lambda A: type(A).__name__,
)
def test_multiples(A: Any, factor: Any) -> None:
    """c A, A c, -A and A/c are what they say, and so are their norms."""
    dense = A.dense()
    for received, expected in (
        (factor * A, factor * dense),
        (A * factor, factor * dense),
        (-A, -dense),
        (A / factor, dense / factor),
        (dense - factor * A, dense - factor * dense),
        (sum([A, factor * A]), dense + factor * dense),
    ):
        np.testing.assert_allclose(received.dense(), expected, rtol=1e-15)
        for ord in ("nuc", 2):
            value = float(normgrad.matrix_norm(received, ord))
            assert value == pytest.approx(float(normgrad.matrix_norm(expected, ord)), abs=1e-13)


@pytest.mark.parametrize("A", [LOW, BLOCKS, normgrad.Kronecker(np.ones((2, 3)), np.ones((3, 2)))])
def test_functions_that_are_not_zero_at_zero(A: Any) -> None:
    """The singular values that are 0 by structure count, too."""
    for ord in (EXP, normgrad.HuberNuclear(0.7), normgrad.Squared("nuc")):
        value, G = normgrad.value_and_grad(A, ord)
        expected, H = normgrad.value_and_grad(A.dense(), ord)
        assert float(value) == pytest.approx(float(expected), rel=1e-13)
        for g, h in zip(G.parameters, A.pull_dense(H), strict=True):
            np.testing.assert_allclose(g, h, atol=1e-12 * max(1, abs(h).max()))


@pytest.mark.parametrize("ord", [EXP, normgrad.Squared("nuc"), normgrad.HuberNuclear(0.7)])
def test_nan_where_there_is_no_degree(ord: Any) -> None:
    """NaN in one matrix of a batch, for a function that is not homogeneous."""
    left = np.ones((2, 3, 1))
    left[1, 0] = np.nan
    value, G = normgrad.value_and_grad(normgrad.LowRank(left, np.ones((2, 1, 2))), ord)
    assert np.isfinite(value[0])
    assert np.isnan(value[1])
    assert np.isfinite(G.left[0]).all()
    assert np.isnan(G.left[1]).all()


@pytest.mark.parametrize("scale", [1e-170, 1e160])
def test_scale_of_products(scale: float) -> None:
    """Values far out of range of squares: the norm, and the gradient, of a sum."""
    d = np.linspace(1, 2, 300)
    A = normgrad.Diagonal(scale * d) + normgrad.LowRank(np.zeros((300, 1)), np.zeros((1, 300)))
    value, G = normgrad.value_and_grad(A, 2)
    assert value / scale == pytest.approx(2, rel=1e-14)
    np.testing.assert_allclose(G.parameters[0], d == 2, atol=1e-12)


def test_jax_takes_the_array_where_products_fail() -> None:
    """Twenty-fold ties and zero, in a compiled function."""
    d = np.r_[np.full(20, 5.0), np.linspace(0, 4, 230)]
    zeros = normgrad.LowRank(jnp.zeros((250, 1)), jnp.zeros((1, 250)))
    value, G = normgrad.value_and_grad(normgrad.Diagonal(jnp.asarray(d)) + zeros, 2)
    assert float(value) == pytest.approx(5, rel=1e-14)
    np.testing.assert_allclose(G.parameters[0], (d == 5) / 20, atol=1e-12)
    value, G = normgrad.value_and_grad(normgrad.Diagonal(jnp.zeros(250)) + zeros, 2)
    assert float(value) == 0
    assert not np.asarray(G.parameters[0]).any()


def test_second_derivative_of_a_transposed_sum(rng: Any) -> None:
    """The wrapper and the transpose of each term agree."""
    L, R, d = rng.standard_normal((4, 2)), rng.standard_normal((2, 3)), rng.standard_normal(3)
    total = normgrad.LowRank(L, R) + normgrad.Diagonal(d, (4, 3))
    E = total.replace(tuple(rng.standard_normal(p.shape) for p in total.parameters))
    wrapped = normgrad.hvp(Transpose(total), Transpose(E), "nuc")
    expected = normgrad.hvp(total, E, "nuc")
    for received, h in zip(wrapped.parameters, expected.parameters, strict=True):
        np.testing.assert_allclose(received, h, atol=1e-11)


def test_an_embedding_that_is_not_linear_has_no_second_derivative_of_itself() -> None:
    """What a type does not tell is asked for, and never taken for zero."""

    class Exponential(normgrad.Matrix):
        """``exp(t) I``."""

        scaling = "none"

        def __init__(self, t: float) -> None:
            self.set((np.asarray(t),))

        shape = property(lambda self: (2, 2))
        ranks = property(lambda self: (0,))

        def matmat(self, V: Any) -> Any:
            return np.exp(self.parameters[0]) * V

        rmatmat = matmat

        def pull(self, left: Any, right: Any) -> Any:
            return (np.exp(self.parameters[0]) * np.sum(left * right),)

    A = Exponential(1.0)
    value, G = normgrad.value_and_grad(A, "nuc")
    assert float(value) == pytest.approx(2 * np.e)
    assert float(G.parameters[0]) == pytest.approx(2 * np.e)
    with pytest.raises(NotImplementedError, match="not linear"):
        normgrad.hvp(A, A, "nuc")
    with pytest.raises(NotImplementedError, match="__rmul__"):
        2.0 * A


def test_a_space_that_is_exhausted_but_for_rounding() -> None:
    """I less a projector of rank one: all singular values but one are tied."""
    n = 300
    A = normgrad.Diagonal(np.ones(n)) + normgrad.LowRank(np.ones((n, 1)), -np.ones((1, n)) / n)
    value, G = normgrad.value_and_grad(A, 2)
    assert float(value) == pytest.approx(1, rel=1e-13)
    H = (np.eye(n) - 1 / n) / (n - 1)  # the least norm of all subgradients
    np.testing.assert_allclose(G.parameters[0], np.diag(H), atol=1e-13)


def test_numpy_parameters_beside_those_of_pytorch() -> None:
    """As for arrays, the library that differentiates wins."""
    right = torch.tensor(LOW.right, requires_grad=True)
    normgrad.matrix_norm(normgrad.LowRank(LOW.left, right), "nuc").backward()
    np.testing.assert_allclose(right.grad, normgrad.grad(LOW, "nuc").right, atol=1e-12)


def test_a_direction_of_other_factors_is_refused() -> None:
    other = normgrad.LowRank(np.ones((5, 1)), np.ones((1, 4)))
    with pytest.raises(TypeError, match="direction must be a LowRank"):
        normgrad.hvp(LOW, other, "nuc")


def test_errors_name_what_the_user_gave() -> None:
    """A subgradient is no direction, a missing adjoint is told, and so is a proximal map."""
    x = np.eye(3)
    with pytest.raises(ValueError, match="g must have the shape of x"):
        normgrad.subgradient_distance(x, np.ones((2, 3)), 2)
    with pytest.raises(ValueError, match="direction must have the shape of x"):
        normgrad.hvp(x, x[0])
    with pytest.raises(NotImplementedError, match="proximal map and projection"):
        normgrad.prox(x, 1.0, -2)
    forth = scipy.sparse.linalg.LinearOperator((300, 300), matvec=lambda v: v, dtype=float)
    with pytest.raises(NotImplementedError, match=r"rmatvec=\.\.\."):
        normgrad.matrix_norm(forth, 2)


def _isometries() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    dirac = np.zeros((5, 4, 3, 3))
    dirac[np.arange(4), np.arange(4), 1, 1] = 0.3
    columns = rng.permutation(40)[:31]
    values = 2 * np.exp(1j * rng.uniform(size=31))
    return {
        "identity": normgrad.Sparse(np.ones(50), (np.arange(50), np.arange(50)), (50, 50)),
        "wide permutation": normgrad.Sparse(values, (np.arange(31), columns), (31, 40)),
        "tall": normgrad.Sparse(values, (columns, np.arange(31)), (40, 31)),
        "convolution": normgrad.Convolution2d(dirac, (3, 4), padding="zeros"),
    }


@pytest.mark.parametrize("ord", [2, "nuc", normgrad.KyFan(3), normgrad.Schatten(3), EXP], ids=str)
@pytest.mark.parametrize("name", list(_isometries()))
def test_all_singular_values_the_same(name: str, ord: Any, monkeypatch: Any) -> None:
    """Known without vectors, which products could not find: the gradient is that of the array."""
    A = _isometries()[name]
    value, G = normgrad.value_and_grad(A, ord)
    monkeypatch.setattr(isometry, "_SMALLEST", 0)
    assert normgrad.explain(A, ord).factorization == "isometry"
    same_value, same_G = normgrad.value_and_grad(A, ord)
    np.testing.assert_allclose(same_value, value, rtol=1e-14)
    for a, b in zip(same_G.parameters, G.parameters, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-14)


def test_large_identities_and_what_is_none() -> None:
    """One that a single entry sets apart by 5e-13 is none."""
    where = (np.arange(6000), np.arange(6000))
    value, G = normgrad.value_and_grad(normgrad.Sparse(np.full(6000, 3.0), where, (6000, 6000)), 2)
    assert float(value) == pytest.approx(3, rel=1e-15)
    np.testing.assert_allclose(G.parameters[0], 1 / 6000, rtol=1e-14)
    apart = np.ones(6000)
    apart[77] += 5e-13
    near = normgrad.Sparse(apart, where, (6000, 6000))
    assert normgrad.explain(near, 2).factorization != "isometry"


def diagonal(values: Any) -> normgrad.Sparse:
    n = len(values)
    return normgrad.Sparse(values, (np.arange(n), np.arange(n)), (n, n))


def test_a_tolerance_for_ties_moves_no_value() -> None:
    """Singular values that the user lets count as tied are not the same."""
    A = diagonal(np.linspace(0.99, 1, 400))
    value, G = normgrad.value_and_grad(A, normgrad.norms.Spectral(tie_tol=0.1))
    assert float(value) == pytest.approx(1, rel=1e-14)
    np.testing.assert_allclose(G.parameters[0], 1 / 400, rtol=1e-12)


@pytest.mark.parametrize(("dtype", "scale"), [(np.float32, 1e-12), (float, 1e-100), (float, 1e150)])
def test_isometries_at_the_end_of_the_range(dtype: Any, scale: float) -> None:
    """What is no isometry is not taken for one where squares underflow; and explain agrees."""
    values = (np.linspace(1, 2, 400) * scale).astype(dtype)
    A, total = diagonal(values), normgrad.SpectralFunction(lambda s: s, lambda s: 1 + 0 * s)
    for ord in (total, "nuc", 2):
        assert normgrad.explain(A, ord).factorization != "isometry"
        value, G = normgrad.value_and_grad(A, ord)
        mu = np.ones(400) if ord != 2 else np.arange(400) == 399
        np.testing.assert_allclose(value, values.sum() if ord != 2 else values[-1], rtol=1e-6)
        np.testing.assert_allclose(G.parameters[0], mu, atol=1e-5)


@pytest.mark.parametrize("exponent", [-1030, -1060, 1010])
@pytest.mark.parametrize("ord", [2, normgrad.KyFan(2)], ids=str)
def test_matrices_at_the_ends_of_the_range_by_products(ord: Any, exponent: int, rng: Any) -> None:
    """Also of subnormal entries, whose size has no reciprocal."""
    X = np.ldexp(rng.integers(-8, 8, (300, 250)).astype(float), exponent)
    unit = np.ldexp(X, -exponent)
    A = normgrad.Operator(lambda v: X @ v, X.shape, rmatvec=lambda u: X.T @ u)
    value, G = normgrad.value_and_grad(A, ord)
    expected, H = normgrad.value_and_grad(unit, ord)
    least = np.ldexp(1.0, -1074 - exponent)
    assert np.ldexp(float(value), -exponent) == pytest.approx(float(expected), 1e-12, abs=least)
    np.testing.assert_allclose(G.dense(), H, atol=1e-10)
    low = normgrad.Operator(
        lambda v, p: p @ v, X.shape, (torch.tensor(np.ldexp(unit, -130), dtype=torch.float32),)
    )
    value = float(normgrad.matrix_norm(low, ord))
    assert np.ldexp(value, 130) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("scale", [2.0**-1035, 2.0**1010])
def test_transposed_convolutions_at_the_ends_of_the_range(scale: float) -> None:
    A, B = (
        normgrad.Convolution2d(c * np.ones((1, 1, 3, 3)), (20, 20), padding="zeros").T
        for c in (1.0, scale)
    )
    value = float(normgrad.matrix_norm(B, 2)) / scale
    assert value == pytest.approx(float(normgrad.matrix_norm(A, 2)), rel=1e-12)
