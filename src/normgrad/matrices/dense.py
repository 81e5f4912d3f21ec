"""Arrays among the matrix types."""

from typing import Any, ClassVar, final

from normgrad.arithmetic import Array, adjoint, conj
from normgrad.matrices.base import Matrix
from normgrad.matrices.checks import as_array, check_axes, like_parameter

__all__ = ["ArrayMatrix", "Dense"]


class ArrayMatrix(Matrix):
    """A matrix whose parameter is the array of its entries."""

    names: ClassVar = ("matrix",)
    matrix: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.parameters[0].shape)

    @property
    def ranks(self) -> tuple[int, ...]:
        return (2,)

    def matmat(self, V: Array) -> Array:
        return self.parameters[0] @ V

    def pull(self, left: Array, right: Array) -> tuple[Array, ...]:
        return self.pull_dense(left @ adjoint(right))

    def pull_itself(self) -> tuple[Array, ...]:
        return self.parameters

    def dense(self) -> Array:
        return self.parameters[0]


@final
class Dense(ArrayMatrix):
    """An array as a term of a sum."""

    def __init__(self, matrix: Any) -> None:
        matrix = as_array(matrix, "a term")
        check_axes(matrix, 2, "a term")
        self.set((matrix,))

    def rmatmat(self, U: Array) -> Array:
        return adjoint(conj(U.mT @ conj(self.parameters[0])))  # without a copy of A

    def pull_dense(self, G: Array) -> tuple[Array, ...]:
        return (like_parameter(G, self.parameters[0]),)

    def push_dense(self, direction: Matrix) -> Array:
        return direction.dense()

    def given(self) -> Array:
        return self.parameters[0]
