"""Loops and branches that Python runs, or XLA where the entries are traced.

An algorithm written with these is written once: its counters are Python integers, or
tracers; its arrays are changed in place, or replaced.
"""

import sys
from collections.abc import Callable
from typing import Any

from normgrad.arithmetic.namespace import Array, is_jax, is_traced

__all__ = ["first_rows", "integer", "number", "put", "when", "while_loop"]


def while_loop(go_on: Callable[[Any], Any], step: Callable[[Any], Any], state: Any) -> Any:
    """Return the state, a tuple, after as many steps as `go_on` allows."""
    if _traced(state):
        return sys.modules["jax"].lax.while_loop(go_on, step, state)
    while go_on(state):
        state = step(state)
    return state


def _traced(state: Any) -> bool:
    return any(map(_traced, state)) if isinstance(state, tuple) else is_traced(state)


def when(condition: Any, f: Callable[[Any], Any], g: Callable[[Any], Any], state: Any) -> Any:
    """Return ``f(state)`` if the condition holds, else ``g(state)``; one of them is evaluated."""
    if is_traced(condition):
        return sys.modules["jax"].lax.cond(condition, f, g, state)
    return f(state) if condition else g(state)


def put(x: Array, i: Any, value: Any) -> Array:
    """Return `x` with ``x[i] = value``; `x` itself is lost."""
    if is_jax(x):
        return x.at[i].set(value)
    x[i] = value
    return x


def first_rows(x: Array, count: Any) -> Array:
    """Return the first rows of `x`; all, if the count is traced: the others must be zero."""
    return x if is_traced(count) else x[:count]


def integer(x: Any) -> Any:
    """Return a number rounded down to an integer, of Python unless it is traced."""
    return x.astype("int32") if is_traced(x) else int(x)


def number(x: Array) -> Any:
    """Return a 0-d array as a Python number, or as it is where it is traced."""
    return x if is_traced(x) else float(x)
