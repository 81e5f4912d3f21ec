"""Entrywise operations that hold for every magnitude."""

from collections.abc import Callable
from typing import Any

from normgrad.arithmetic import xla
from normgrad.arithmetic.control import number
from normgrad.arithmetic.namespace import Array, divide, is_complex, is_jax, namespace
from normgrad.arithmetic.scaling import exponent, largest, safe_exponent, shift

__all__ = [
    "conj",
    "conjugation",
    "in_order",
    "phase",
    "phase_derivative",
    "real",
    "real_inner",
    "vector_norm",
]


def conj(x: Array) -> Array:
    """Return the complex conjugate; `x` itself if it is real."""
    return namespace(x).conj(x) if is_complex(x) else x


def conjugation(x: Array) -> Callable[[Array], Array]:
    """Return what conjugates arrays of the dtype of `x`: `conj`, or the identity."""
    return conj if is_complex(x) else lambda y: y


def in_order(x: Array) -> Array:
    """Return x with the last axis contiguous in memory, and so on; the same entries."""
    return namespace(x).reshape(namespace(x).reshape(x, (-1,)), x.shape)


def real(x: Array) -> Array:
    """Return the real part; `x` itself if it is real."""
    return namespace(x).real(x) if is_complex(x) else x


def vector_norm(w: Array) -> Any:
    """Return the Euclidean norm of a vector, as a number, whose squares do not overflow."""
    return number(real(conj(w) @ w)) ** 0.5


def phase(z: Array) -> Array:
    """Return ``z / |z|``, and 0 where z is 0: the sign of a real number.

    Tiny and huge entries are first multiplied by a power of two: the quotient of two subnormal
    complex numbers overflows on its way, and the modulus of huge ones itself.
    """
    xp = namespace(z)
    if not is_complex(z):
        return xla.sign(z) if is_jax(z) else xp.sign(z)
    limit = safe_exponent(z)
    size = xp.maximum(xp.abs(xp.real(z)), xp.abs(xp.imag(z)))
    tiny, huge = size < 2.0**-limit, size > 2.0**limit
    up = (xp.astype(tiny, xp.int32) - xp.astype(huge, xp.int32)) * 2 * limit
    return xp.sign(xla.ldexp(z, up) if is_jax(z) else xp.where(up == 0, z, shift(z, up)))


def real_inner(a: Array, b: Array) -> Array:
    """Return ``Re <a, b>`` for each matrix."""
    xp = namespace(a)
    if not is_complex(a):
        return xp.sum(a * (xp.real(b) if is_complex(b) else b), axis=(-2, -1))
    return xp.sum(xp.real(xp.conj(a) * b), axis=(-2, -1))


def phase_derivative(A: Array, E: Array) -> Array:
    """Return the derivative of the phase, ``(e - sign Re(conj(sign) e)) / |a|``.

    That is the part of e that turns. A quotient that overflows is 0 instead: its entry counts
    as one of the zeros, which stay so.
    """
    xp = namespace(A)
    at, along = (exponent(largest(z[..., None, None])) for z in (A, E))  # of each entry
    A, E = shift(A, -at), shift(E, -along)
    sign = phase(A)
    turned = shift(divide(E - sign * real(conj(sign) * E), xp.abs(A)), along - at)
    return xp.where(xp.isinf(turned), xp.zeros_like(turned), turned)
