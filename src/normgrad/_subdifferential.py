"""How far a matrix is from being a subgradient; and a thresholding that tells the rank."""

from typing import Any

from normgrad._argument import Argument, with_direction
from normgrad._convex import prox
from normgrad.arithmetic import EPSILON, Array, is_number
from normgrad.calculus import NormByEntries, nearest_subgradient, rank_after_threshold
from normgrad.engines import engine_of
from normgrad.matrices import as_matrix
from normgrad.norms import Frobenius, resolve

__all__ = ["in_subdifferential", "singular_value_threshold", "subgradient_distance"]


def subgradient_distance(
    x: Any, g: Any, ord: Any = "fro", *, axis: tuple[int, int] = (-2, -1)
) -> Array:
    r"""Return the Frobenius distance of g to the subdifferential of a norm at x.

    Parameters
    ----------
    x, axis
        As for `matrix_norm`.
    g : array of the shape of `x`
    ord : {"fro", "nuc", 2, 1, inf} or norm object
        Also ``Schatten(p)`` and ``KyFan(k)``; their tolerances decide what is tied, or zero.

    Returns
    -------
    (...) array
        0, up to rounding, for a subgradient: in convex optimisation, a certificate. NaN where
        an entry of x or g is not finite.

    Raises
    ------
    NotImplementedError
        For other norms.

    Notes
    -----
    The nearest subgradient has I on the singular values above the kink; on t tied ones the
    Hermitian part of ``U_t^H g V_t``, its eigenvalues moved into [0, 1] with the right sum; and
    on zeros that block of g, its singular values moved into the dual ball. For 1 and inf a convex
    combination of the tied columns (rows). At ``x = 0`` it is the projection on the dual ball.

    It has no derivative: arrays are taken as numbers, and so is the result.

    References
    ----------
    G. A. Watson, Characterization of the subdifferential of some matrix norms, Linear Algebra
    Appl. 170 (1992).

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> x = np.diag([2.0, 2.0, 1.0])
    >>> round(float(normgrad.subgradient_distance(x, np.diag([0.25, 0.75, 0.0]), 2)), 12)
    0.0
    >>> round(float(normgrad.subgradient_distance(x, np.diag([1.0, 1.0, 4.0]), "nuc")), 12)
    3.0
    """
    argument, given = _pair(x, g, axis)
    norm = resolve(ord)
    m, n = argument.x.shape[-2:]
    norm.check_shape(int(m), int(n))
    size = NormByEntries(Frobenius())

    def distance(A: Array, g: Array) -> Array:
        return size.value(g - nearest_subgradient(norm, A, g))

    return argument.like_value(argument.engine.constant(distance, argument.x, given))


def in_subdifferential(
    x: Any, g: Any, ord: Any = "fro", tol: float | None = None, *, axis: tuple[int, int] = (-2, -1)
) -> Array:
    r"""Return whether g is a subgradient of a norm at x.

    Parameters
    ----------
    x, g, ord, axis
        As for `subgradient_distance`.
    tol : float, optional
        The distance that is allowed; by default ``64 max(m, n) eps``, for what is exact up to
        rounding. That is too tight for iterates of a solver: give some multiple of its own
        tolerance, and where singular values only tend to zero, or to a tie, a norm that
        counts them as such, as ``Nuclear(rank_tol=1e-6)``.

    Returns
    -------
    (...) boolean array

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> x = np.diag([2.0, 1.0, 0.0])
    >>> bool(normgrad.in_subdifferential(x, normgrad.grad(x, "nuc"), "nuc"))
    True
    >>> bool(normgrad.in_subdifferential(x, np.eye(3), 2))
    False
    """
    if tol is not None and not (is_number(tol) and not getattr(tol, "shape", ()) and tol >= 0):
        raise ValueError(f"tol must be a nonnegative number; got {tol!r}")
    argument, _ = _pair(x, g, axis)
    if tol is None:
        tol = 64 * max(argument.x.shape[-2:]) * EPSILON[argument.dtype]
    return subgradient_distance(x, g, ord, axis=axis) <= tol


def _pair(x: Any, g: Any, axis: Any) -> tuple[Argument, Array]:
    for name, A in (("x", x), ("g", g)):
        if as_matrix(A) is not None:
            raise TypeError(
                f"subdifferentials are those of arrays; got a {type(A).__name__} as {name}: pass "
                f"{name}.dense(), for a sparse array {name}.toarray() (SciPy), {name}.to_dense() "
                f"(PyTorch) or {name}.todense() (JAX)"
            )
    argument, given = with_direction(x, g, axis, "g")
    assert isinstance(argument, Argument)
    return argument, given


def singular_value_threshold(
    x: Any, step: Any, *, axis: tuple[int, int] = (-2, -1), method: str = "auto"
) -> tuple[Array, Array]:
    r"""Return ``U diag((s - step)_+) V^H`` and its rank: `prox` of the nuclear norm.

    Parameters
    ----------
    x, step, axis, method
        As for `prox`; x is an array.

    Returns
    -------
    matrix : array of the shape and dtype of `x`
        Differentiable like `prox`.
    rank : (...) integer array
        How many singular values are above `step`; not differentiable, and computed apart.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> matrix, rank = normgrad.singular_value_threshold(np.diag([3.0, 1.0]), 2.0)
    >>> matrix, int(rank)
    (array([[1., 0.],
           [0., 0.]]), 1)
    """
    if as_matrix(x) is not None:
        raise TypeError(
            "singular_value_threshold counts the singular values of arrays; got a "
            f"{type(x).__name__}: prox(x, step, 'nuc') is the matrix alone, or pass x.dense()"
        )
    matrix = prox(x, step, "nuc", axis=axis, method=method)
    argument = Argument(x, axis, engine_of(x, step))
    t = argument.engine.number(step, argument.x, tuple(argument.x.shape[:-2]))
    return matrix, argument.engine.constant(rank_after_threshold, argument.x, t)
