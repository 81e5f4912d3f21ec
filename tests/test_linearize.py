"""Gradient and Hessian products from one factorization."""

from typing import Any

import autograd
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import normgrad
from normgrad.factorizations import svd

LIBRARIES = {"numpy": np.asarray, "torch": torch.asarray, "jax": jnp.asarray}
ORDS = ["fro", "nuc", 2, 1, normgrad.Schatten(3)]


@pytest.mark.parametrize("library", list(LIBRARIES))
@pytest.mark.parametrize("ord", ["fro", "nuc", 1])
def test_linearize(library: str, ord: Any, rng: Any) -> None:
    """The products of `hvp`, for one factorization."""
    A, E, F = rng.standard_normal((3, 6, 5)).astype(np.float32)
    array = LIBRARIES[library]
    gradient, product = normgrad.linearize(array(A), ord)
    np.testing.assert_allclose(np.asarray(gradient), normgrad.grad(A, ord), atol=2e-6)
    for D in (E, F):
        received = np.asarray(product(array(D)))
        np.testing.assert_allclose(received, normgrad.hvp(A, D, ord), atol=2e-5)
    with pytest.raises(ValueError, match="shape"):
        product(array(E.T))


@pytest.mark.parametrize("library", list(LIBRARIES))
@pytest.mark.parametrize("ord", ORDS, ids=str)
def test_every_kind_of_matrix(library: str, ord: Any, rng: Any) -> None:
    array, B = LIBRARIES[library], rng.standard_normal((2, 3, 4))
    for A in (B, B + 1j * B[::-1], np.zeros((3, 2)), np.diag([3.0, 0.0, 1.0]), np.zeros((0, 3))):
        gradient, product = normgrad.linearize(array(A), ord)
        np.testing.assert_allclose(np.asarray(gradient), normgrad.grad(A, ord), atol=1e-13)
        E = np.ones_like(A)
        expected = normgrad.hvp(A, E, ord)
        np.testing.assert_allclose(np.asarray(product(array(E))), expected, atol=1e-13)


def test_one_svd(rng: Any, monkeypatch: Any) -> None:
    A, calls = rng.standard_normal((30, 25)), []
    thin_svd = svd.thin_svd
    monkeypatch.setattr(svd, "thin_svd", lambda A: calls.append(A) or thin_svd(A))
    for array in (np.asarray, torch.asarray):
        normgrad.linearize(array(A), "nuc")  # (the usual way for a shape is found once)
        calls.clear()
        _, product = normgrad.linearize(array(A), "nuc")
        for _ in range(3):
            product(array(A))
        assert len(calls) == 1

    def first(x: Any) -> Any:
        G, product = normgrad.linearize(x, "nuc")
        return G, product(x)

    calls.clear()
    x = torch.asarray(A).requires_grad_()
    G, product = normgrad.linearize(x, "nuc")
    torch.testing.assert_close(torch.autograd.grad(G, x, torch.ones_like(x))[0], product(x / x))
    autograd.elementwise_grad(lambda x: normgrad.linearize(x, "nuc")[0])(A)
    assert len(calls) == 2
    assert str(jax.make_jaxpr(first)(jnp.asarray(A))).count("svd[") == 1


@pytest.mark.parametrize("ord", ORDS, ids=str)
def test_the_gradient_is_differentiable(ord: Any, rng: Any) -> None:
    """Once, in every library and mode; its derivative at the point is not."""
    A, E = rng.standard_normal((2, 4, 3))
    expected = normgrad.hvp(A, E, ord)
    gradient = lambda x: normgrad.linearize(x, ord)[0]  # noqa: E731
    product = lambda x: normgrad.linearize(x, ord)[1](x)  # noqa: E731
    a, e, x, y = jnp.asarray(A), jnp.asarray(E), torch.asarray(A), torch.asarray(E)
    received = [
        jax.jvp(gradient, (a,), (e,))[1],
        jax.jit(lambda a, e: jax.vjp(gradient, a)[1](e)[0])(a, e),
        jax.vmap(lambda a: jax.jvp(gradient, (a,), (e,))[1])(a[None])[0],
        torch.func.jvp(gradient, (x,), (y,))[1],
        torch.func.vjp(gradient, x)[1](y)[0],
        torch.func.vmap(lambda x: torch.func.jvp(gradient, (x,), (y,))[1])(x[None])[0],
        autograd.make_vjp(gradient)(A)[0](E),
    ]
    for dG in received:
        np.testing.assert_allclose(np.asarray(dG), expected, atol=1e-13)
    with pytest.raises(normgrad.OrderError):
        jax.jvp(product, (a,), (e,))
    with pytest.raises(normgrad.OrderError):
        torch.func.jvp(product, (x,), (y,))
    with pytest.raises(normgrad.OrderError):
        autograd.make_vjp(product)(A)[0](E)
    diagonal = jnp.diag(jnp.asarray([3.0, 2.0, 1.0]))
    dG = jax.jvp(gradient, (diagonal,), (e[:3],))[1]
    np.testing.assert_allclose(dG, normgrad.hvp(np.asarray(diagonal), E[:3], ord), atol=1e-13)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("ord", [*ORDS, normgrad.Squared(1), normgrad.Squared("fro")], ids=str)
@pytest.mark.parametrize("size", [4, 40])
def test_x_may_change_in_place(library: str, ord: Any, size: int, rng: Any) -> None:
    """And so may the gradient: the products stay those at the point."""
    real, E = rng.standard_normal((2, size, size))
    for A in (real, real + 1j * E):
        x, e = LIBRARIES[library](A.copy()), LIBRARIES[library](E.astype(A.dtype))
        expected = np.asarray(normgrad.hvp(x, e, ord))
        gradient, product = normgrad.linearize(x, ord)
        x *= 0
        gradient *= 0
        np.testing.assert_allclose(np.asarray(product(e)), expected, rtol=0, atol=1e-12)
    assert np.abs(expected).max() > 1e-3
