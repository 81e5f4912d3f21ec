"""Loops and branches that Python runs, or XLA where the entries are traced.

An algorithm written with these is written once: its counters are Python integers, or
tracers; its arrays are changed in place, or replaced.
"""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from normgrad.arithmetic import traced
from normgrad.arithmetic.namespace import Array, device, is_jax, is_torch, is_traced, namespace

__all__ = [
    "add_to_diagonal",
    "for_loop",
    "from_host",
    "host",
    "integer",
    "number",
    "put",
    "put_block",
    "when",
    "while_loop",
    "window",
]


def while_loop(go_on: Callable[[Any], Any], step: Callable[[Any], Any], state: Any) -> Any:
    """Return the state, a tuple, after as many steps as `go_on` allows."""
    if _traced(state):
        return traced.while_loop(go_on, step, state)
    while go_on(state):
        state = step(state)
    return state


def for_loop(first: int, last: int, step: Callable[[Any, Any], Any], state: Any) -> Any:
    """Return the state, a tuple, after ``step(i, state)`` for i from `first` to `last` - 1."""
    if _traced(state):
        return traced.fori_loop(first, last, step, state)
    for i in range(first, last):
        state = step(i, state)
    return state


def _traced(state: Any) -> bool:
    return any(map(_traced, state)) if isinstance(state, tuple) else is_traced(state)


def when(condition: Any, f: Callable[[Any], Any], g: Callable[[Any], Any], state: Any) -> Any:
    """Return ``f(state)`` if the condition holds, else ``g(state)``; one of them is evaluated."""
    if is_traced(condition):
        return traced.cond(condition, f, g, state)
    return f(state) if condition else g(state)


def put(x: Array, i: Any, value: Any) -> Array:
    """Return `x` with ``x[i] = value``; `x` itself is lost."""
    if is_jax(x):
        return x.at[i].set(value)
    x[i] = value
    return x


def add_to_diagonal(x: Array, d: Array) -> Array:
    """Return the matrices `x` with d, (..., n), added to their diagonals; `x` itself is lost."""
    i = namespace(x).arange(d.shape[-1], device=device(x))
    if is_jax(x):
        return x.at[..., i, i].add(d)
    x[..., i, i] += d
    return x


def put_block(x: Array, corner: tuple[Any, Any], block: Array) -> Array:
    """Return the matrix `x` with a block from this row and column on; `x` itself is lost."""
    if any(map(is_traced, corner)):
        corner = tuple(namespace(x).asarray(i, dtype="int32") for i in corner)
        return sys.modules["jax"].lax.dynamic_update_slice(x, block, corner)
    (i, j), (k, n) = corner, block.shape
    return put(x, (slice(i, i + k), slice(j, j + n)), block)


def window(x: Array, i: Any, rows: int) -> Array:
    """Return so many rows of `x` from the i-th on."""
    if is_traced(i):
        return sys.modules["jax"].lax.dynamic_slice_in_dim(x, i, rows)
    return x[i : i + rows]


def integer(x: Any) -> Any:
    """Return a number rounded down to an integer, of Python unless it is traced."""
    return x.astype("int32") if is_traced(x) else int(x)


def number(x: Array) -> Any:
    """Return a 0-d array as a Python number, or as it is where it is traced."""
    return x if is_traced(x) else float(x)


def host(x: Array) -> Any:
    """Return an array as one of NumPy, or as it is where it is traced."""
    if is_traced(x):
        return x
    return x.numpy(force=True) if is_torch(x) else np.asarray(x)


def from_host(x: Any, y: Array) -> Array:
    """Return an array of NumPy, or a traced one, with the dtype and in the place of `y`."""
    x = x if is_traced(x) else np.array(x, order="C")
    return namespace(y).asarray(x, dtype=y.dtype, device=device(y))
