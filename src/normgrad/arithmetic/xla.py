"""Subnormal numbers on XLA.

XLA's CPU code treats subnormal numbers as zero, in and out of every floating-point
operation. Their bits survive, so here they are read and written as integers. JAX is
taken from the array at hand; nothing is imported before the user has imported it.
"""

import sys
from typing import Any

from normgrad.arithmetic.namespace import Array, is_complex

__all__ = ["frexp_exponent", "largest", "ldexp", "sign"]


def _layout(x: Array) -> tuple[Any, int, int]:
    """Return the integer type, mantissa bits and exponent bias of a real dtype."""
    jnp = sys.modules["jax"].numpy
    return (jnp.int64, 52, 1023) if x.dtype == jnp.float64 else (jnp.int32, 23, 127)


def _decode(x: Array) -> tuple[Array, Array]:
    """Return (y, q) with ``x = y * 2**q`` and y zero or normal; q = 0 unless x is subnormal."""
    jax = sys.modules["jax"]
    jnp = jax.numpy
    integer, mantissa, bias = _layout(x)
    bits = jax.lax.bitcast_convert_type(x, integer)
    field = (bits >> mantissa) & (2 * bias + 1)
    fraction = (bits & ((1 << mantissa) - 1)).astype(x.dtype)  # exact: below 2**mantissa
    subnormal = field == 0
    y = jnp.where(subnormal, jnp.where(bits < 0, -fraction, fraction), x)
    q = jnp.where(subnormal, 1 - bias - mantissa, 0)
    return y, q.astype(jnp.int32)


def _power_of_two(e: Array, like: Array) -> Array:
    """Return 2**e exactly, for e within the normal range."""
    jax = sys.modules["jax"]
    integer, mantissa, bias = _layout(like)
    bits = (e.astype(integer) + bias) << mantissa
    return jax.lax.bitcast_convert_type(bits, like.dtype)


def largest(A: Array) -> Array:
    """Return the largest absolute real or imaginary part in each matrix; NaN if one is NaN.

    The bits of nonnegative floating-point numbers are ordered like the numbers, NaN last.
    """
    jax = sys.modules["jax"]
    parts = (A.real, A.imag) if is_complex(A) else (A,)
    integer, _, _ = _layout(parts[0])
    bits = [jax.lax.bitcast_convert_type(x, integer) & jax.numpy.iinfo(integer).max for x in parts]
    most = [jax.numpy.max(b, axis=(-2, -1)) for b in bits]
    top = most[0] if len(most) == 1 else jax.numpy.maximum(*most)
    return jax.lax.bitcast_convert_type(top, parts[0].dtype)


def frexp_exponent(x: Array) -> Array:
    """Return e with ``2**(e-1) <= |x| < 2**e`` for finite x, subnormal too; 0 at 0."""
    jax = sys.modules["jax"]
    jnp = jax.numpy
    integer, mantissa, bias = _layout(x)
    y, q = _decode(x)
    field = (jax.lax.bitcast_convert_type(y, integer) >> mantissa) & (2 * bias + 1)
    return jnp.where(y == 0, 0, field.astype(jnp.int32) - (bias - 1) + q)


def sign(x: Array) -> Array:
    """Return the sign of real numbers, that of subnormal ones too."""
    return sys.modules["jax"].numpy.sign(_decode(x)[0])


def ldexp(x: Array, e: Array) -> Array:
    """Return ``x * 2**e``, right also where x or the result is subnormal."""
    jax = sys.modules["jax"]
    jnp = jax.numpy
    if is_complex(x):
        return jax.lax.complex(ldexp(x.real, e), ldexp(x.imag, e))
    integer, mantissa, bias = _layout(x)
    y, q = _decode(x)
    e = e + q
    # e can reach twice the exponent range, so 2**e is applied in three factors; the
    # partial products lie between y and the result, so none of them under- or overflows
    third = jnp.clip(e // 3, 2 - bias, bias)
    two_thirds = jnp.clip((e - third) // 2, 2 - bias, bias)
    rest = jnp.clip(e - third - two_thirds, 2 - bias, bias)
    z = y
    for factor in (third, two_thirds, rest):
        z = z * _power_of_two(factor, x)
    # a subnormal result is an integer multiple of the smallest one: build its bits
    field = (jax.lax.bitcast_convert_type(y, integer) >> mantissa) & (2 * bias + 1)
    tiny = (y != 0) & jnp.isfinite(y) & (field.astype(jnp.int32) - bias + e < 1 - bias)
    up = jnp.where(tiny, e + bias - 1 + mantissa, 0)
    up = jnp.clip(up, 2 - bias, bias)
    count = jnp.round(jnp.where(tiny, y, 0) * _power_of_two(up, x)).astype(integer)
    bits = jnp.abs(count) | jnp.where(count < 0, jnp.iinfo(integer).min, 0).astype(integer)
    return jnp.where(tiny, jax.lax.bitcast_convert_type(bits, x.dtype), z)
