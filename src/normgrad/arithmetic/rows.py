"""A few vectors at a time, as rows: their products with a matrix, and their QR decomposition.

A product of a matrix with a few vectors is a pass over the matrix, and takes hardly longer than
that with one vector, if the library's BLAS does not copy the matrix first into the order of
its kernels. Whether it does depends on how many vectors there are, on how the product is written,
and on whether the matrix comes in blocks; what is here is what was found quickest.
"""

from collections.abc import Callable

from normgrad.arithmetic.control import for_loop, put_block, window
from normgrad.arithmetic.entries import conjugation
from normgrad.arithmetic.namespace import (
    Array,
    adjoint,
    divide,
    is_jax,
    is_torch,
    is_traced,
    namespace,
)

__all__ = ["row_products", "row_qr", "rows_at_once"]

_NUMPY_ROWS = 64

Product = Callable[[Array], Array]


def rows_at_once(A: Array) -> int:
    """Return how many rows are multiplied with A in about the time of one."""
    return 3 if is_torch(A) else 4


def row_products(A: Array) -> tuple[Product, Product]:
    """Return the functions ``X -> X A^T`` and ``Y -> Y conj(A)``, of k rows each.

    Row x^T of the first becomes ``(A x)^T``, row y^T of the second ``(A^H y)^T``.
    """
    bar = conjugation(A)
    if _column_major(A):
        times, transposed = _from_right(A.mT), _from_left(A.mT)
    else:
        times, transposed = _from_left(A), _from_right(A)
    return times, lambda Y: bar(transposed(bar(Y)))


def _column_major(A: Array) -> bool:
    if is_jax(A):
        return False
    strides = A.stride() if is_torch(A) else A.strides
    return bool(strides[0] < strides[1])


def _blocks(A: Array) -> tuple[Array, Array]:
    """Return A, (m, n), in blocks of rows, (k, h, n), and the rows that are left over."""
    m, n = A.shape
    k = 1 if is_jax(A) else 2 if is_torch(A) else m // _NUMPY_ROWS
    k = min(max(k, 1), m)
    h = m // k
    return namespace(A).reshape(A[: k * h], (k, h, n)), A[k * h :]


def _from_left(A: Array) -> Product:
    """Return ``X -> X A^T``."""
    xp = namespace(A)
    if is_jax(A):
        return lambda X: (A @ X.mT).mT
    blocks, rest = _blocks(A)  # (``A X^T`` is quicker than ``X A^T``, if X^T is not copied)

    def product(X: Array) -> Array:
        Y = xp.reshape(blocks @ X.mT, (-1, X.shape[0]))
        return (xp.concat([Y, rest @ X.mT]) if rest.shape[0] else Y).mT

    return product


def _from_right(A: Array) -> Product:
    """Return ``Y -> Y A``."""
    xp = namespace(A)
    blocks, rest = _blocks(A)
    k, h, _ = blocks.shape
    if k == 1:
        return lambda Y: Y @ A

    def of_blocks(Y: Array) -> Array:
        # (a contiguous Y is split without a copy in either order)
        return xp.sum(xp.reshape(Y, (-1, k, h)).swapaxes(0, 1) @ blocks, axis=0)

    if not rest.shape[0]:
        return of_blocks
    return lambda Y: of_blocks(Y[:, : k * h]) + Y[:, k * h :] @ rest


def row_qr(W: Array) -> tuple[Array, Array]:
    """Return rows Q, orthonormal, and R, upper triangular, with ``W^T = Q^T R``.

    Where rows of W depend on others, what stands for them in Q means nothing.
    """
    if not is_traced(W):
        Q, R = namespace(W).linalg.qr(W.mT)
        return Q.mT, R
    # by the modified Gram-Schmidt process: XLA on CPUs was seen to stall in loops around LAPACK
    xp, k = namespace(W), W.shape[0]
    rows = xp.arange(k)[:, None]

    def step(i: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        W, R = state
        w = window(W, i, 1)
        size = xp.linalg.vector_norm(w)
        w = divide(w, size)
        r = xp.where(rows > i, W @ adjoint(w), 0.0)
        r = xp.where(rows == i, size, r)
        return put_block(W - xp.where(rows > i, r, 0.0) * w, (i, 0), w), put_block(R, (i, 0), r.mT)

    return for_loop(0, k, step, (W, 0 * W[:, :k]))
