"""Sums whose rounding error grows slowly with the number of terms."""

from normgrad.arithmetic.namespace import Array, is_complex, is_jax, is_torch, namespace

__all__ = ["blocked_sum", "frobenius"]

_BLOCK = 128
_PIECE = 2**16


def blocked_sum(x: Array, axis: int) -> Array:
    """Sum over a negative `axis` in blocks, so that the error grows like log(n), not n.

    Libraries sum along a strided axis, or at all, one term after the other: in float32
    ten million ones then give 2**23.
    """
    xp = namespace(x)
    n = x.shape[axis]
    if n <= 4 * _BLOCK:
        return xp.sum(x, axis=axis)
    before, after = tuple(x.shape[:axis]), tuple(x.shape[axis:][1:])
    rest = (slice(None),) * len(after)
    head = n - n % _BLOCK
    blocks = xp.reshape(x[(..., slice(head), *rest)], (*before, head // _BLOCK, _BLOCK, *after))
    partial = xp.sum(blocks, axis=axis)
    tail = xp.sum(x[(..., slice(head, n), *rest)], axis=axis, keepdims=True)
    return blocked_sum(xp.concat([partial, tail], axis=axis), axis)


def frobenius(A: Array) -> Array:
    """Return the root of the sum of squares of each matrix, without any rescaling.

    One pass over `A`, no temporary of its size (but on XLA, which fuses it away): the sums
    of squares along the axis that lies contiguous in memory, then their sum.
    """
    xp = namespace(A)
    if is_jax(A):
        squares = xp.real(A) ** 2 + xp.imag(A) ** 2 if is_complex(A) else A * A
        return xp.sqrt(blocked_sum(blocked_sum(squares, -1), -1))
    if is_torch(A):
        # its norm is multi-threaded and makes no temporary; its vecdot does neither
        axis = _contiguous_axis(A, A.stride())
        pieces = A.split(_PIECE, dim=axis)  # it adds up a long row in few sums
        norms = [xp.linalg.vector_norm(piece, axis=axis) for piece in pieces]
        rows = norms[0] if len(norms) == 1 else xp.linalg.vector_norm(xp.stack(norms), axis=0)
        return xp.linalg.vector_norm(rows, axis=-1)
    squares = xp.vecdot(A, A, axis=_contiguous_axis(A, A.strides))
    return xp.sqrt(blocked_sum(xp.real(squares), -1))


def _contiguous_axis(A: Array, strides: tuple[int, ...]) -> int:
    """Return the axis of each matrix along which its entries lie closer in memory."""
    return -2 if abs(strides[-2]) < abs(strides[-1]) and A.shape[-2] > 1 else -1
