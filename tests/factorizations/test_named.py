"""Factorizations that the user names: right wherever they are not refused."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import normgrad
from tests.conftest import orthonormal

LIBRARIES = {"numpy": np.asarray, "torch": torch.asarray, "jax": jnp.asarray}
SMALL = [(1, 1), (1, 4), (4, 1), (3, 3)]


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("shape", [*SMALL, (2, 3, 4), (300, 300)], ids=str)
@pytest.mark.parametrize("method", ["randomized", "gram", "qr", "svd"])
def test_zero_is_exact(method: str, shape: Any, library: str) -> None:
    x = LIBRARIES[library](np.zeros(shape))
    for ord in ("nuc", 2, normgrad.Schatten(3), normgrad.KyFan(1)):
        value, G = normgrad.value_and_grad(x, ord, method=method)
        assert not np.any(np.asarray(value))
        assert not np.any(np.asarray(G))
        assert not np.any(np.asarray(normgrad.matrix_norm(x, ord, method=method)))
    assert normgrad.explain(x, "nuc", method=method).factorization == method


@pytest.mark.parametrize("method", ["randomized", "gram"])
@pytest.mark.parametrize("is_complex", [False, True])
def test_zero_in_a_compiled_function(method: str, is_complex: bool) -> None:
    x = jnp.zeros((4, 3), dtype=complex if is_complex else float)
    norm = lambda x: normgrad.value_and_grad(x, "nuc", method=method)  # noqa: E731
    value, G = jax.jit(norm)(x)
    assert not value
    assert not np.any(G)


@pytest.mark.parametrize("method", ["randomized", "gram", "qr"])
@pytest.mark.parametrize("shape", SMALL, ids=str)
def test_one_column_and_full_rank(method: str, shape: Any, rng: Any) -> None:
    A = rng.standard_normal(shape)
    expected = normgrad.value_and_grad(A, "nuc", method="svd")
    value, G = normgrad.value_and_grad(A, "nuc", method=method)
    assert float(value) == pytest.approx(float(expected[0]), rel=1e-14)
    np.testing.assert_allclose(G, expected[1], atol=1e-13)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_zero_beside_others_that_need_a_correction(library: str, rng: Any) -> None:
    """A zero matrix does not make a batch fail the test of the Gram matrix."""
    U, V = orthonormal(rng, 30, 20), orthonormal(rng, 20, 20)
    A = np.stack([np.zeros((30, 20)), (U * np.geomspace(1, 1e-3, 20)) @ V.T])
    for ord in ("nuc", normgrad.Schatten(3)):
        values, G = normgrad.value_and_grad(LIBRARIES[library](A), ord, method="gram")
        by_svd = normgrad.value_and_grad(A, ord, method="svd")
        np.testing.assert_allclose(np.asarray(values), by_svd[0], rtol=1e-14)
        np.testing.assert_allclose(np.asarray(G), by_svd[1], atol=1e-12)


@pytest.mark.parametrize("rank", [31, 32, 33, 59, 60])
@pytest.mark.parametrize("library", list(LIBRARIES))
def test_a_sketch_that_was_asked_for_grows_until_it_holds(
    library: str, rank: int, rng: Any
) -> None:
    """Any rank, and values that decay, so that a few columns capture nearly all."""
    U, V = orthonormal(rng, 60, rank), orthonormal(rng, 70, rank)
    for s in (np.linspace(2, 1, rank), np.geomspace(1, 1e-6, rank)):
        x = LIBRARIES[library]((U * s) @ V.T)
        value, G = normgrad.value_and_grad(x, "nuc", method="randomized")
        assert float(value) == pytest.approx(s.sum(), rel=1e-13)
        np.testing.assert_allclose(np.asarray(G), U @ V.T, atol=1e-14 / s[-1])
