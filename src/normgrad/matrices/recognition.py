"""Structure recognised in dense arrays, by a scan that stops at the first entry against it."""

import numpy as np

from normgrad.arithmetic import Array, is_jax, namespace

__all__ = ["first_off_diagonal"]


def first_off_diagonal(A: Array) -> int | None:
    """Return a row in which some matrix of the batch has a nonzero off the diagonal, or None.

    NaN counts as nonzero. Rows are read in blocks that double in size, so a matrix that is
    not diagonal costs its first row, and one that is, one pass.
    """
    m, n = A.shape[-2:]
    start, size = 0, 1
    while start < m:
        block = A[..., start : start + size, :]
        if is_jax(A):  # XLA takes subnormal numbers for zero; NumPy does not
            block = np.asarray(block)
        xp = namespace(block)
        stop = start + block.shape[-2]
        nonzero = int(xp.count_nonzero(block))
        if nonzero and start < n:
            corner = block[..., :, start : min(stop, n)]
            nonzero -= int(xp.count_nonzero(xp.linalg.diagonal(corner)))
        if nonzero:
            return start
        start, size = stop, 2 * size
    return None
