"""Structure recognised in dense arrays, by a scan that stops at the first entry against it."""

from normgrad.arithmetic import Array, namespace

__all__ = ["first_off_diagonal"]


def first_off_diagonal(A: Array) -> int | None:
    """Return a row in which some matrix of the batch has a nonzero off the diagonal, or None.

    NaN counts as nonzero. Rows are read in blocks that double in size, so a matrix that is
    not diagonal costs its first row, and one that is, one pass.
    """
    xp = namespace(A)
    m, n = A.shape[-2:]
    start, size = 0, 1
    while start < m:
        block = A[..., start : start + size, :]
        stop = start + block.shape[-2]
        nonzero = xp.count_nonzero(block)
        if int(nonzero) and start < n:
            corner = block[..., :, start : min(stop, n)]
            nonzero = nonzero - xp.count_nonzero(xp.linalg.diagonal(corner))
        if int(nonzero):
            return start
        start, size = stop, 2 * size
    return None
