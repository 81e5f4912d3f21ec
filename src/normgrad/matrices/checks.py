"""What parameters must be, said once."""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from normgrad.arithmetic import Array, device, is_complex, is_number, library_of, namespace, real

__all__ = [
    "as_array",
    "check_axes",
    "check_factor",
    "check_pair",
    "check_shape",
    "in_one_library",
    "like_parameter",
    "one_library",
]


def as_array(x: Any, what: str) -> Array:
    """Return x, or nested lists of numbers as a NumPy array; the dtype is not changed.

    Raises
    ------
    TypeError
        If it is neither.
    """
    if isinstance(x, (list, tuple, int, float, complex, np.generic)):
        x = np.asarray(x)
    if not (hasattr(x, "ndim") and hasattr(x, "dtype")):
        raise TypeError(
            f"{what} must be an array of NumPy, PyTorch, JAX or autograd, or nested lists of "
            f"numbers; got {type(x).__module__}.{type(x).__qualname__}"
        )
    return x


def check_axes(x: Array, rank: int, what: str) -> None:
    """Raise ValueError if an array has fewer axes than `rank`."""
    if x.ndim < rank:
        raise ValueError(
            f"{what} must have at least {rank} ax{'is' if rank == 1 else 'es'}; got shape "
            f"{tuple(x.shape)}"
        )


def one_library(arrays: Sequence[Array], what: str) -> None:
    """Raise TypeError unless all arrays are of one library, or of NumPy."""
    kinds = {library_of(x) for x in arrays} - {"numpy"}
    if len(kinds) > 1:
        kinds_text = " and ".join(sorted(kinds))
        raise TypeError(f"{what} must be of one library; got arrays of {kinds_text}")


def in_one_library(arrays: Sequence[Array], what: str) -> tuple[Array, ...]:
    """Return arrays with those of NumPy in the library and place of the others."""
    one_library(arrays, what)
    others = [x for x in arrays if library_of(x) != "numpy"]
    if not others or library_of(others[0]) == "autograd":
        return tuple(arrays)
    xp, place = namespace(others[0]), device(others[0])
    return tuple(xp.asarray(x, device=place) if library_of(x) == "numpy" else x for x in arrays)


def like_parameter(G: Array, parameter: Array) -> Array:
    """Return a gradient as it belongs to a parameter: real for a real one."""
    return real(G) if is_complex(G) and not is_complex(parameter) else G


def check_pair(first: Any, second: Any, names: tuple[str, str]) -> tuple[Array, Array]:
    """Return two matrices, or batches of them, as arrays of one library."""
    pair = as_array(first, names[0]), as_array(second, names[1])
    pair = in_one_library(pair, " and ".join(names))
    for x, name in zip(pair, names, strict=True):
        check_axes(x, 2, name)
    return pair


def check_factor(A: Any, factor: Any) -> None:
    """Raise TypeError unless a matrix can be multiplied by the factor, a number."""
    if getattr(factor, "ndim", 0) or not is_number(factor, "complex"):
        shape = getattr(factor, "shape", None)
        got = repr(factor)
        if shape is not None:
            got = f"an array of dtype {factor.dtype} and shape {tuple(shape)}"
        raise TypeError(
            f"a {type(A).__name__} can be multiplied by a number, and divided by one; got {got}"
        )


def check_shape(shape: Any, what: str) -> tuple[int, int]:
    """Return a pair of sizes, or raise TypeError, or ValueError if one is negative."""
    try:
        m, n = map(operator.index, shape)
    except (TypeError, ValueError):
        raise TypeError(
            f"the shape of {what} is a pair of integers, (rows, columns); got {shape!r}"
        ) from None
    if min(m, n) < 0:
        raise ValueError(f"the shape of {what} must not be negative; got {shape!r}")
    return m, n
