"""HIPS autograd: three primitives, with rules for both modes.

Autograd's cotangents pair with tangents as Re(sum(a * b)), without a conjugate: hence the
`conj` around each map that is self-adjoint for Re<a, b>.
"""

from collections.abc import Callable
from typing import Any, final

import autograd.numpy as anp
from autograd.extend import Box, defjvp, defvjp, primitive
from autograd.tracer import getval

from normgrad.arithmetic import Array
from normgrad.calculus import NormRule, ProxRule, TrackedSpectral
from normgrad.engines.base import Engine, OrderError
from normgrad.engines.numpy import ENGINE as NUMPY

__all__ = ["ENGINE", "AutogradEngine"]


class _Point:
    """What has been computed for one call: gradient and derivative, each at most once.

    If `linearized`, both are computed together.
    """

    def __init__(self, rule: Any, *, linearized: bool = False) -> None:
        self.rule = rule
        self.linearized = linearized
        self._gradient_at: Any = (None, None)
        self._derivative_at: Any = (None, None)

    def value(self, x: Array) -> Array:
        if self.linearized:
            value, G, derivative = NUMPY.linearized(self.rule, x)
            self._derivative_at = (x, derivative)
        else:
            value, G = NUMPY.value_and_gradient(self.rule, x)
        self._gradient_at = (x, G)
        return value

    def gradient(self, x: Array) -> Array:
        if self._gradient_at[0] is not x:
            self.value(x)
        return self._gradient_at[1]

    def derivative(self, x: Array) -> Any:
        if self._derivative_at[0] is not x:
            self._derivative_at = (x, NUMPY.derivative(self.rule, x))
        return self._derivative_at[1]


class _MapPoint:
    """The same for a map with a parameter; one factorization for all where that costs no more."""

    def __init__(self, rule: ProxRule) -> None:
        self.rule = rule
        self._derivatives_at: Any = (None, None)

    def image(self, x: Array, t: Array) -> Array:
        if not self.rule.is_complete:
            return NUMPY.prox(self.rule, x, t)
        P, *derivatives = NUMPY.linearized(self.rule, x, t)
        self._derivatives_at = (x, derivatives)
        return P

    def derivatives(self, x: Array, t: Array) -> Any:
        if self._derivatives_at[0] is not x:
            self._derivatives_at = (x, NUMPY.linearized(self.rule, x, t)[1:])
        return self._derivatives_at[1]

    def derivative(self, x: Array, t: Array) -> Any:
        return self.derivatives(x, t)[0]


@primitive
def _value(x: Array, point: _Point) -> Array:
    return point.value(x)


@primitive
def _gradient(x: Array, point: _Point) -> Array:
    return point.gradient(x)


@primitive
def _derivative(E: Array, point: _Point | _MapPoint, x: Array, *t: Array) -> Array:
    return NUMPY.apply(point.derivative(x, *t), E)


@primitive
def _prox(x: Array, t: Array, point: _MapPoint) -> Array:
    return point.image(x, t)


@primitive
def _prox_step(x: Array, t: Array, point: _MapPoint) -> Array:
    return point.derivatives(x, t)[1]


def _conj(x: Array) -> Array:
    return anp.conj(x) if anp.iscomplexobj(getval(x)) else x  # (of real numbers it is a copy)


def _inner(a: Array, b: Array) -> Array:
    return anp.sum(anp.real(_conj(a) * b), axis=(-2, -1))


@primitive
def _cast(x: Array, dtype: Any) -> Array:
    """Convert; autograd's own astype has no forward mode."""
    return NUMPY.astype(x, dtype)


def _as_cotangent(g: Array, x: Array) -> Array:
    """Return g in the precision of x; that of integers is not theirs."""
    return _cast(g, x.dtype) if anp.issubdtype(x.dtype, anp.inexact) else g


defvjp(_cast, lambda ans, x, dtype: lambda g: _as_cotangent(g, x), argnums=(0,))
defjvp(_cast, lambda g, ans, x, dtype: _cast(g, dtype), argnums=(0,))


def _each(a: Array) -> Array:
    return anp.reshape(a, (*anp.shape(a), 1, 1))


def _transposed(g: Array, point: _Point | _MapPoint, x: Array, *t: Array) -> Array:
    return _conj(_derivative(_conj(g), point, x, *t))


def _no_order_three(*_: Any, **__: Any) -> Any:
    raise OrderError


defvjp(
    _value,
    lambda ans, x, point: lambda g: _each(g) * _conj(_gradient(x, point)),
    argnums=(0,),
)
defjvp(_value, lambda g, ans, x, point: _inner(_gradient(x, point), g), argnums=(0,))
defvjp(_gradient, lambda ans, x, point: lambda g: _transposed(g, point, x), argnums=(0,))
defjvp(_gradient, lambda g, ans, x, point: _derivative(g, point, x), argnums=(0,))
defvjp(
    _derivative,
    lambda ans, E, point, x, *t: lambda g: _transposed(g, point, x, *t),
    _no_order_three,
    _no_order_three,
    argnums=(0, 2, 3),
)
defjvp(
    _derivative,
    lambda g, ans, E, point, x, *t: _derivative(g, point, x, *t),
    _no_order_three,
    _no_order_three,
    argnums=(0, 2, 3),
)
defvjp(
    _prox,
    lambda ans, x, t, point: lambda g: _transposed(g, point, x, t),
    lambda ans, x, t, point: lambda g: _inner(_conj(_prox_step(x, t, point)), g),
    argnums=(0, 1),
)
defjvp(
    _prox,
    lambda g, ans, x, t, point: _derivative(g, point, x, t),
    lambda g, ans, x, t, point: _each(g) * _prox_step(x, t, point),
    argnums=(0, 1),
)
defvjp(_prox_step, _no_order_three, _no_order_three, argnums=(0, 1))
defjvp(_prox_step, _no_order_three, _no_order_three, argnums=(0, 1))


@final
class AutogradEngine(Engine):
    """Arrays that HIPS autograd is tracing; others are NumPy's."""

    name = "autograd"

    def owns(self, x: Any) -> bool:
        return isinstance(x, Box)

    def dense(self, x: Any) -> Array:
        return x if self.owns(x) else NUMPY.dense(x)

    def default_float(self) -> Any:
        return anp.float64

    def moveaxis(self, x: Array, source: tuple[int, int], destination: tuple[int, int]) -> Array:
        return anp.moveaxis(x, source, destination)

    def astype(self, x: Array, dtype: Any) -> Array:
        return x if x.dtype == dtype else _cast(x, dtype)

    def reshape(self, x: Array, shape: tuple[int, ...]) -> Array:
        return anp.reshape(x, shape)

    def real(self, x: Array) -> Array:
        return anp.real(x)

    def concatenate(self, arrays: list[Array]) -> Array:
        return anp.concatenate(arrays, axis=-1)

    def number(self, t: Any, like: Array, shape: tuple[int, ...]) -> Array:
        return self.astype(t * anp.ones(shape), anp.real(like).dtype)

    def value(self, rule: NormRule, x: Array) -> Array:
        return _value(x, _Point(rule))

    def value_and_gradient(self, rule: NormRule, x: Array) -> tuple[Array, Array]:
        point = _Point(rule)
        return _value(x, point), _gradient(x, point)

    def hessian(self, rule: NormRule, x: Array) -> Callable[[Array], Array]:
        point = _Point(rule)
        return lambda E: _derivative(E, point, x)

    def linearize(self, rule: NormRule, x: Array) -> tuple[Array, Callable[[Array], Array]]:
        point = _Point(rule, linearized=True)
        return _gradient(x, point), lambda E: _derivative(E, point, x)

    def track(self, rule: TrackedSpectral, x: Array, state: Array | None) -> tuple[Array, ...]:
        return NUMPY.track(rule, getval(x), state)

    def constant(self, f: Callable[..., Array], *arrays: Array) -> Array:
        return NUMPY.constant(f, *map(getval, arrays))

    def prox(self, rule: ProxRule, x: Array, t: Array) -> Array:
        return _prox(x, t, _MapPoint(rule))


ENGINE = AutogradEngine()
