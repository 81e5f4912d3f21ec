"""JAX: a norm is a `jax.custom_jvp` function; reverse mode is the transpose of forward mode.

The derivative of a gradient is a primitive of its own, linear in the direction. It is
self-adjoint, so its transpose is itself; and its state is computed apart from it, so that
`jax.linearize` factorizes once for any number of directions.
"""

import functools
from collections.abc import Callable
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from normgrad.arithmetic import Array, is_traced, real_inner
from normgrad.calculus import (
    EntrywiseDerivative,
    NormRule,
    ProxRule,
    RowDerivative,
    Rule,
    SpectralDerivative,
    StructuredDerivative,
    TrackedSpectral,
)
from normgrad.engines.base import Engine, OrderError
from normgrad.engines.jax_closure import bind_traced
from normgrad.factorizations import Columns, Coordinates, Image
from normgrad.matrices import Embedding

__all__ = ["ENGINE", "JaxEngine"]

jax.tree_util.register_dataclass(Columns, ["q"], [])
jax.tree_util.register_dataclass(Image, ["a", "w"], [])
jax.tree_util.register_dataclass(Coordinates, ["order", "phase"], ["rows"])
jax.tree_util.register_dataclass(SpectralDerivative, ["lift", "scaled"], ["degree"])
jax.tree_util.register_dataclass(EntrywiseDerivative, ["scaled", "value", "G"], ["norm", "tie"])
jax.tree_util.register_pytree_node(Embedding, Embedding.split, Embedding.joined)
jax.tree_util.register_dataclass(
    StructuredDerivative, ["parameters", "state", "scaled", "embedding"], ["degree"]
)
jax.tree_util.register_dataclass(RowDerivative, ["parameters", "state", "embedding"], [])


def _in_own_terms(f: Callable[..., Any], *operands: Array) -> Any:
    """Call f with JAX set as it is written for, however the program of the user has it.

    Products have the precision of their operands, not less, as on GPUs and TPUs; operands of
    different ranks and dtypes are combined as in NumPy.
    """
    with (
        jax.default_matmul_precision("highest"),
        jax.numpy_rank_promotion("allow"),
        jax.numpy_dtype_promotion("standard"),
    ):
        return f(*operands)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _compiled(rule: Rule, method: str, *operands: Array) -> Any:
    return _in_own_terms(getattr(rule, method), *operands)


def _run(rule: Any, method: str, x: Array, *operands: Array) -> Any:
    """Run a method of a rule, compiled, with what depends on known entries decided before."""
    if not is_traced(x):
        rule = _in_own_terms(rule.settled, x)
    if not rule.portable:
        return _in_own_terms(getattr(rule, method), x, *operands)
    return _compiled(rule, method, x, *operands)


def _of_each(rule: NormRule, method: str, x: Array) -> Any:
    """Run a method of a rule for which a mapped matrix is a batch.

    Mapped instead of its steps, every branch would run, and every loop for the slowest matrix.
    """
    if not is_traced(x) or not rule.portable:
        return _run(rule, method, x)
    run = jax.custom_batching.custom_vmap(functools.partial(_compiled, rule, method))

    @run.def_vmap
    def _of_batch(size: int, mapped: Any, x: Array) -> Any:
        result = _of_each(rule, method, x)
        return result, jax.tree_util.tree_map(lambda _: True, result)

    return run(x)


# --- the derivative of a lift: linear, self-adjoint ---

_derivative_p = Primitive("normgrad_derivative")


def _apply(*operands: Array, tree: Any, rank: int) -> Array:
    """Apply the Derivative with these leaves, of `rank` batch axes, to the last operand."""
    *leaves, E = operands
    return _in_own_terms(jax.tree_util.tree_unflatten(tree, leaves), E)


def _derivative_jvp(primals: Any, tangents: Any, *, tree: Any, rank: int) -> Any:
    *state_dot, E_dot = tangents
    if not all(type(t) is ad.Zero for t in state_dot):
        raise OrderError
    dG = _derivative_p.bind(*primals, tree=tree, rank=rank)
    if type(E_dot) is ad.Zero:
        return dG, E_dot
    return dG, _derivative_p.bind(*primals[:-1], E_dot, tree=tree, rank=rank)


def _derivative_transpose(ct: Any, *operands: Any, tree: Any, rank: int) -> Any:
    # JAX transposes for the pairing Re(sum(a * b)), without a conjugate
    *state, E = operands
    if type(ct) is ad.Zero:
        return [None] * len(state) + [ad.Zero(E.aval)]
    E_bar = jnp.conj(_derivative_p.bind(*state, jnp.conj(ct), tree=tree, rank=rank))
    return [None] * len(state) + [E_bar]


def _derivative_batch(operands: Any, dims: Any, *, tree: Any, rank: int) -> Any:
    *state, E = operands
    size = next(x.shape[d] for x, d in zip(operands, dims, strict=True) if d is not None)
    extra = E.ndim - 2 - (dims[-1] is not None) - rank
    if any(d is not None for d in dims[:-1]):
        # the state gets axes of length 1 where only the directions are batched
        state = [
            jnp.expand_dims(_front(x, d, size), tuple(range(1, 1 + extra)))
            for x, d in zip(state, dims[:-1], strict=True)
        ]
        rank += 1 + extra
    return _derivative_p.bind(*state, _front(E, dims[-1], size), tree=tree, rank=rank), 0


def _front(x: Array, dim: int | None, size: int) -> Array:
    if dim is None:
        return jnp.broadcast_to(x, (size, *x.shape))
    return jnp.moveaxis(x, dim, 0)


_derivative_p.def_impl(jax.jit(_apply, static_argnames=("tree", "rank")))
_derivative_p.def_abstract_eval(lambda *operands, tree, rank: operands[-1])
ad.primitive_jvps[_derivative_p] = _derivative_jvp
ad.primitive_transposes[_derivative_p] = _derivative_transpose
batching.primitive_batchers[_derivative_p] = _derivative_batch
mlir.register_lowering(_derivative_p, mlir.lower_fun(_apply, multiple_results=False))


def _bind(derivative: Any, E: Array) -> Array:
    leaves, tree = jax.tree_util.tree_flatten(derivative)
    if not getattr(derivative, "portable", True):
        return bind_traced(functools.partial(_apply, tree=tree, rank=0), *leaves, E)
    return _derivative_p.bind(*leaves, E, tree=tree, rank=E.ndim - 2)


@jax.custom_jvp
def _guard(x: Array) -> Array:
    """The identity, for the point at which a second derivative is taken: it has none of its own."""
    return x


@functools.partial(_guard.defjvp, symbolic_zeros=True)
def _guard_jvp(primals: Any, tangents: Any) -> Any:
    if type(tangents[0]) is not jax.custom_derivatives.SymbolicZero:
        raise OrderError
    return primals[0], tangents[0]


# --- norms ---

# (`traced`: the indices of a sparse matrix that are arguments of a compiled function)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _value(rule: NormRule, traced: Any, x: Array) -> Array:
    return _of_each(rule.joined(traced), "value", x)


@_value.defjvp
def _value_jvp(rule: NormRule, primals: Any, tangents: Any) -> Any:
    value, G = _value_and_gradient(rule, *primals)
    return value, real_inner(G, tangents[1])


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _value_and_gradient(rule: NormRule, traced: Any, x: Array) -> Any:
    return _of_each(rule.joined(traced), "value_and_gradient", x)


@_value_and_gradient.defjvp
def _value_and_gradient_jvp(rule: NormRule, primals: Any, tangents: Any) -> Any:
    (traced, x), (_, E) = primals, tangents
    value, G = _value_and_gradient(rule, traced, x)
    dG = _bind(_derivative(rule.joined(traced), x), E)
    return (value, G), (real_inner(G, E), dG)


def _derivative(rule: NormRule, x: Array) -> Any:
    return _run(rule, "derivative", _guard(x))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _linearized(rule: NormRule, x: Array) -> Any:
    return _run(rule, "linearized", x)


@_linearized.defjvp
def _linearized_jvp(rule: NormRule, primals: Any, tangents: Any) -> Any:
    value, G, derivative = _linearized(rule, *primals)
    # the zeros stop whoever wants the derivative of the derivative
    zeros = jax.tree.map(_zero_tangent, derivative)
    dG = _bind(derivative, *tangents)
    return (value, G, derivative), (real_inner(G, *tangents), dG, zeros)


def _zero_tangent(x: Array) -> Any:
    if jnp.issubdtype(x.dtype, jnp.inexact):
        return jnp.zeros_like(x)
    return np.zeros(x.shape, jax.dtypes.float0)


# --- proximal maps ---


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _prox(rule: ProxRule, traced: Any, x: Array, t: Array) -> Array:
    return _run(rule.joined(traced), "prox", x, t)


@_prox.defjvp
def _prox_jvp(rule: ProxRule, primals: Any, tangents: Any) -> Any:
    _, E, t_dot = tangents
    traced, x, t = primals
    joined = rule.joined(traced)
    P, derivative, in_t = _run(joined, "linearized", _guard(x), _guard(t))
    dP = _bind(derivative, E) + in_t * t_dot[..., None, None]
    return P, dP


@final
class JaxEngine(Engine):
    """JAX arrays and tracers."""

    name = "jax"

    def owns(self, x: Any) -> bool:
        return isinstance(x, jax.Array)

    def dense(self, x: Any) -> Array:
        return jnp.asarray(x)

    def default_float(self) -> Any:
        return jnp.result_type(float)

    def moveaxis(self, x: Array, source: tuple[int, int], destination: tuple[int, int]) -> Array:
        return jnp.moveaxis(x, source, destination)

    def astype(self, x: Array, dtype: Any) -> Array:
        return x.astype(dtype)

    def reshape(self, x: Array, shape: tuple[int, ...]) -> Array:
        return jnp.reshape(x, shape)

    def real(self, x: Array) -> Array:
        return jnp.real(x)

    def concatenate(self, arrays: list[Array]) -> Array:
        return jnp.concatenate(arrays, axis=-1)

    def number(self, t: Any, like: Array, shape: tuple[int, ...]) -> Array:
        return jnp.broadcast_to(jnp.asarray(t, dtype=like.real.dtype), shape)

    def value(self, rule: NormRule, x: Array) -> Array:
        traced, rule = rule.split()
        return _value(rule, traced, x)

    def value_and_gradient(self, rule: NormRule, x: Array) -> tuple[Array, Array]:
        traced, rule = rule.split()
        value, G = _value_and_gradient(rule, traced, x)
        return value, G

    def hessian(self, rule: NormRule, x: Array) -> Callable[[Array], Array]:
        derivative = _derivative(rule, x)
        return lambda E: _bind(derivative, E)

    def linearize(self, rule: NormRule, x: Array) -> tuple[Array, Callable[[Array], Array]]:
        if not rule.portable:
            return self.value_and_gradient(rule, x)[1], self.hessian(rule, x)
        _, G, derivative = _linearized(rule, x)
        return G, lambda E: _bind(derivative, E)

    def track(self, rule: TrackedSpectral, x: Array, state: Array | None) -> tuple[Array, ...]:
        return _compiled(rule, "track", jax.lax.stop_gradient(x), state)

    def constant(self, f: Callable[..., Array], *arrays: Array) -> Array:
        return _in_own_terms(f, *map(jax.lax.stop_gradient, arrays))

    def prox(self, rule: ProxRule, x: Array, t: Array) -> Array:
        traced, rule = rule.split()
        return _prox(rule, traced, x, t)


ENGINE = JaxEngine()
