"""Norms of matrix types by each engine's own differentiation, in NumPy arrays.

Gradients are those with ``d||A|| = Re<gradient, d theta>`` for every engine.
"""

from typing import Any

import autograd
import jax
import jax.numpy as jnp
import numpy as np
import torch

import normgrad
from tests.differentiators import TorchAlone
from tests.matrices.cases import Case

__all__ = ["ENGINES"]


class Numpy:
    """The library's own functions."""

    def value_and_gradient(self, case: Case, ord: Any) -> Any:
        A = case.make(*case.parameters)
        value, gradient = normgrad.value_and_grad(A, ord)
        assert type(gradient) is type(A)
        return value, gradient.parameters

    def hessian_product(self, case: Case, E: Any, ord: Any) -> Any:
        A = case.make(*case.parameters)
        # (a direction of the same type has what is static in A)
        return normgrad.hvp(A, A.replace(E), ord).parameters


class Torch:
    def _leaves(self, case: Case) -> Any:
        return [torch.tensor(p, requires_grad=True) for p in case.parameters]

    def value_and_gradient(self, case: Case, ord: Any) -> Any:
        leaves = self._leaves(case)
        value = normgrad.matrix_norm(case.make(*leaves), ord)
        value.backward()
        return value.detach(), [leaf.grad.numpy() for leaf in leaves]

    def hessian_product(self, case: Case, E: Any, ord: Any) -> Any:
        leaves = self._leaves(case)
        value = normgrad.matrix_norm(case.make(*leaves), ord)
        gradient = torch.autograd.grad(value, leaves, create_graph=True)
        along = sum(
            torch.sum(torch.real(g.conj() * torch.tensor(e)))
            for g, e in zip(gradient, E, strict=True)
        )
        if not along.requires_grad:
            return [np.zeros_like(p) for p in case.parameters]
        results = torch.autograd.grad(along, leaves, allow_unused=True)
        zeros = map(np.zeros_like, case.parameters)
        return [z if r is None else r.numpy() for r, z in zip(results, zeros, strict=True)]


class Jax:
    def _gradient(self, case: Case, ord: Any) -> Any:
        f = lambda ps: normgrad.matrix_norm(case.make(*ps), ord)  # noqa: E731
        return jax.value_and_grad(f)

    def value_and_gradient(self, case: Case, ord: Any) -> Any:
        parameters = tuple(map(jnp.asarray, case.parameters))
        value, gradient = jax.jit(self._gradient(case, ord))(parameters)
        return value, [np.asarray(g).conj() for g in gradient]

    def hessian_product(self, case: Case, E: Any, ord: Any) -> Any:
        parameters, E = (tuple(map(jnp.asarray, x)) for x in (case.parameters, E))
        gradient = lambda ps: self._gradient(case, ord)(ps)[1]  # noqa: E731
        return [np.asarray(g).conj() for g in jax.jvp(gradient, (parameters,), (E,))[1]]


class Autograd:
    def _f(self, case: Case, ord: Any) -> Any:
        return lambda ps: normgrad.matrix_norm(case.make(*ps), ord)

    def value_and_gradient(self, case: Case, ord: Any) -> Any:
        value, gradient = autograd.value_and_grad(self._f(case, ord))(case.parameters)
        return value, [g.conj() for g in gradient]

    def hessian_product(self, case: Case, E: Any, ord: Any) -> Any:
        # (autograd has no forward mode for tuples: along a line, d/dt of the gradient)
        def gradient(t: Any) -> Any:
            moved = tuple(p + t * e for p, e in zip(case.parameters, E, strict=True))
            return [
                autograd.grad(self._of_one(case, ord, moved, i))(moved[i]) for i in range(len(E))
            ]

        return [
            autograd.make_jvp(lambda t, i=i: gradient(t)[i])(0.0)(1.0)[1].conj()
            for i in range(len(E))
        ]

    def _of_one(self, case: Case, ord: Any, parameters: Any, i: int) -> Any:
        def f(p: Any) -> Any:
            return normgrad.matrix_norm(case.make(*parameters[:i], p, *parameters[i + 1 :]), ord)

        return f


ENGINES: dict[str, Any] = {
    "numpy": Numpy(),
    "torch": Torch(),
    "torch alone": TorchAlone(Torch()),
    "jax": Jax(),
    "autograd": Autograd(),
}
