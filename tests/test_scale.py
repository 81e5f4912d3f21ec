"""Entries of any magnitude: exact powers of two times a matrix whose derivatives are known."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import normgrad
from normgrad.norms import ALIASES
from tests.differentiators import DIFFERENTIATORS

AT_TOP = normgrad.norms.SumOfLargest(-2)
ORDS = [*ALIASES, normgrad.Schatten(1.5), normgrad.Schatten(7), normgrad.KyFan(2)]


def _matrices(rng: Any, is_complex: bool = False) -> tuple[Any, Any]:
    """Return a matrix and a direction with entries of 6 bits: subnormal ones are exact too."""
    A, E = rng.integers(-31, 32, (2, 4, 3)) / 32
    return (A + 1j * E, E - 0.5j * A) if is_complex else (A, E)


def _exactly(x: Any, e: int) -> Any:
    """Return x 2**e with extended range, to compare numbers that float64 has not."""
    return np.ldexp(np.asarray(x, dtype=np.longdouble), e)


@pytest.mark.parametrize("exponent", [-1068, -1030, -700, 700, 1022])
@pytest.mark.parametrize("ord", ORDS, ids=str)
@pytest.mark.parametrize("engine", list(DIFFERENTIATORS))
def test_float64(engine: str, ord: Any, exponent: int, rng: Any) -> None:
    """2**-1068 is about 3e-322, 2**1022 about 4e307."""
    library, (A, E) = DIFFERENTIATORS[engine], _matrices(rng)
    value, G = normgrad.value_and_grad(A, ord)
    dG = normgrad.hvp(A, E, ord)
    far, E_far = np.ldexp(A, exponent), np.ldexp(E, exponent)

    received = _exactly(library.value(far, ord), -exponent)
    largest = _exactly(np.finfo(float).max, -exponent)
    if value > largest:
        assert np.isinf(received)
    else:
        # a subnormal value is rounded to a multiple of 2**-1074
        atol = float(np.ldexp(1.0, -1075 - exponent)) if exponent < -1000 else 0.0
        np.testing.assert_allclose(float(received), value, rtol=1e-13, atol=atol)
    np.testing.assert_allclose(library.gradient(far, ord), G, atol=1e-13)
    modes = [library.hvp_forward, library.hvp_reverse]
    if engine == "jax" and exponent < -1000:
        # on its way here, XLA multiplies the cotangent by 1, which flushes it to zero
        modes = [library.hvp_forward]
    for product in modes:
        np.testing.assert_allclose(product(far, E_far, ord), dG, atol=1e-12)


@pytest.mark.parametrize("exponent", [-1040, 1020])
@pytest.mark.parametrize("ord", ["fro", "nuc", 2, 1])
@pytest.mark.parametrize("engine", list(DIFFERENTIATORS))
def test_complex(engine: str, ord: Any, exponent: int, rng: Any) -> None:
    library, (A, E) = DIFFERENTIATORS[engine], _matrices(rng, is_complex=True)
    scale = lambda X: np.ldexp(X.real, exponent) + 1j * np.ldexp(X.imag, exponent)  # noqa: E731
    np.testing.assert_allclose(library.gradient(scale(A), ord), normgrad.grad(A, ord), atol=1e-13)
    dG = normgrad.hvp(A, E, ord)
    np.testing.assert_allclose(library.hvp_forward(scale(A), scale(E), ord), dG, atol=1e-12)


@pytest.mark.parametrize("exponent", [-143, -120, -60, 60, 125])
@pytest.mark.parametrize("ord", ORDS, ids=str)
@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_float32(engine: str, ord: Any, exponent: int, rng: Any) -> None:
    library, (A, E) = DIFFERENTIATORS[engine], _matrices(rng)
    value, G = normgrad.value_and_grad(A, ord)
    dG = normgrad.hvp(A, E, ord)
    far, E_far = (np.ldexp(X, exponent).astype(np.float32) for X in (A, E))
    received = np.ldexp(np.float64(library.value(far, ord)), -exponent)
    atol = float(np.ldexp(1.0, -150 - exponent)) if exponent < -100 else 0.0
    np.testing.assert_allclose(received, value, rtol=3e-6, atol=atol)
    np.testing.assert_allclose(library.gradient(far, ord), G, atol=3e-6)
    for product in (library.hvp_reverse, library.hvp_forward):
        result = product(far, E_far, ord)
        np.testing.assert_allclose(result, dG, atol=3e-5 * max(1, np.abs(dG).max()))


@pytest.mark.parametrize("ord", ["fro", "nuc", 2])
def test_scales_apart_in_one_batch(ord: Any, rng: Any) -> None:
    """Each matrix of a batch has its own scale; a direction may have another."""
    A, E = _matrices(rng)
    scales = np.array([-1030, 0, 900])
    batch = np.stack([np.ldexp(A, e) for e in scales])
    value, G = normgrad.value_and_grad(A, ord)
    values, gradients = normgrad.value_and_grad(batch, ord)
    np.testing.assert_allclose(np.ldexp(values, -scales), value, rtol=1e-13)
    np.testing.assert_allclose(gradients, np.stack([G] * 3), atol=1e-13)
    products = normgrad.hvp(batch, np.stack([np.ldexp(E, e + 40) for e in scales]), ord)
    expected = np.ldexp(normgrad.hvp(A, E, ord), 40)
    np.testing.assert_allclose(products, np.stack([expected] * 3), rtol=1e-9, atol=1e-3)
    far = normgrad.prox(batch, np.ldexp(0.25, scales), ord)
    expected = normgrad.prox(A, 0.25, ord)
    np.testing.assert_allclose(np.ldexp(far[2], -900), expected, atol=1e-14)
    np.testing.assert_allclose(np.ldexp(far[0], 1030), expected, atol=1e-12)


def test_frobenius_rescales_only_when_needed(rng: Any, monkeypatch: Any) -> None:
    from normgrad.calculus import by_entries

    calls = []
    normalise = by_entries.normalise
    monkeypatch.setattr(by_entries, "normalise", lambda A: calls.append(1) or normalise(A))
    A = rng.standard_normal((5, 4))
    normgrad.value_and_grad(A * 1e50)
    assert not calls
    normgrad.value_and_grad(A * 1e200)
    assert calls


@pytest.mark.parametrize("library", [np.asarray, torch.asarray, jnp.asarray])
def test_the_smallest_sum_beside_much_larger_ones(library: Any) -> None:
    """It is not lost by scaling with the largest entry: sums need no squares."""
    for A, ord, value, G in [
        (np.array([[1e-20, 1e30]], np.float32), -1, np.float32(1e-20), [[1, 0]]),
        (np.array([[1e-25, 1e15]], np.float32), -1, np.float32(1e-25), [[1, 0]]),
        (np.array([[1e-200, 1e200], [-1e-200, 0]]), -1, 2e-200, [[1, 0], [-1, 0]]),
        (np.array([[-1e-200], [1e200]]), -np.inf, 1e-200, [[-1], [0]]),
        (np.array([[1e-200, 1e200], [0, -1e-290]]), 1, 1e200, [[0, 1], [0, -1]]),
        (np.array([[1e-295, 1e300]]), -1, 1e-295, [[1, 0]]),
        (np.array([[1.2345e-32, 1e10]], np.float32), -1, np.float32(1.2345e-32), [[1, 0]]),
        (np.array([[1e-310, 0], [-2e-310, 1e300]]), -1, 3e-310, [[1, 0], [-1, 0]]),
        (np.array([[1e308, 1], [1e308, 2]]), -1, 3, [[0, 1], [0, 1]]),
        (np.array([[1e308, 1e-20], [1e308, 1]]), 1, np.inf, [[1, 0], [1, 0]]),
        (np.array([[1e308, 1e-20], [1e308, 1], [-1e-20, 5]]), 1, np.inf, [[1, 0], [1, 0], [-1, 0]]),
        (np.array([[1e-100, 1e200, 1e-100], [1, 1, 1]]), AT_TOP, 1e200, [[0, 1, 0], [1, 0, 1]]),
    ]:
        # what shares a stack with another matrix is as it is alone
        for beside in (None, np.full(A.shape, np.inf), np.full(A.shape, 1e38), 0 * A):
            x = library(A if beside is None else np.stack([beside.astype(A.dtype), A]))
            last = () if beside is None else (1,)
            computed, gradient = normgrad.value_and_grad(x, ord)
            assert float(computed[last]) == value
            assert float(normgrad.matrix_norm(x, ord)[last]) == value
            np.testing.assert_array_equal(np.asarray(gradient[last]), G)
            np.testing.assert_array_equal(np.asarray(normgrad.linearize(x, ord)[0][last]), G)


@pytest.mark.parametrize("library", [np.asarray, torch.asarray, jnp.asarray])
@pytest.mark.parametrize("scale", [1e-305, 1e-100, 1e200])
def test_phases_turn_at_any_scale(library: Any, scale: float) -> None:
    """The derivative of ``z / |z|`` has degree -1 in its entry, whatever the others are."""
    z = (3 + 4j) * scale
    for other, ord in [(1e-250, 1), (1e250, -1)]:
        A = np.array([[z, other]]) if (abs(z) < other) == (ord < 0) else np.array([[z, 0]])
        E = np.array([[1j, 1]])
        turned = normgrad.hvp(library(A), library(E), ord)
        expected = (1j - 0.8 * (0.6 + 0.8j)) / 5 / scale
        np.testing.assert_allclose(np.asarray(turned)[0], [expected, 0], rtol=1e-13)


@pytest.mark.parametrize("library", [np.asarray, torch.asarray, jnp.asarray])
def test_squares_of_sums_at_the_ends_of_the_range(library: Any) -> None:
    """Their value is a square, their gradient twice the norm times that of the norm."""
    for A, ord, value, G in [
        (np.array([[1e-10, 1e30]], np.float32), -1, 1e-20, [[2e-10, 0]]),
        (np.array([[1e-130, 1e180]]), -1, 1e-260, [[2e-130, 0]]),
        (np.array([[1e18], [1e-30]], np.float32), 1, 1e36, [[2e18], [2e18]]),
        (np.array([[1e150], [1e-180]]), 1, 1e300, [[2e150], [2e150]]),
        (np.array([[1e-200], [1e-200]]), 1, 0, [[4e-200], [4e-200]]),
        (np.array([[1e200, 1e-9]]), -1, 1e-18, [[0, 2e-9]]),
    ]:
        squared = normgrad.Squared(ord)
        computed, gradient = normgrad.value_and_grad(library(A), squared)
        np.testing.assert_allclose(float(computed), value, rtol=1e-6)
        np.testing.assert_allclose(np.asarray(gradient), G, rtol=1e-6)
    product = normgrad.hvp(library(np.array([[1e-300, 1e300]])), np.ones((1, 2)), squared)
    np.testing.assert_allclose(np.asarray(product), [[2, 0]], rtol=1e-12)


@pytest.mark.parametrize("library", [np.asarray, torch.asarray, jnp.asarray])
def test_directions_far_above_subnormal_entries(library: Any) -> None:
    """A quotient that overflows is a zero, and no NaN comes of it, here or in other lines."""
    for A, E in [([[1e-310]], [[1e308]]), ([[1e-310j, 5]], [[1e308, 1]])]:
        z, direction = library(np.asarray(A, complex)), library(np.asarray(E, complex))
        np.testing.assert_array_equal(np.asarray(normgrad.hvp(z, direction, 1)), np.zeros_like(A))
    A = np.random.default_rng(0).standard_normal((3, 3))
    far = normgrad.hvp(library(A * 1e-308), library(A * 1e308), "nuc")
    assert not np.any(np.isnan(np.asarray(far)))


@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
@pytest.mark.parametrize("library", [np.asarray, torch.asarray, jnp.asarray])
def test_phases_of_entries_whose_modulus_overflows(library: Any, dtype: Any) -> None:
    z = dtype(0.9 * np.finfo(dtype).max * (1 + 1j))
    A = library(np.full((3, 3), z))
    for ord in (1, np.inf):
        np.testing.assert_allclose(normgrad.grad(A, ord), (1 + 1j) / 2**0.5 / 3, rtol=1e-6)
    np.testing.assert_allclose(normgrad.lmo(A, 1.0, 1), -(1 + 1j) / 2**0.5 / 3, rtol=1e-6)
