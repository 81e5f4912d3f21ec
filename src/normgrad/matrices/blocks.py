"""Matrices that are block diagonal in a basis known beforehand."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, final

import numpy as np

from normgrad.arithmetic import Array, adjoint, conj, identity, namespace
from normgrad.matrices.base import Matrix
from normgrad.matrices.checks import as_array, check_axes, check_shape, like_parameter, one_library

__all__ = ["BlockDiagonal", "BlockMatrix", "Diagonal"]


class BlockMatrix(Matrix):
    """A matrix ``W diag(B_1, ..., B_b) Z^H`` with fixed unitary W and Z: linear in its parameters.

    Its singular values are those of the blocks; so a factorization costs only theirs.
    """

    @abstractmethod
    def blocks(self) -> list[Array]:
        """Return the blocks, those of one shape together: arrays (..., b, p, q)."""

    @property
    def block_shapes(self) -> list[tuple[int, int, int]]:
        """Return (b, p, q) of each of them; nothing, if a matrix of the type has no such form."""
        return [tuple(B.shape[-3:]) for B in self.blocks()]

    @property
    def copies(self) -> tuple[int, ...]:
        """Return how often the singular values of each array of blocks are those of A."""
        return (1,) * len(self.block_shapes)

    @property
    def rank_bound(self) -> int:
        ranks = [b * min(p, q) for b, p, q in self.block_shapes]
        if not ranks:
            return min(self.shape[-2:])
        return sum(r * copies for r, copies in zip(ranks, self.copies, strict=True))

    @abstractmethod
    def pull_blocks(self, blocks: list[Array]) -> tuple[Array, ...]:
        """Return the gradient in each parameter, from those in the blocks: the adjoint."""


@final
class Diagonal(BlockMatrix):
    r"""The matrix with these entries on its diagonal, ``A_ii = diagonal_i``, and zeros elsewhere.

    Parameters
    ----------
    diagonal : (..., k) array
        Real or complex.
    shape : pair of int, optional
        ``(m, n)`` with ``min(m, n) = k``; k x k by default.

    Notes
    -----
    A norm costs O(k), or O(k log k) where it depends on the order of the entries.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> value, gradient = normgrad.value_and_grad(normgrad.Diagonal(np.array([3.0, -4.0])), "nuc")
    >>> float(value), gradient.diagonal
    (7.0, array([ 1., -1.]))
    """

    names: ClassVar = ("diagonal",)
    diagonal: Array
    static: tuple[int, int]

    def __init__(self, diagonal: Any, shape: tuple[int, int] | None = None) -> None:
        diagonal = as_array(diagonal, "the diagonal")
        check_axes(diagonal, 1, "the diagonal")
        k = diagonal.shape[-1]
        m, n = (k, k) if shape is None else check_shape(shape, "a diagonal matrix")
        if min(m, n) != k:
            raise ValueError(
                f"a diagonal of {k} entries is that of matrices with min(m, n) = {k}; "
                f"got shape {shape!r}"
            )
        self.set((diagonal,), (int(m), int(n)))

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.parameters[0].shape[:-1], *self.static)

    @property
    def ranks(self) -> tuple[int, ...]:
        return (1,)

    def blocks(self) -> list[Array]:
        return [self.parameters[0][..., None, None]]

    def pull_blocks(self, blocks: list[Array]) -> tuple[Array, ...]:
        return (blocks[0][..., 0, 0],)

    def matmat(self, V: Array) -> Array:
        k = self.parameters[0].shape[-1]
        return _with_rows(self.parameters[0][..., None] * V[..., :k, :], self.shape[-2])

    def rmatmat(self, U: Array) -> Array:
        k = self.parameters[0].shape[-1]
        return _with_rows(conj(self.parameters[0])[..., None] * U[..., :k, :], self.shape[-1])

    def pull(self, left: Array, right: Array) -> tuple[Array, ...]:
        d = self.parameters[0]
        k = d.shape[-1]
        product = left[..., :k, :] * conj(right[..., :k, :])
        return (like_parameter(namespace(d).sum(product, axis=-1), d),)

    def pull_dense(self, G: Array) -> tuple[Array, ...]:
        xp = namespace(G)
        diagonal = xp.asarray(xp.linalg.diagonal(G), copy=True)  # (NumPy's is read-only)
        return (like_parameter(diagonal, self.parameters[0]),)

    def pull_itself(self) -> tuple[Array, ...]:
        return self.parameters

    def transposed(self) -> "Diagonal":
        return self.build(self.parameters, self.static[::-1])


@final
class BlockDiagonal(BlockMatrix):
    r"""The block diagonal matrix ``diag(B_1, ..., B_b)``.

    Parameters
    ----------
    blocks : (..., b, p, q) array, or sequence of arrays (..., p_i, q_i)
        One array for blocks of one shape, which are then factorized together.

    Notes
    -----
    A norm costs an SVD of each block.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> A = normgrad.BlockDiagonal([np.eye(2), np.array([[3.0, 4.0]])])
    >>> A.shape, float(normgrad.matrix_norm(A, "nuc"))
    ((3, 4), 7.0)
    """

    def __init__(self, blocks: Any) -> None:
        if isinstance(blocks, Sequence) and not blocks:
            raise ValueError("expected at least one block; got an empty sequence")
        ragged = isinstance(blocks, Sequence) and len({np.shape(b) for b in blocks}) > 1
        if ragged or (isinstance(blocks, Sequence) and blocks and hasattr(blocks[0], "ndim")):
            parameters = tuple(as_array(block, "a block") for block in blocks)
            one_library(parameters, "the blocks")
            for block in parameters:
                check_axes(block, 2, "a block")
                if block.shape[:-2] != parameters[0].shape[:-2]:
                    raise ValueError(
                        "all blocks must have the same batch axes; got shapes "
                        f"{[tuple(b.shape) for b in parameters]}"
                    )
            self.set(parameters, "each")
        else:
            stack = as_array(blocks, "the blocks")
            check_axes(stack, 3, "the blocks")
            self.set((stack,), "stack")

    @property
    def ranks(self) -> tuple[int, ...]:
        return (3,) if self.static == "stack" else (2,) * len(self.parameters)

    @property
    def shape(self) -> tuple[int, ...]:
        groups = self.blocks()
        m, n = (sum(B.shape[-3] * B.shape[axis] for B in groups) for axis in (-2, -1))
        return (*groups[0].shape[:-3], m, n)

    def blocks(self) -> list[Array]:
        if self.static == "stack":
            return list(self.parameters)
        return [block[..., None, :, :] for block in self.parameters]

    def pull_blocks(self, blocks: list[Array]) -> tuple[Array, ...]:
        if self.static == "stack":
            return tuple(blocks)
        return tuple(block[..., 0, :, :] for block in blocks)

    def matmat(self, V: Array) -> Array:
        return self._by_blocks(self.blocks(), V)

    def rmatmat(self, U: Array) -> Array:
        return self._by_blocks([adjoint(B) for B in self.blocks()], U)

    def _by_blocks(self, groups: list[Array], V: Array) -> Array:
        xp = namespace(V)
        results, start = [], 0
        for B in groups:
            part, start = _rows(V, start, B.shape[-3], B.shape[-1])
            BV = B @ part
            results.append(xp.reshape(BV, (*BV.shape[:-3], -1, V.shape[-1])))
        return results[0] if len(results) == 1 else xp.concat(results, axis=-2)

    def pull(self, left: Array, right: Array) -> tuple[Array, ...]:
        results, i, j = [], 0, 0
        for B in self.blocks():
            b, p, q = B.shape[-3:]
            u, i = _rows(left, i, b, p)
            v, j = _rows(right, j, b, q)
            results.append(like_parameter(u @ adjoint(v), B))
        return self.pull_blocks(results)

    def pull_itself(self) -> tuple[Array, ...]:
        return self.parameters

    def transposed(self) -> "BlockDiagonal":
        return self.replace(tuple(block.swapaxes(-2, -1) for block in self.parameters))


def _rows(V: Array, start: int, b: int, p: int) -> tuple[Array, int]:
    """Return the next b sets of p rows, (..., b, p, k), and the row after them."""
    stop = start + b * p
    part = V[..., start:stop, :]
    return namespace(V).reshape(part, (*V.shape[:-2], b, p, V.shape[-1])), stop


def _with_rows(X: Array, m: int) -> Array:
    """Return X with zero rows added up to m."""
    xp = namespace(X)
    missing = m - X.shape[-2]
    if not missing:
        return X
    zeros = xp.zeros_like(X[..., :1, :]) * xp.ones_like(identity(missing, X)[:, :1])
    return xp.concat([X, zeros], axis=-2)
