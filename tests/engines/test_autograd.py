"""HIPS autograd: its own gradient checker in both modes, and what its users call."""

from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np
import pytest
from autograd.test_util import check_grads

import normgrad
from normgrad.norms import ALIASES

ORDS = [*ALIASES, normgrad.Schatten(3), normgrad.KyFan(2)]


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("shape", [(4, 4), (2, 5, 3)], ids=str)
@pytest.mark.parametrize("ord", ORDS, ids=str)
def test_check_grads(ord: Any, shape: Any, is_complex: bool, rng: Any) -> None:
    A = rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if is_complex else 0)
    f = lambda A: anp.sum(normgrad.matrix_norm(A, ord, keepdims=True))  # noqa: E731
    check_grads(f, modes=["fwd", "rev"], order=2)(A)


@pytest.mark.parametrize("ord", ORDS, ids=str)
def test_what_users_call(ord: Any, rng: Any) -> None:
    A, E = rng.standard_normal((2, 4, 3))
    f = lambda A: normgrad.matrix_norm(A, ord)  # noqa: E731
    value, G = autograd.value_and_grad(f)(A)
    np.testing.assert_allclose(value, normgrad.matrix_norm(A, ord))
    np.testing.assert_allclose(G, normgrad.grad(A, ord))
    dG = normgrad.hvp(A, E, ord)
    np.testing.assert_allclose(autograd.hessian_vector_product(f)(A, E), dG)
    np.testing.assert_allclose(autograd.make_hvp(f)(A)[0](E), dG)
    H = autograd.hessian(f)(A)
    np.testing.assert_allclose(np.einsum("ijkl,kl->ij", H, E), dG, atol=1e-14)
    np.testing.assert_allclose(autograd.make_jvp(f)(A)(E)[1], np.sum(G * E))


@pytest.mark.parametrize("ord", ["fro", "nuc", 2])
def test_prox(ord: Any, rng: Any) -> None:
    A = rng.standard_normal((4, 3))
    check_grads(lambda A, t: normgrad.prox(A, t, ord), modes=["fwd", "rev"], order=1)(A, 0.7)


def test_third_order_raises(rng: Any) -> None:
    A = rng.standard_normal((4, 3))
    H = autograd.hessian(lambda A: normgrad.matrix_norm(A, "nuc"))
    with pytest.raises(normgrad.OrderError, match="second order"):
        autograd.grad(lambda A: anp.sum(H(A) ** 2))(A)


def test_one_factorization_for_value_and_gradient(rng: Any, monkeypatch: Any) -> None:
    calls = []
    svd = np.linalg.svd
    monkeypatch.setattr(np.linalg, "svd", lambda *a, **k: calls.append(1) or svd(*a, **k))
    autograd.value_and_grad(normgrad.nuclear_norm)(rng.standard_normal((4, 3)))
    assert len(calls) == 1


def test_precision_is_kept(rng: Any) -> None:
    A = rng.standard_normal((4, 3)).astype(np.float32)
    assert autograd.grad(normgrad.nuclear_norm)(A).dtype == np.float32
    assert autograd.grad(normgrad.frobenius_norm)(A.astype(np.float16)).dtype == np.float16


def test_mixed_arguments(rng: Any) -> None:
    """What is traced may be the matrix, the direction or the step; the rest is NumPy's."""
    A, E, C = rng.standard_normal((3, 4, 3))
    in_direction = autograd.grad(lambda E: anp.sum(C * normgrad.hvp(A, E, "nuc")))(E)
    np.testing.assert_allclose(in_direction, normgrad.hvp(A, C, "nuc"), atol=1e-13)
    with pytest.raises(normgrad.OrderError):
        autograd.grad(lambda A: anp.sum(normgrad.hvp(A, E, "nuc")))(A)
    check_grads(lambda t: normgrad.prox(A, t, "nuc"), modes=["fwd", "rev"], order=1)(0.5)


def test_integers_have_derivatives_that_are_not(rng: Any) -> None:
    x, E = np.array([[3, 0], [4, 5]]), rng.standard_normal((2, 2))
    for ord in ("fro", "nuc", 1):
        f = lambda x: normgrad.matrix_norm(x, ord)  # noqa: B023, E731
        np.testing.assert_allclose(autograd.grad(f)(x), normgrad.grad(x, ord))
    product = autograd.hessian_vector_product(normgrad.nuclear_norm)(x, E)
    np.testing.assert_allclose(product, normgrad.hvp(x, E, "nuc"))
    f = lambda x: (normgrad.prox(x, 0.5, "nuc") ** 2).sum()  # noqa: E731
    np.testing.assert_allclose(autograd.grad(f)(x), autograd.grad(f)(1.0 * x))
