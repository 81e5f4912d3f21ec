"""Sums of entries that belong together, by an array of indices."""

import math

import numpy as np

from normgrad.arithmetic.namespace import Array, is_complex, is_jax, is_torch, namespace

__all__ = ["sums_at"]


def sums_at(x: Array, index: Array, count: int) -> Array:
    """Return ``y_i = sum of x_j with index_j = i``, (..., count) from (..., p).

    In JAX, what has an index beyond `count` is left out.
    """
    xp = namespace(x)
    shape = (*x.shape[:-1], count)
    if is_jax(x):
        return xp.zeros(shape, dtype=x.dtype).at[..., index].add(x, mode="drop")
    if is_torch(x):
        return xp.zeros(shape, dtype=x.dtype, device=x.device).index_add(-1, index, x)
    if is_complex(x):
        both = sums_at(np.real(x), index, count) + 1j * sums_at(np.imag(x), index, count)
        return both.astype(x.dtype, copy=False)
    each = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    rows = [np.bincount(index, row, count) for row in each]
    return np.reshape(np.asarray(rows), shape).astype(x.dtype, copy=False)
