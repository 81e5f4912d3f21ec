"""First and second derivatives of a norm by the automatic differentiation of a library."""

from typing import Any

import numpy as np

from normgrad._api import grad, hvp, matrix_norm
from normgrad.arithmetic import EPSILON, dtype_name
from normgrad.engines import engine_of

__all__ = ["Derivatives", "derivatives_of", "to_numpy"]


class Derivatives:
    """The derivatives at one matrix, as NumPy arrays, with ``d||x|| = Re<G, dx>``."""

    def __init__(self, x: Any, ord: Any, axis: tuple[int, int], method: str) -> None:
        self.x = x
        self.arguments: dict[str, Any] = {"ord": ord, "axis": axis, "method": method}

    epsilon: float
    """The unit of spacing of the precision in which they are returned."""

    def gradient(self) -> Any:
        """Return G."""
        return self._received(grad(self.x, **self.arguments))

    def _received(self, G: Any) -> Any:
        self.epsilon = EPSILON[dtype_name(G.dtype)]
        return to_numpy(G)

    def hessian_product(self, E: Any) -> Any:
        """Return the derivative of G in the direction E, a NumPy array."""
        return to_numpy(hvp(self.x, E, **self.arguments))


class _Torch(Derivatives):
    """Reverse mode, and reverse over reverse."""

    def _graph(self) -> tuple[Any, Any]:
        import torch

        x = self.x.detach()
        if not (x.is_floating_point() or x.is_complex()):
            x = x.to(torch.get_default_dtype())
        x.requires_grad_(True)
        value = matrix_norm(x, **self.arguments).sum()
        return x, torch.autograd.grad(value, x, create_graph=True)[0]

    def gradient(self) -> Any:
        return self._received(self._graph()[1])

    def hessian_product(self, E: Any) -> Any:
        import torch

        x, G = self._graph()
        direction = torch.as_tensor(E).to(dtype=x.dtype, device=x.device)
        return to_numpy(torch.autograd.grad(G, x, direction)[0])


class _Jax(Derivatives):
    """Reverse mode, and forward over reverse. JAX's own gradient is the conjugate."""

    def _derivative(self) -> tuple[Any, Any]:
        import jax
        import jax.numpy as jnp

        x = self.x
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            x = x.astype(jnp.result_type(float))
        return x, jax.grad(lambda x: jnp.sum(matrix_norm(x, **self.arguments)))

    def gradient(self) -> Any:
        x, derivative = self._derivative()
        return self._received(derivative(x)).conj()

    def hessian_product(self, E: Any) -> Any:
        import jax
        import jax.numpy as jnp

        x, derivative = self._derivative()
        return to_numpy(jax.jvp(derivative, (x,), (jnp.asarray(E, x.dtype),))[1]).conj()


def to_numpy(x: Any) -> Any:
    """Return a NumPy array of float64 or complex128 with the entries of x."""
    if hasattr(x, "detach"):
        import torch

        x = x.detach().cpu().to(torch.complex128 if x.is_complex() else torch.float64)
        x = x.resolve_conj().resolve_neg()
    x = np.asarray(x)
    return x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)


def derivatives_of(x: Any, ord: Any, axis: tuple[int, int], method: str) -> Derivatives:
    """Return the derivatives at x by the library of x; for NumPy those of this library."""
    kinds = {"torch": _Torch, "jax": _Jax}
    return kinds.get(engine_of(x).name, Derivatives)(x, ord, axis, method)
