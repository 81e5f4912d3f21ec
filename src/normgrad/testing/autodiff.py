"""First and second derivatives of a norm by the automatic differentiation of a library."""

from typing import Any, NamedTuple

import numpy as np

from normgrad._api import grad, hvp, matrix_norm
from normgrad.arithmetic import EPSILON, dtype_name, namespace
from normgrad.engines import engine_of

__all__ = ["Answer", "Derivatives", "derivatives_of", "to_numpy"]


class Answer(NamedTuple):
    """What a library returned, as a NumPy array, and by how much its dtype may have rounded it.

    `size` has the moduli of what was added to make it.
    """

    array: Any
    size: Any
    rounding: Any

    def __add__(self, other: tuple[Any, ...]) -> "Answer":
        return Answer(*(a + b for a, b in zip(self, other, strict=True)))


class Derivatives:
    """The derivatives at one matrix, as NumPy arrays, with ``d||x|| = Re<G, dx>``."""

    def __init__(self, x: Any, ord: Any, axis: tuple[int, int], method: str) -> None:
        self.x = x
        self.arguments: dict[str, Any] = {"ord": ord, "axis": axis, "method": method}

    dtype: Any
    """The dtype in which they are returned."""

    @property
    def epsilon(self) -> float:
        """The unit of spacing of that dtype."""
        return EPSILON[dtype_name(self.dtype)]

    def gradient(self) -> Answer:
        """Return G."""
        G = self._gradient()
        self.dtype = G.dtype
        return self._answer(G)

    def hessian_product(self, E: Any) -> Answer:
        """Return the derivative of G in the direction E, a NumPy array.

        It is linear: what the dtype can not hold of E is a second direction.
        """
        given = self._direction(E)
        dG, rest = self._answer(self._hessian_product(given)), E - to_numpy(given)
        if not np.any(rest):
            return dG
        return dG + self._answer(self._hessian_product(self._direction(rest)))

    def _answer(self, X: Any) -> Answer:
        smallest = self.epsilon * float(namespace(X).finfo(X.dtype).smallest_normal)
        array = to_numpy(X)
        size = np.abs(array)
        return Answer(array, size, np.maximum(self.epsilon * size, smallest) / 2)

    def _gradient(self) -> Any:
        return grad(self.x, **self.arguments)

    def _direction(self, E: Any) -> Any:
        return np.asarray(E, self.dtype)

    def _hessian_product(self, E: Any) -> Any:
        return hvp(self.x, E, **self.arguments)


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

    def _gradient(self) -> Any:
        return self._graph()[1]

    def _direction(self, E: Any) -> Any:
        import torch

        return torch.as_tensor(E).to(dtype=self.dtype, device=self.x.device)

    def _hessian_product(self, E: Any) -> Any:
        import torch

        x, G = self._graph()
        return torch.autograd.grad(G, x, E)[0]


class _Jax(Derivatives):
    """Reverse mode, and forward over reverse. JAX's own gradient is the conjugate."""

    def _derivative(self) -> tuple[Any, Any]:
        import jax
        import jax.numpy as jnp

        x = self.x
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            x = x.astype(jnp.result_type(float))
        return x, jax.grad(lambda x: jnp.sum(matrix_norm(x, **self.arguments)))

    def _gradient(self) -> Any:
        x, derivative = self._derivative()
        return derivative(x).conj()

    def _direction(self, E: Any) -> Any:
        import jax.numpy as jnp

        return jnp.asarray(E, self.dtype)

    def _hessian_product(self, E: Any) -> Any:
        import jax

        x, derivative = self._derivative()
        return jax.jvp(derivative, (x,), (E,))[1].conj()


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
