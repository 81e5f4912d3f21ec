"""Sparse arrays of JAX."""

import sys
from typing import Any

import numpy as np

from normgrad.arithmetic import Array, is_traced, sums_at
from normgrad.matrices.pattern import Pattern
from normgrad.matrices.sparse import Sparse

__all__ = ["sparse_of_jax"]


def sparse_of_jax(x: Any) -> Sparse | None:
    """Return a BCOO or BCSR array of JAX as `Sparse`, differentiably; None for others.

    Its pattern are the stored positions, also of zeros; duplicates are added up. Where the
    indices are traced, as under `jax.jit`, the number of stored values stays, and positions
    outside of the matrix fill what duplicates leave free, as JAX itself does it.
    """
    sparse = sys.modules["jax.experimental.sparse"]
    if not isinstance(x, (sparse.BCOO, sparse.BCSR)):
        return None
    if x.ndim != 2 or x.n_batch or x.n_dense:
        raise ValueError(
            "a sparse array of JAX must be one matrix, with two sparse axes and neither batch nor "
            f"dense axes; got shape {tuple(x.shape)} with n_batch={x.n_batch}, "
            f"n_dense={x.n_dense}. For many with one pattern use jax.vmap over their data"
        )
    coo = x.to_bcoo() if isinstance(x, sparse.BCSR) else x
    if is_traced(coo.indices):
        if isinstance(x, sparse.BCSR) or not x.unique_indices:
            coo = coo.sum_duplicates(nse=coo.nse, remove_zeros=False)
        data, index = coo.data, coo.indices
    else:
        data, index = _distinct(coo)
    give = _give_bcsr if isinstance(x, sparse.BCSR) else _give_bcoo
    shape = tuple(x.shape)
    pattern = Pattern(index[:, 0], index[:, 1], shape, type(x).__name__, give, x.indices)
    return Sparse.build((pattern.masked(data),), pattern)


def _distinct(coo: Any) -> tuple[Array, Array]:
    """Return the values and known indices that are in the matrix, with duplicates added up."""
    index = np.asarray(coo.indices, dtype=np.int64)
    (kept,) = np.nonzero((index < coo.shape).all(axis=1))
    found, where = np.unique(index[kept], axis=0, return_inverse=True)
    if len(found) == len(index):
        return coo.data, index
    return sums_at(coo.data[kept], where.reshape(-1), len(found)), found


def _give_bcoo(pattern: Pattern, values: Array) -> Any:
    sparse, jnp = sys.modules["jax.experimental.sparse"], sys.modules["jax.numpy"]
    indices = jnp.stack([jnp.asarray(i) for i in (pattern.rows, pattern.columns)], axis=-1)
    return sparse.BCOO((values, indices), shape=pattern.shape, unique_indices=True)


def _give_bcsr(pattern: Pattern, values: Array) -> Any:
    return sys.modules["jax.experimental.sparse"].BCSR.from_bcoo(_give_bcoo(pattern, values))
