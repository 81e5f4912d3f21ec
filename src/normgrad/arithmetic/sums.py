"""Sums whose rounding error grows slowly with the number of terms."""

import functools
import sys
from collections.abc import Callable

from normgrad.arithmetic.namespace import Array, is_complex, is_jax, is_torch, namespace

__all__ = ["absolute_sum", "column_norms", "frobenius", "real_view", "summed_in_blocks"]

_SMALL = 256  # so few squares are added one after the other without loss


def _in_blocks(reduce: Callable[..., Array], x: Array, axis: int, block: int) -> Array:
    """Reduce along a negative `axis` in blocks, then the results, so that the error grows slowly.

    Libraries add up along a strided axis, or at all, one term after the other: in float32
    ten million ones then give 2**23. `reduce` takes an axis, and is its own continuation.
    """
    xp = namespace(x)
    n = x.shape[axis]
    if n <= 2 * block:
        return reduce(x, axis=axis)
    before, after = tuple(x.shape[:axis]), tuple(x.shape[axis:][1:])
    rest = (slice(None),) * len(after)
    head = n - n % block
    blocks = xp.reshape(x[(..., slice(head), *rest)], (*before, head // block, block, *after))
    partial = reduce(blocks, axis=axis)
    tail = xp.expand_dims(reduce(x[(..., slice(head, n), *rest)], axis=axis), axis=axis)
    return _in_blocks(reduce, xp.concat([partial, tail], axis=axis), axis, block)


def _sum(x: Array, axis: int) -> Array:
    return _in_blocks(namespace(x).sum, x, axis, 128)


def _torch_norm(x: Array, ord: int, axis: int) -> Array:
    """Return the vector norm as PyTorch has it: on all cores, and without a temporary."""

    def reduce(x: Array, axis: int) -> Array:
        return namespace(x).linalg.vector_norm(x, axis=axis, ord=ord)

    # (along a strided axis PyTorch is quick, and accurate, in short blocks only)
    return _in_blocks(reduce, x, axis, 256 if x.stride(axis) > 1 else 4096)


def _numpy_norm(x: Array, axis: int) -> Array:
    """Return the Euclidean norm as NumPy's BLAS has it: without a temporary."""

    def reduce(x: Array, axis: int) -> Array:
        xp = namespace(x)
        return xp.sqrt(xp.real(xp.vecdot(x, x, axis=axis)))

    return _in_blocks(reduce, x, axis, 1024)


def absolute_sum(A: Array, axis: int) -> Array:
    """Return the sums of absolute values along a negative `axis`."""
    if is_torch(A):  # (whose sum of the moduli of complex numbers takes four times as long)
        return _torch_norm(A.abs() if is_complex(A) else A, 1, axis)
    return _sum(namespace(A).abs(A), axis)


def frobenius(A: Array) -> Array:
    """Return the root of the sum of squares of each matrix, without any rescaling.

    One pass over `A`, no temporary of its size (but on XLA, which fuses it away, and for what is
    scattered in memory): the sums of squares along the axis that lies contiguous in memory, then
    their sum; small matrices are one sum each.
    """
    xp = namespace(A)
    if is_jax(A):
        squares = xp.real(A) ** 2 + xp.imag(A) ** 2 if is_complex(A) else A * A
        return xp.sqrt(_sum(_sum(squares, -1), -1))
    norm = functools.partial(_torch_norm, ord=2) if is_torch(A) else _numpy_norm
    if _by_columns(A):
        A = A.mT
    A = real_view(A)
    *batch, m, n = A.shape
    if m * n <= _SMALL:
        return norm(xp.reshape(A, (*batch, m * n)), axis=-1)
    return norm(norm(A, axis=-1), axis=-1)


def column_norms(A: Array) -> Array:
    """Return the Euclidean norm of each column."""
    return frobenius(A.mT[..., None, :])


def summed_in_blocks(Y: Array, A: Array) -> Array:
    """Return ``Y A``, for Y of not many rows: its rounding error grows slowly with those of A.

    Of entries of one size and sign all errors have one sign, too: a product of libraries is then
    off by some ``m eps / 10``.
    """
    xp, (k, m) = namespace(A), Y.shape
    block = 8 * max(8, k)  # the partial sums are an eighth of A, or less
    head = m - m % block
    if m <= 2 * block:
        return Y @ A
    blocks = xp.reshape(Y[:, :head], (k, -1, block)), xp.reshape(A[:head], (-1, block, A.shape[1]))
    return _sum(xp.moveaxis(blocks[0], 1, 0) @ blocks[1], -3) + Y[:, head:] @ A[head:]


def real_view(A: Array) -> Array:
    """Return A of PyTorch, if it is complex, as real and imaginary parts along the last axis.

    Its Frobenius norm of complex numbers takes a hundred times as long. What is real, or of a
    library without this fault, is returned as it is.
    """
    if not (is_torch(A) and is_complex(A)):
        return A
    return sys.modules["torch"].view_as_real(A.resolve_conj()).flatten(-2)


def _by_columns(A: Array) -> bool:
    """Whether the entries of each column lie closer in memory than those of each row."""
    strides = A.stride() if is_torch(A) else A.strides
    return A.shape[-2] > 1 and abs(strides[-2]) < abs(strides[-1])
