"""Matrices without parameters: their gradient is the one in the space of matrices, in factors."""

from typing import Any, final

from normgrad.arithmetic import Array, adjoint, namespace
from normgrad.matrices.base import Matrix
from normgrad.matrices.low_rank import LowRank

__all__ = ["Fixed"]


@final
class Fixed(Matrix):
    """A matrix that depends on nothing, as the argument of a norm.

    Its `pull` returns the factors themselves, of whatever rank.
    """

    def __init__(self, matrix: Matrix) -> None:
        self.set(matrix.parameters, (type(matrix), matrix.static))

    @property
    def matrix(self) -> Matrix:
        """Return the matrix."""
        static: Any = self.static
        return static[0].build(self.parameters, static[1])

    @classmethod
    def portable(cls, static: Any) -> bool:
        return False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.matrix.shape

    @property
    def ranks(self) -> tuple[int, ...]:
        return self.matrix.ranks

    @property
    def model(self) -> Array:
        return self.matrix.model

    def matmat(self, V: Array) -> Array:
        return self.matrix.matmat(V)

    def rmatmat(self, U: Array) -> Array:
        return self.matrix.rmatmat(U)

    def pull(self, left: Array, right: Array) -> tuple[Array, ...]:
        return left, right

    def push(self, direction: Matrix, V: Array) -> Array:
        raise NotImplementedError(
            f"a {type(self.matrix).__name__} without params has no directions in which it could "
            "move: there is no second derivative. Give params"
        )

    def gradient(self, row: Array) -> LowRank:
        """Return the matrix with the factors that `pull` returned, from their common row."""
        *batch, m, n = self.shape
        r = row.shape[-1] // (m + n) if m * n else 0
        xp = namespace(row)
        left = xp.reshape(row[..., : m * r], (*batch, m, r))
        right = xp.reshape(row[..., m * r : (m + n) * r], (*batch, n, r))
        return LowRank.build((left, adjoint(right)), None)
