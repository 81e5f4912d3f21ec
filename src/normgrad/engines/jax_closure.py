"""JAX: derivatives that hold functions of a user.

Such a function may close over values that are traced, so that it cannot be called later, when
the program is compiled. So it is traced when the derivative is applied, and what it closes
over becomes an operand.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from normgrad.arithmetic import Array
from normgrad.engines.base import OrderError

__all__ = ["bind_traced"]

_traced_p = Primitive("normgrad_traced_derivative")


def bind_traced(f: Callable[..., Array], *operands: Array) -> Array:
    """Return ``f(*operands)``, which is linear and self-adjoint in the last one."""
    made = jax.make_jaxpr(f)(*operands)
    return _traced_p.bind(*made.consts, *operands, jaxpr=made.jaxpr)


def _apply(*operands: Array, jaxpr: Any) -> Array:
    count = len(jaxpr.constvars)
    return jax.core.eval_jaxpr(jaxpr, operands[:count], *operands[count:])[0]


def _jvp(primals: Any, tangents: Any, *, jaxpr: Any) -> Any:
    *state_dot, E_dot = tangents
    if not all(type(t) is ad.Zero for t in state_dot):
        raise OrderError
    dG = _traced_p.bind(*primals, jaxpr=jaxpr)
    if type(E_dot) is ad.Zero:
        return dG, E_dot
    return dG, _traced_p.bind(*primals[:-1], E_dot, jaxpr=jaxpr)


def _transpose(ct: Any, *operands: Any, jaxpr: Any) -> Any:
    *state, E = operands
    if type(ct) is ad.Zero:
        return [None] * len(state) + [ad.Zero(E.aval)]
    return [None] * len(state) + [jnp.conj(_traced_p.bind(*state, jnp.conj(ct), jaxpr=jaxpr))]


def _batch(operands: Any, dims: Any, *, jaxpr: Any) -> Any:
    *state, E = operands
    if dims[-1] is None:
        size = next(x.shape[d] for x, d in zip(state, dims[:-1], strict=True) if d is not None)
        E = jnp.broadcast_to(E, (size, *E.shape))
    else:
        E = jnp.moveaxis(E, dims[-1], 0)
    mapped = jax.vmap(lambda *x: _apply(*x, jaxpr=jaxpr), (*dims[:-1], 0))
    return bind_traced(mapped, *state, E), 0


_traced_p.def_impl(_apply)
_traced_p.def_abstract_eval(lambda *operands, jaxpr: operands[-1])
ad.primitive_jvps[_traced_p] = _jvp
ad.primitive_transposes[_traced_p] = _transpose
batching.primitive_batchers[_traced_p] = _batch
mlir.register_lowering(_traced_p, mlir.lower_fun(_apply, multiple_results=False))
