"""The products of a Jacobian with vectors: forward and reverse derivatives."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, final

from normgrad.arithmetic import TRANSFORMS, Array, library_of
from normgrad.matrices.checks import as_array
from normgrad.matrices.functions import Named

__all__ = ["Forward", "Reverse", "shape_of"]


@final
class Forward(Named):
    """``v, x, *params -> J v``, for the Jacobian J of ``f(x, *params)`` in x."""

    def __init__(self, f: Callable[..., Any], library: str) -> None:
        super().__init__(f)
        self.library = library

    def __call__(self, v: Array, x: Array, *params: Any) -> Array:
        """Return the product with a vector."""
        f = lambda x: self.f(x, *params)  # noqa: E731
        return TRANSFORMS[self.library].jvp(f, (x,), (v.reshape(x.shape),)).reshape((-1,))


@final
class Reverse(Named):
    """``u, x, *params -> J^T u``."""

    def __init__(self, f: Callable[..., Any], library: str, shape: tuple[int, ...]) -> None:
        super().__init__(f)
        self.library = library
        self.shape = shape

    def __call__(self, u: Array, x: Array, *params: Any) -> Array:
        """Return the product with a vector."""
        f = lambda x: self.f(x, *params)  # noqa: E731
        (g,) = TRANSFORMS[self.library].vjp(f, (x,), u.reshape(self.shape))
        return g.reshape((-1,))


def shape_of(f: Callable[..., Any], x: Any, params: Sequence[Any]) -> tuple[str, tuple[int, ...]]:
    """Return the library and the shape of ``f(x, *params)``, from one evaluation.

    Raises
    ------
    TypeError
        If x or what f returns is no real array.
    """
    x = as_array(x, "x")
    library = library_of(x)
    if library == "numpy":
        raise TypeError(
            "a Jacobian is taken by PyTorch, JAX or autograd, and x is of NumPy; make it an array "
            "of theirs, or give its products with vectors to Operator"
        )
    if library == "jax":
        y = sys.modules["jax"].eval_shape(f, x, *params)
    elif library == "torch":
        with sys.modules["torch"].no_grad():
            y = f(x, *params)
    else:
        y = f(x, *params)
    if not hasattr(y, "shape"):
        raise TypeError(f"f must return one array; got {type(y).__module__}.{type(y).__qualname__}")
    for what, z in (("x", x), ("what f returns", y)):
        if "complex" in str(z.dtype):
            raise TypeError(
                f"{what} is {z.dtype}; the Jacobian is that of a real function. Take real and "
                "imaginary parts for two real variables"
            )
    return library, tuple(y.shape)
