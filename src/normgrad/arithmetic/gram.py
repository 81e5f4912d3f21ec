"""Products of a matrix with its own adjoint, of which one triangle is enough."""

import functools
import operator
import sys

from normgrad.arithmetic.namespace import Array, adjoint, is_torch, is_traced, namespace
from normgrad.arithmetic.precision import double, row_blocks

__all__ = ["gram", "gram_in_double"]

_PANELS, _SMALLEST = 4, 400
"""Panels of columns, which leave 5/8 of the work, and the side from which that is less time."""
_SMALLEST_FORMED = 128
_BARRIER_FROM = (0, 5)
"""The version of JAX that can map its barrier over a batch."""


def gram(A: Array) -> Array:
    """Return ``A^H A``.

    NumPy multiplies one triangle and mirrors it; for PyTorch that is done here, panel by panel.
    XLA, on CPUs, multiplies with A^H in half the time if it has been formed.
    """
    n = A.shape[-1]
    if is_traced(A) and n >= _SMALLEST_FORMED:
        jax = sys.modules["jax"]
        if jax.__version_info__ >= _BARRIER_FROM:
            return jax.lax.optimization_barrier(adjoint(A)) @ A
    if not is_torch(A) or A.ndim > 2 or n < _SMALLEST:
        return adjoint(A) @ A
    S, width = namespace(A).empty((n, n), dtype=A.dtype, device=A.device), -(-n // _PANELS)
    for start in range(0, n, width):
        panel, so_far = slice(start, start + width), slice(start + width)
        rows = adjoint(A[:, panel]) @ A[:, so_far]
        S[panel, so_far] = rows
        S[:start, panel] = adjoint(rows[:, :start])
    return S


def gram_in_double(A: Array, *, rounded: bool = False) -> Array:
    """Return ``A^H A`` in double precision, without a copy of a tall A in double precision.

    If `rounded`, the products of blocks of rows are in the precision of A, and their sum in double.
    """
    products = (double(gram(B)) if rounded else gram(double(B)) for B in row_blocks(A))
    return functools.reduce(operator.add, products)
