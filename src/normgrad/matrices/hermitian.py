"""Hermitian and positive semidefinite matrices, by the caller's promise."""

from typing import Any, final

import numpy as np

from normgrad.arithmetic import (
    COMPUTED_IN,
    EPSILON,
    Array,
    adjoint,
    dtype_name,
    is_complex,
    is_number,
    is_readable,
    largest,
    namespace,
    single,
)
from normgrad.matrices.base import Matrix
from normgrad.matrices.checks import as_array, check_axes, check_factor
from normgrad.matrices.dense import ArrayMatrix, Dense

__all__ = ["PSD", "Hermitian", "HermitianMatrix"]


def _in_precision(matrix: Array) -> tuple[Array, float]:
    """Return a matrix in a dtype that is computed in, and the relative spacing of its own."""
    if is_number(matrix, "complex"):
        matrix = 1.0 * matrix  # (integers become the default float)
    name = dtype_name(matrix.dtype)
    if name not in EPSILON:
        raise TypeError(
            f"a matrix that is checked has real or complex numbers; got dtype {name}. Supported: "
            f"integers, {', '.join(EPSILON)}"
        )
    return (single(matrix) if name in COMPUTED_IN else matrix), EPSILON[name]


class HermitianMatrix(ArrayMatrix):
    """A matrix of which the caller promises that it is Hermitian."""

    def __init__(self, matrix: Any, *, check: bool = False) -> None:
        matrix = as_array(matrix, "the matrix")
        check_axes(matrix, 2, "the matrix")
        if matrix.shape[-1] != matrix.shape[-2]:
            raise ValueError(
                f"a Hermitian matrix is square; got shape {tuple(matrix.shape)}. The Hermitian "
                "dilation [[0, A], [A^H, 0]] of any matrix is"
            )
        if check:
            self.check(matrix)
        self.set((matrix,))

    @staticmethod
    def check(matrix: Array) -> None:
        """Raise ValueError if the promise does not hold."""
        if not is_readable(matrix):
            raise ValueError("check=True needs the entries, which are traced or on a device")
        matrix, epsilon = _in_precision(matrix)
        with np.errstate(invalid="ignore"):  # (inf - inf is NaN, and does not pass)
            off = largest(matrix - adjoint(matrix))
        allowed = 8 * matrix.shape[-1] ** 0.5 * epsilon * largest(matrix)
        if bool(namespace(matrix).any(~(off <= allowed))):
            raise ValueError(
                "the matrix is not Hermitian: an entry of A - A^H has the size "
                f"{float(namespace(off).max(off)):.3g}. Pass (A + A^H) / 2 if that is rounding, "
                "or the array itself, without a promise"
            )

    def rmatmat(self, U: Array) -> Array:
        return self.parameters[0] @ U

    def pull_dense(self, G: Array) -> tuple[Array, ...]:
        return ((G + adjoint(G)) / 2,)  # in the space of Hermitian matrices

    def __rmul__(self, factor: Any) -> Matrix:
        """Return the multiple: of the type for a number with which it keeps its promise."""
        check_factor(self, factor)
        multiple = factor * self.parameters[0]
        if isinstance(factor, complex) or (hasattr(factor, "dtype") and is_complex(factor)):
            return Dense(multiple)
        if isinstance(self, PSD) and isinstance(factor, (int, float)) and factor >= 0:
            return PSD(multiple)
        return Hermitian(multiple)

    __mul__ = __rmul__

    def transposed(self) -> "HermitianMatrix":
        return self.replace((self.parameters[0].swapaxes(-2, -1),))


@final
class Hermitian(HermitianMatrix):
    r"""A Hermitian matrix, ``A = A^H``: one eigenvalue problem instead of an SVD.

    Parameters
    ----------
    matrix : (..., n, n) array
        Taken at the caller's word: the lower triangle alone may be read.
    check : bool
        Whether to verify that it is Hermitian, up to rounding.

    Raises
    ------
    ValueError
        If it is not square; with `check`, if it is not Hermitian.

    Notes
    -----
    ``s = |lambda|``, ``U = Q sign(lambda)``, ``V = Q``. The gradient is Hermitian.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> A = normgrad.Hermitian(np.array([[0.0, 2.0], [2.0, 0.0]]))
    >>> float(normgrad.matrix_norm(A, "nuc"))
    4.0
    """


@final
class PSD(HermitianMatrix):
    r"""A Hermitian positive semidefinite matrix.

    Parameters
    ----------
    matrix : (..., n, n) array
        Taken at the caller's word.
    check : bool
        Whether to verify that it is Hermitian with no negative eigenvalue, up to rounding.

    Raises
    ------
    ValueError
        If it is not square; with `check`, if it is not Hermitian, or has a negative eigenvalue.

    Notes
    -----
    The nuclear norm is the trace: no factorization, with the gradient I on all of the cone,
    also where A is singular. (As a function of all matrices its subgradient of least norm would be
    the projector on the range of A there; `Hermitian` gives that.) The other norms cost one
    eigenvalue problem.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> value, gradient = normgrad.value_and_grad(normgrad.PSD(np.diag([2.0, 0.0])), "nuc")
    >>> float(value), gradient.matrix.tolist()
    (2.0, [[1.0, 0.0], [0.0, 1.0]])
    """

    @staticmethod
    def check(matrix: Array) -> None:
        HermitianMatrix.check(matrix)
        if 0 in matrix.shape:
            return
        xp = namespace(matrix)
        matrix, epsilon = _in_precision(matrix)
        least = xp.min(xp.linalg.eigvalsh(matrix), axis=-1)
        allowed = 8 * matrix.shape[-1] ** 1.5 * epsilon * largest(matrix)
        if bool(xp.any(least < -allowed)):
            raise ValueError(
                "the matrix is not positive semidefinite: it has the eigenvalue "
                f"{float(xp.min(least)):.3g}. Hermitian(matrix) takes any sign"
            )
