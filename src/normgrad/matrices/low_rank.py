"""Matrices known by two factors."""

from typing import Any, ClassVar, final

from normgrad.arithmetic import Array, adjoint
from normgrad.matrices.base import Matrix
from normgrad.matrices.checks import check_pair, like_parameter

__all__ = ["LowRank"]


@final
class LowRank(Matrix):
    r"""The product ``A = left @ right`` of a tall and a wide matrix, which is never formed.

    Parameters
    ----------
    left : (..., m, r) array
    right : (..., r, n) array

    Notes
    -----
    With ``left = Q_1 R_1`` and ``right^H = Q_2 R_2`` the singular values of A are those of the
    r x r matrix ``R_1 R_2^H``. Value, gradient and Hessian product cost O((m + n) r^2).

    The gradient is ``G right^H`` and ``left^H G`` for the subgradient G of least norm in the
    space of matrices; it is finite for factors of any rank, and does not depend on how A is
    factored. The second derivative is that of the norm as a function of both factors.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> A = normgrad.LowRank(np.array([[3.0], [0.0]]), np.array([[0.0, 1.0]]))
    >>> value, gradient = normgrad.value_and_grad(A, "nuc")
    >>> float(value), gradient.left.tolist(), gradient.right.tolist()
    (3.0, [[1.0], [0.0]], [[0.0, 3.0]])
    """

    names: ClassVar[tuple[str, str]] = ("left", "right")
    scaling: ClassVar = "each"
    left: Array
    right: Array

    def __init__(self, left: Any, right: Any) -> None:
        left, right = check_pair(left, right, self.names)
        if left.shape[-1] != right.shape[-2] or left.shape[:-2] != right.shape[:-2]:
            raise ValueError(
                "left (..., m, r) and right (..., r, n) must have the same r and the same batch "
                f"axes; got shapes {tuple(left.shape)} and {tuple(right.shape)}"
            )
        self.set((left, right))

    @property
    def shape(self) -> tuple[int, ...]:
        left, right = self.parameters
        return (*left.shape[:-1], right.shape[-1])

    @property
    def ranks(self) -> tuple[int, ...]:
        return (2, 2)

    @property
    def rank_bound(self) -> int:
        return min(*self.shape[-2:], self.parameters[0].shape[-1])

    def matmat(self, V: Array) -> Array:
        left, right = self.parameters
        return left @ (right @ V)

    def rmatmat(self, U: Array) -> Array:
        left, right = self.parameters
        return adjoint(right) @ (adjoint(left) @ U)

    def push(self, direction: Matrix, V: Array) -> Array:
        # dA = dL R + L dR
        (left, right), (dL, dR) = self.parameters, direction.parameters
        return dL @ (right @ V) + left @ (dR @ V)

    def push_adjoint(self, direction: Matrix, U: Array) -> Array:
        """Return ``dA^H U``."""
        (left, right), (dL, dR) = self.parameters, direction.parameters
        return adjoint(right) @ (adjoint(dL) @ U) + adjoint(dR) @ (adjoint(left) @ U)

    def pull(self, left: Array, right: Array) -> tuple[Array, ...]:
        # G R^H and L^H G
        L, R = self.parameters
        G_left = left @ adjoint(R @ right)
        G_right = (adjoint(L) @ left) @ adjoint(right)
        return like_parameter(G_left, L), like_parameter(G_right, R)

    def pull_derivative(self, direction: Matrix, left: Array, right: Array) -> tuple[Array, ...]:
        # G dR^H and dL^H G: A is bilinear
        return type(self).build(direction.parameters, None).pull(left, right)

    def transposed(self) -> "LowRank":
        left, right = self.parameters
        return self.build((right.swapaxes(-2, -1), left.swapaxes(-2, -1)), None)
