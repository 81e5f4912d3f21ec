"""The unitary polar factor."""

from typing import Any

from normgrad._argument import Argument, norm_rule
from normgrad._convex import lmo
from normgrad.calculus import NormRule, PolarByIteration
from normgrad.factorizations import check_method
from normgrad.matrices import PSD, as_matrix
from normgrad.norms import Nuclear, Spectral

__all__ = ["polar"]


def polar(
    x: Any,
    method: str = "auto",
    *,
    axis: tuple[int, int] = (-2, -1),
    rank_tol: float | None = None,
) -> Any:
    r"""Return the polar factor ``U_r V_r^H``, the nearest partial isometry of the same range.

    Parameters
    ----------
    x, axis
        As for `matrix_norm`. Of the matrix types: Diagonal, BlockDiagonal, Hermitian, PSD, LowRank.
    method : str
        "auto", or a factorization named by `explain`: by singular values. "iteration": by
        matrix products alone (odd polynomials of degree 5, each the best for where the singular
        values are by then), 3 for each of 13 steps in double precision and of 8 in single.
    rank_tol : float, optional
        Singular values up to ``rank_tol * s_1`` count as zero, as for `Nuclear`; by default
        ``8 sqrt(max(m, n)) eps``, below which a matrix with rounded entries has none to tell.

    Returns
    -------
    array of the shape and dtype of `x`, or matrix of its type
        The gradient of the nuclear norm. With orthonormal columns, or rows if x is wide, if x
        has full rank; else the sum over the nonzero singular values, not completed to a unitary
        matrix, as is `scipy.linalg.polar`.

    Notes
    -----
    "iteration" is for singular values within a factor of about 1e6 (float32: 1e3) of each
    other. It tests its result, ``||X^H X - I||_F <= 32 n eps`` for n columns; each matrix of a
    batch that fails, as one that is rank deficient does, gets the factor by singular values
    (also in a compiled function). Where it passes, its error in the 2-norm is at most
    ``5 sqrt(n) eps s_1 / s_n``, as measured. float16 and bfloat16 are computed in float32.

    Differentiable once, along the matrices of the same rank; as a LowRank, not at all. The
    derivative takes singular values, whatever the method.

    References
    ----------
    N. Amsel, D. Persson, C. Musco, R. Gower, The Polar Express: optimal matrix sign methods and
    their application to the Muon algorithm (2025). N. Higham, Functions of Matrices (2008), ch. 8.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> normgrad.polar(np.array([[0.0, 3.0], [-2.0, 0.0]]))
    array([[ 0.,  1.],
           [-1.,  0.]])
    """
    A = as_matrix(x)
    if A is not None:
        try:
            P = -lmo(A, 1.0, Spectral(rank_tol=rank_tol), axis=axis, method=method)
        except TypeError as error:
            raise TypeError(
                f"the polar factor of a {type(A).__name__} is not of its type, or is not "
                "available; it is for Diagonal, BlockDiagonal, Hermitian, PSD and LowRank. Pass "
                "the matrix as an array, x.dense(); for a sparse array x.toarray() (SciPy), "
                "x.to_dense() (PyTorch) or x.todense() (JAX)"
            ) from error
        return PSD.build(P.parameters, P.static) if isinstance(A, PSD) else P
    argument = Argument(x, axis)
    norm = Nuclear(rank_tol)
    rule: NormRule = PolarByIteration(norm)
    check_method(method, "iteration")
    if method != "iteration":
        rule = norm_rule(argument, norm, method)
    return argument.like_matrix(argument.engine.value_and_gradient(rule, argument.x)[1])
