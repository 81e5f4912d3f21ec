"""Plain arrays: values, gradients and Hessian products without automatic differentiation."""

from collections.abc import Callable
from typing import Any, final

import numpy as np

from normgrad.arithmetic import Array
from normgrad.calculus import Derivative, NormRule, ProxRule, TrackedSpectral
from normgrad.engines.base import Engine

__all__ = ["ENGINE", "NumpyEngine"]


@final
class NumpyEngine(Engine):
    """NumPy arrays, and what NumPy can make one of."""

    name = "numpy"

    def owns(self, x: Any) -> bool:
        return isinstance(x, (np.ndarray, np.generic, list, tuple, int, float, complex))

    def dense(self, x: Any) -> Array:
        if isinstance(x, np.ma.MaskedArray):
            raise TypeError(
                "got a numpy masked array, whose masked entries have no value; fill them first: "
                "x.filled(0)"
            )
        try:
            return np.asarray(x)
        except ValueError as error:
            raise ValueError(
                "expected a matrix, or nested lists that make one; got lists of unequal lengths "
                f"({error})"
            ) from None

    def default_float(self) -> Any:
        return np.float64

    def moveaxis(self, x: Array, source: tuple[int, int], destination: tuple[int, int]) -> Array:
        return np.moveaxis(x, source, destination)

    def astype(self, x: Array, dtype: Any) -> Array:
        with np.errstate(over="ignore"):
            return np.asarray(x).astype(dtype)[()]

    def reshape(self, x: Array, shape: tuple[int, ...]) -> Array:
        return np.reshape(x, shape)

    def real(self, x: Array) -> Array:
        return np.real(x)

    def concatenate(self, arrays: list[Array]) -> Array:
        return np.concatenate(arrays, axis=-1)

    def number(self, t: Any, like: Array, shape: tuple[int, ...]) -> Array:
        number = np.asarray(t, dtype=like.real.dtype)
        return np.broadcast_to(number, shape) if shape else number

    # Overflow, and operations on NaN and inf, are part of the calculus: they are noticed
    # and mended, so that NumPy's warnings would tell the user of nothing.

    def value(self, rule: NormRule, x: Array) -> Array:
        with np.errstate(all="ignore"):
            return rule.value(x)[()]

    def value_and_gradient(self, rule: NormRule, x: Array) -> tuple[Array, Array]:
        quick = rule.quick(x)
        if quick is not None:
            return quick
        with np.errstate(all="ignore"):
            value, G = rule.value_and_gradient(x)
        return value[()], G

    def hessian(self, rule: NormRule, x: Array) -> Callable[[Array], Array]:
        derivative = self.derivative(rule, x)
        return lambda E: self.apply(derivative, E)

    def linearize(self, rule: NormRule, x: Array) -> tuple[Array, Callable[[Array], Array]]:
        _, G, derivative = self.linearized(rule, x.copy())  # (x may change in place)
        return G, lambda E: self.apply(derivative, E)

    def track(self, rule: TrackedSpectral, x: Array, state: Array | None) -> tuple[Array, ...]:
        with np.errstate(all="ignore"):
            return rule.track(x, state)

    def constant(self, f: Callable[..., Array], *arrays: Array) -> Array:
        with np.errstate(all="ignore"):
            return f(*arrays)[()]

    def prox(self, rule: ProxRule, x: Array, t: Array) -> Array:
        with np.errstate(all="ignore"):
            return rule.prox(x, t)

    def derivative(self, rule: Any, *operands: Array) -> Any:
        """Return the derivative that the rule has at `operands`."""
        with np.errstate(all="ignore"):
            return rule.derivative(*operands)

    def linearized(self, rule: Any, *operands: Array) -> Any:
        """Return all that the rule has at `operands`, from one factorization."""
        with np.errstate(all="ignore"):
            return rule.linearized(*operands)

    def apply(self, derivative: Derivative, E: Array) -> Array:
        """Return the derivative in the direction E."""
        with np.errstate(all="ignore"):
            return derivative(E)


ENGINE = NumpyEngine()
