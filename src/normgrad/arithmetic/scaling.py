"""Exact scaling by powers of two.

A norm has degree 1 in its matrix, its gradient degree 0 and its Hessian degree -1, so
every formula is evaluated at ``A / 2**e`` with entries near 1, and the result shifted
back. Multiplication by a power of two is exact: the scaling costs no accuracy.
"""

import sys
from typing import Any

import numpy as np

from normgrad.arithmetic import xla
from normgrad.arithmetic.namespace import (
    Array,
    is_complex,
    is_jax,
    is_torch,
    machine_epsilon,
    namespace,
)

__all__ = ["exponent", "largest", "safe_exponent", "shift", "within_safe_range"]

_SHORT = 16  # up to so many entries NumPy reduces the whole batch quicker than each matrix


def safe_exponent(x: Array) -> int:
    """Return E such that sums of squares of entries within 2**-E .. 2**E keep full accuracy."""
    return 400 if machine_epsilon(x) < 1e-10 else 30


def within_safe_range(value: Array) -> Array:
    """Whether squares of numbers the size of `value` neither overflow nor underflow; NaN is not."""
    limit = 2.0 ** safe_exponent(value)
    return (value >= 1 / limit) & (value <= limit)


def largest(A: Array) -> Array:
    """Return the largest absolute real or imaginary part in each matrix; NaN if one is NaN.

    An empty matrix gives 0.
    """
    xp = namespace(A)
    if 0 in A.shape[-2:]:
        return xp.sum(xp.real(A) if is_complex(A) else A, axis=(-2, -1))
    if is_jax(A):
        return xla.largest(A)
    if is_complex(A):
        return xp.maximum(largest(xp.real(A)), largest(xp.imag(A)))
    axes = (-2, -1)
    if isinstance(A, np.ndarray) and A.ndim > 2 and A.shape[-2] * A.shape[-1] <= _SHORT:
        A, axes = np.moveaxis(A, axes, (0, 1)).copy(), (0, 1)
    return xp.maximum(xp.max(A, axis=axes), -xp.min(A, axis=axes))


def exponent(size: Array) -> Array:
    """Return the integer e with ``2**(e-1) <= size < 2**e``, and 0 where no scaling is needed.

    None is needed within the safe range, at zero, and at infinity and NaN, which no scaling mends.
    """
    xp = namespace(size)
    e = xla.frexp_exponent(size) if is_jax(size) else _library(size).frexp(size)[1]
    leave = within_safe_range(size) | (e == 0) | ~xp.isfinite(size)
    return xp.where(leave, xp.zeros_like(e), e)


def shift(x: Array, e: Array) -> Array:
    """Return ``x * 2**e``, exact unless the result is subnormal; `e` broadcasts from the left.

    The product is taken in three steps, because ``2**e`` itself, even its root, may overflow.
    """
    xp = namespace(x)
    e = xp.reshape(e, tuple(e.shape) + (1,) * (x.ndim - e.ndim)) if x.ndim > e.ndim else e
    if is_jax(x):
        return xla.ldexp(x, e)
    one = xp.ones_like(e, dtype=(xp.real(x) if is_complex(x) else x).dtype)
    ldexp = _library(x).ldexp
    third, half = e // 3, (e - e // 3) // 2
    return x * ldexp(one, third) * ldexp(one, half) * ldexp(one, e - third - half)


def _library(x: Array) -> Any:
    """Return NumPy or PyTorch itself: frexp and ldexp are not in the Array API standard."""
    return sys.modules["torch"] if is_torch(x) else np
