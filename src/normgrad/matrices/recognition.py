"""Structure recognised in dense arrays, by a scan that stops at the first entry against it."""

import numpy as np

from normgrad.arithmetic import Array, adjoint, is_jax, is_readable, namespace, read_integer

__all__ = ["first_not_hermitian", "first_off_diagonal"]


def first_off_diagonal(A: Array) -> int | None:
    """Return a row from which some matrix of the batch has a nonzero off the diagonal, or None.

    It is -1 where the entries cannot be read. NaN counts as nonzero. Rows are read in blocks
    that double in size, so a matrix that is not diagonal costs its first row, and one that
    is, one pass.
    """
    m, n = A.shape[-2:]
    if not is_readable(A):
        return -1
    if is_jax(A):
        A = np.asarray(A)  # the same memory; XLA takes subnormal numbers for zero
    xp = namespace(A)
    start, size = 0, 1
    while start < m:
        block = A[..., start : start + size, :]
        stop = start + block.shape[-2]
        nonzero = read_integer(xp.count_nonzero(block))
        if nonzero is None:
            return -1
        if nonzero and start < n:
            corner = block[..., :, start : min(stop, n)]
            nonzero -= int(xp.count_nonzero(xp.linalg.diagonal(corner)))
        if nonzero:
            return start
        start, size = stop, 2 * size
    return None


def first_not_hermitian(A: Array) -> int | None:
    """Return a row from which some matrix of the batch differs from its adjoint, or None.

    It is -1 where the entries cannot be read. NaN differs. As for `first_off_diagonal`, a
    matrix that is not Hermitian costs its first row, and one that is, one pass.
    """
    n = A.shape[-1]
    if not is_readable(A):
        return -1
    if is_jax(A):
        A = np.asarray(A)  # (as above)
    xp = namespace(A)
    start, size = 0, 1
    while start < n:
        stop = min(start + size, n)
        row, column = A[..., start:stop, start:], A[..., start:, start:stop]
        differ = read_integer(xp.count_nonzero(row != adjoint(column)))
        if differ is None:
            return -1
        if differ:
            return start
        start, size = stop, 2 * size
    return None
