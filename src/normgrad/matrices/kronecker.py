"""Kronecker products."""

from typing import Any, ClassVar, final

from normgrad.arithmetic import Array, adjoint, conj, namespace
from normgrad.matrices.base import Matrix
from normgrad.matrices.checks import check_pair, like_parameter

__all__ = ["Kronecker"]


@final
class Kronecker(Matrix):
    r"""The Kronecker product ``A = a (x) b``, which is never formed.

    Parameters
    ----------
    a : (..., m_1, n_1) array
    b : (..., m_2, n_2) array

    Notes
    -----
    The singular values are the products of those of a and b. The Frobenius, nuclear,
    spectral and Schatten norms are products of norms; the Ky Fan norms, and norms with
    tolerances of their own, come from the sorted products. The cost is that of a and b alone.
    Second derivatives are there for the norms that are products.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> A = normgrad.Kronecker(np.eye(2), np.array([[3.0, 4.0]]))
    >>> A.shape, float(normgrad.matrix_norm(A, "nuc")), float(normgrad.matrix_norm(A, 2))
    ((2, 4), 10.0, 5.0)
    """

    names: ClassVar[tuple[str, str]] = ("a", "b")
    scaling: ClassVar = "each"
    a: Array
    b: Array

    def __init__(self, a: Any, b: Any) -> None:
        a, b = check_pair(a, b, self.names)
        if a.shape[:-2] != b.shape[:-2]:
            raise ValueError(
                "a and b must have the same batch axes; got shapes "
                f"{tuple(a.shape)} and {tuple(b.shape)}"
            )
        self.set((a, b))

    @property
    def shape(self) -> tuple[int, ...]:
        a, b = self.parameters
        return (*a.shape[:-2], a.shape[-2] * b.shape[-2], a.shape[-1] * b.shape[-1])

    @property
    def ranks(self) -> tuple[int, ...]:
        return (2, 2)

    @property
    def rank_bound(self) -> int:
        return min(self.parameters[0].shape[-2:]) * min(self.parameters[1].shape[-2:])

    def matmat(self, V: Array) -> Array:
        a, b = self.parameters
        return _product(a, b, V)

    def rmatmat(self, U: Array) -> Array:
        a, b = self.parameters
        return _product(adjoint(a), adjoint(b), U)

    def push(self, direction: Matrix, V: Array) -> Array:
        (a, b), (da, db) = self.parameters, direction.parameters
        return _product(da, b, V) + _product(a, db, V)

    def push_adjoint(self, direction: Matrix, U: Array) -> Array:
        (a, b), (da, db) = self.parameters, direction.parameters
        return _product(adjoint(da), adjoint(b), U) + _product(adjoint(a), adjoint(db), U)

    def pull(self, left: Array, right: Array) -> tuple[Array, ...]:
        # for a column of each as matrices L (m_1 x m_2) and R (n_1 x n_2):
        # <left right^H, a (x) b> = <L, a R b^T>,  G_a = L conj(b) R^H,  G_b = L^T conj(a) conj(R)
        a, b = self.parameters
        L, R = _folded(left, a.shape[-2], b.shape[-2]), _folded(right, a.shape[-1], b.shape[-1])
        xp = namespace(left)
        G_a = xp.sum(L @ conj(b)[..., None, :, :] @ adjoint(R), axis=-3)
        G_b = xp.sum(L.mT @ conj(a)[..., None, :, :] @ conj(R), axis=-3)
        return like_parameter(G_a, a), like_parameter(G_b, b)

    def pull_derivative(self, direction: Matrix, left: Array, right: Array) -> tuple[Array, ...]:
        return type(self).build(direction.parameters, None).pull(left, right)

    def transposed(self) -> "Kronecker":
        a, b = self.parameters
        return self.build((a.swapaxes(-2, -1), b.swapaxes(-2, -1)), None)


def _folded(V: Array, rows: int, columns: int) -> Array:
    """Return the columns of V as matrices, (..., k, rows, columns)."""
    xp = namespace(V)
    return xp.reshape(V.mT, (*V.shape[:-2], V.shape[-1], rows, columns))


def _product(a: Array, b: Array, V: Array) -> Array:
    # (a (x) b) vec(X) = vec(a X b^T), for X stacked by rows
    xp = namespace(V)
    X = a[..., None, :, :] @ _folded(V, a.shape[-1], b.shape[-1]) @ b[..., None, :, :].mT
    return xp.reshape(X, (*X.shape[:-2], X.shape[-2] * X.shape[-1])).mT
