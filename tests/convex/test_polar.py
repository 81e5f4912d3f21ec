"""The polar factor by singular values and by products."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import normgrad
from tests.conftest import orthonormal


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9)])
@pytest.mark.parametrize("condition", [1.0, 10.0, 1e4, 3e5, 1e9, 1e18])
def test_of_known_vectors(shape: Any, condition: float, is_complex: bool) -> None:
    rng, k = np.random.default_rng(0), min(shape)
    U, V = (orthonormal(rng, size, k, is_complex) for size in shape)
    s = np.geomspace(1, 1 / condition, k)
    A = (U * s) @ V.conj().T
    kept = s > 1e-14
    expected = (U * kept) @ V.conj().T
    for method in ("auto", "iteration"):
        P = normgrad.polar(A, method)
        # (of condition 1/s_k; at condition 1e18 the cut falls between known singular values)
        np.testing.assert_allclose(P, expected, atol=4e-15 * min(condition, 1e14) + 1e-14)
        G = P.conj().T @ P if shape[0] >= shape[1] else P @ P.conj().T
        if condition <= 1e9:
            np.testing.assert_allclose(G, np.eye(k), atol=1e-13)


@pytest.mark.parametrize("array", [np.asarray, torch.from_numpy, jnp.asarray])
def test_rank_deficient_matrices_go_to_singular_values(array: Any) -> None:
    rng = np.random.default_rng(1)
    U, V = orthonormal(rng, 5, 3), orthonormal(rng, 4, 3)
    A = np.stack([(U * s) @ V.T for s in ([3.0, 2, 1], [3, 2, 0], [0, 0, 0])])
    B = rng.standard_normal((5, 4))
    batch = np.stack([*A, B, 1e-200 * B, 1e200 * B])
    for f in (lambda x: normgrad.polar(x, "iteration"),) + (
        (jax.jit(lambda x: normgrad.polar(x, "iteration")),) if array is jnp.asarray else ()
    ):
        P = np.asarray(f(array(batch)))
        np.testing.assert_allclose(P[0], U @ V.T, atol=1e-13)
        np.testing.assert_allclose(P[1], U[:, :2] @ V[:, :2].T, atol=1e-13)
        np.testing.assert_array_equal(P[2], 0)
        np.testing.assert_allclose(P[4], P[3], atol=1e-14)
        np.testing.assert_allclose(P[5], P[3], atol=1e-14)
        np.testing.assert_allclose(P[3].T @ P[3], np.eye(4), atol=1e-14)
    bad = np.stack([B, B * np.nan])
    P = normgrad.polar(bad, "iteration")
    assert np.isnan(P[1]).all()
    np.testing.assert_allclose(P[0].T @ P[0], np.eye(4), atol=1e-14)
    assert normgrad.polar(np.zeros((3, 0)), "iteration").shape == (3, 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_low_precision(dtype: Any) -> None:
    A = torch.from_numpy(np.random.default_rng(2).standard_normal((3, 20, 12))).to(dtype)
    P = normgrad.polar(A, "iteration")
    assert P.dtype == dtype
    expected = normgrad.polar(A.double())
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(P.double(), expected, atol=40 * eps, rtol=0)


@pytest.mark.parametrize("array", [np.asarray, torch.from_numpy, jnp.asarray])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("shape", [(2, 2), (5, 3), (3, 5), (20, 20)])
def test_no_singular_value_is_lost_on_the_way(array: Any, dtype: Any, shape: Any) -> None:
    """One made tiny by a step would come back, orthonormal, but of other vectors."""
    rng, k, is_complex = np.random.default_rng(4), min(shape), dtype is np.complex128
    U, V = (orthonormal(rng, size, k, is_complex) for size in shape)
    s = rng.uniform(1 / np.geomspace(1.2, 500, 300)[:, None], 1, (300, k))
    s[:, 0] = 1
    A = ((U * s[:, None, :]) @ V.conj().T).astype(dtype)
    iterated = functools.partial(normgrad.polar, method="iteration")
    f = jax.jit(iterated) if array is jnp.asarray else iterated
    error = np.linalg.norm(np.asarray(f(array(A))) - U @ V.conj().T, 2, axis=(-2, -1))
    assert np.max(error * s.min(axis=-1)) <= 5 * math.sqrt(k) * np.finfo(dtype).eps


@pytest.mark.parametrize("method", ["auto", "svd", "iteration"])
def test_derivative(method: str) -> None:
    rng = np.random.default_rng(3)
    A, E, W = rng.standard_normal((3, 4, 3)) + 1j * rng.standard_normal((3, 4, 3))
    h = 1e-6
    expected = (normgrad.polar(A + h * E, "svd") - normgrad.polar(A - h * E, "svd")) / (2 * h)
    x = torch.from_numpy(A).requires_grad_()
    dP = torch.func.jvp(lambda x: normgrad.polar(x, method), (x,), (torch.from_numpy(E),))[1]
    np.testing.assert_allclose(dP.detach(), expected, atol=1e-8)
    (back,) = torch.autograd.grad(normgrad.polar(x, method), x, torch.from_numpy(W))
    forward = np.sum(np.real(W.conj() * dP.detach().numpy()))
    assert np.sum(np.real(back.numpy().conj() * E)) == pytest.approx(forward, rel=1e-10)
    f = lambda x: normgrad.polar(x, method)  # noqa: E731
    np.testing.assert_allclose(
        jax.jit(lambda x, e: jax.jvp(f, (x,), (e,))[1])(A, E), expected, atol=1e-8
    )
    product = normgrad.Kronecker(np.eye(2), np.eye(2))
    with pytest.raises(TypeError, match=r"polar factor of a Kronecker.*as an array, x.dense\(\)"):
        normgrad.polar(product)
    with pytest.raises(ValueError, match="not known"):
        normgrad.polar(A, "newton")


@pytest.mark.parametrize("library", [np.asarray, torch.asarray])
def test_a_rank_of_ones_own(library: Any, with_singular_values: Any) -> None:
    """Singular values below the rounding of float32 entries, but not zero."""
    A = library(with_singular_values(np.logspace(0, -6, 20), 2000, 20).astype(np.float32))
    for P, rank in (
        (normgrad.polar(A), 14),
        (normgrad.polar(A, rank_tol=1e-7), 20),
        (normgrad.polar(A, "iteration", rank_tol=1e-7), 20),
        (-normgrad.lmo(A, 1.0, normgrad.Spectral(rank_tol=1e-7)), 20),
        (-normgrad.lmo(A, 1.0, normgrad.Schatten(math.inf, rank_tol=1e-7)), 20),
        (normgrad.grad(A, normgrad.Nuclear(rank_tol=1e-3)), 10),
    ):
        assert float((P**2).sum()) == pytest.approx(rank, rel=1e-4)
