"""Jacobians of functions as operators: against dense Jacobians."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from normgrad import Operator, matrix_norm
from normgrad.testing import check_adjoint


def _networks() -> Any:
    torch.manual_seed(0)
    double = {"dtype": torch.float64}
    mlp = torch.nn.Sequential(
        torch.nn.Linear(4, 6, **double), torch.nn.Tanh(), torch.nn.Linear(6, 3, **double)
    )
    cnn = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3, padding=1, **double),
        torch.nn.Softplus(),
        torch.nn.Conv2d(3, 1, 2, **double),
    )
    return [(mlp, torch.randn(4, **double)), (cnn, torch.randn(1, 2, 4, 3, **double))]


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("ord", [2, "nuc"])
def test_jacobian_of_a_network(index: int, ord: Any) -> None:
    """Value, gradient and second derivative are those through the dense Jacobian."""
    net, x = _networks()[index]
    net, x = net, x.requires_grad_()
    weights = dict(net.named_parameters())
    leaves = [x, *weights.values()]

    def f(x: Any, weights: Any) -> Any:
        return torch.func.functional_call(net, weights, (x,))

    J = Operator.jacobian(f, x, (weights,))
    dense = torch.func.jacrev(f)(x, weights).reshape(J.shape)
    assert check_adjoint(J) < 1e-13
    received, expected = [], []
    for A, results in ((J, received), (dense, expected)):
        value = matrix_norm(A, ord)
        G = torch.autograd.grad(value, leaves, create_graph=True, allow_unused=True)
        along = sum((g**2).sum() for g in G if g is not None)
        H = torch.autograd.grad(along, leaves, allow_unused=True)
        zeros = [torch.zeros_like(leaf) for leaf in leaves]
        results += [
            value,
            *(z if g is None else g for g, z in zip([*G, *H], 2 * zeros, strict=True)),
        ]
    for r, e in zip(received, expected, strict=True):
        torch.testing.assert_close(r, e, atol=1e-12, rtol=0)
    with pytest.raises(ValueError, match="not in params"):
        Operator.jacobian(net, x)


def test_jacobian_in_jax(rng: Any) -> None:
    a, x = jnp.asarray(rng.standard_normal((5, 4))), jnp.asarray(rng.standard_normal((2, 2)))

    def f(x: Any, a: Any) -> Any:
        return jnp.tanh(a @ x.ravel())[:, None]

    def of_operator(x: Any, a: Any) -> Any:
        return matrix_norm(Operator.jacobian(f, x, (a,)), 2)

    def of_array(x: Any, a: Any) -> Any:
        return matrix_norm(jax.jacrev(f)(x, a).reshape(5, 4), 2)

    expected = jax.jit(jax.grad(of_array, (0, 1)))(x, a)
    received = jax.jit(jax.grad(of_operator, (0, 1)))(x, a)
    for r, e in zip(received, expected, strict=True):
        np.testing.assert_allclose(r, e, atol=1e-12)
