"""Loops and branches of XLA, also inside of `jax.shard_map`.

There the type of a value says over which axes of the devices it differs, and JAX wants one type
for what enters a loop and what leaves its step, and for what leaves either branch. So a start
that is the same everywhere, as zeros are, is taken for one that differs like the rest.
"""

import sys
from collections.abc import Callable
from typing import Any

__all__ = ["cond", "fori_loop", "while_loop"]


def while_loop(go_on: Callable[[Any], Any], step: Callable[[Any], Any], state: Any) -> Any:
    """Return the state after as many steps as `go_on` allows."""
    axes = _axes(step, state)
    return _jax().lax.while_loop(go_on, _differing(step, axes), _cast(state, axes))


def fori_loop(first: Any, last: Any, step: Callable[[Any, Any], Any], state: Any) -> Any:
    """Return the state after ``step(i, state)`` for i from `first` to `last` - 1."""
    axes = _axes(step, first, state)
    return _jax().lax.fori_loop(first, last, _differing(step, axes), _cast(state, axes))


def cond(condition: Any, f: Callable[[Any], Any], g: Callable[[Any], Any], x: Any) -> Any:
    """Return ``f(x)`` if the condition holds, else ``g(x)``."""
    axes = _axes(f, x) | _axes(g, x)
    return _jax().lax.cond(condition, _differing(f, axes), _differing(g, axes), x)


def _jax() -> Any:
    return sys.modules["jax"]


def _axes(f: Callable[..., Any], *operands: Any) -> frozenset[str]:
    """Return the axes of devices over which what f takes and returns differs."""
    jax = _jax()
    if not hasattr(jax.lax, "pcast") or not jax.sharding.get_abstract_mesh().manual_axes:
        return frozenset()
    made = jax.make_jaxpr(f)(*operands)
    return frozenset[str]().union(*map(_varying, (*made.in_avals, *made.out_avals)))


def _varying(aval: Any) -> frozenset[str]:
    kind = getattr(aval, "manual_axis_type", None)
    axes: frozenset[str] = aval.vma if kind is None else kind.varying
    return axes


def _cast(tree: Any, axes: frozenset[str]) -> Any:
    """Return the arrays of a tree as ones that differ over these axes."""
    jax = _jax()

    def cast(x: Any) -> Any:
        missing = tuple(axes - _varying(jax.typeof(x)))
        return jax.lax.pcast(jax.numpy.asarray(x), missing, to="varying") if missing else x

    return jax.tree.map(cast, tree) if axes else tree


def _differing(f: Callable[..., Any], axes: frozenset[str]) -> Callable[..., Any]:
    return (lambda *x: _cast(f(*x), axes)) if axes else f
