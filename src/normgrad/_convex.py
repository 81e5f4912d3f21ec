"""The convex analysis of a norm: dual norm, proximal map, projection and linear minimiser."""

import math
from collections.abc import Callable
from typing import Any

from normgrad._argument import (
    Argument,
    argument_of,
    dual_rule,
    oracle_rule,
    prepared,
    projection_rule,
    prox_rule,
)
from normgrad._structured import StructuredArgument
from normgrad.arithmetic import Array, is_number
from normgrad.calculus import FactoredMap, FactoredOracle, ProxRule
from normgrad.engines import engine_of
from normgrad.matrices import PSD, Hermitian, as_matrix
from normgrad.norms import Norm

__all__ = ["dual_norm", "lmo", "project", "prox"]


def dual_norm(
    x: Any,
    ord: Any = "fro",
    *,
    axis: tuple[int, int] = (-2, -1),
    keepdims: bool = False,
    method: str = "auto",
) -> Array:
    r"""Return the dual norm, ``max Re<x, z>`` over all z with ``||z|| <= 1``.

    Parameters
    ----------
    x, axis, keepdims, method
        As for `matrix_norm`; matrix types, too.
    ord : {"fro", "nuc", 2, 1, inf} or norm object
        The norm whose dual is wanted. Frobenius: itself. Nuclear and spectral: each other.
        ``Schatten(p)``: ``Schatten(p / (p - 1))``. ``KyFan(k)``: ``max(s_1, sum(s) / k)``.
        1 (inf): the sum over the columns (rows) of the largest modulus.

    Returns
    -------
    (...) array

    Raises
    ------
    NotImplementedError
        For other norms.

    Notes
    -----
    Differentiable to second order, like every norm; the gradient is the subgradient of least
    norm, a maximiser z.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> float(normgrad.dual_norm(np.diag([3.0, 1.0]), "nuc"))
    3.0
    """
    argument = argument_of(x, axis)
    rule = dual_rule(argument, ord, method)
    return argument.like_value(argument.engine.value(rule, argument.x), keepdims)


def prox(
    x: Any,
    step: Any,
    ord: Any = "fro",
    *,
    axis: tuple[int, int] = (-2, -1),
    method: str = "auto",
) -> Any:
    r"""Return the proximal point ``argmin_z step ||z|| + ||z - x||_F^2 / 2`` of a norm.

    Parameters
    ----------
    x, axis, method
        As for `matrix_norm`. Of the matrix types those that the result keeps: Diagonal and
        BlockDiagonal; Hermitian, PSD and LowRank for unitarily invariant norms; Sparse for "fro",
        1 and inf.
    step : float or array that broadcasts to the batch
        Not negative.
    ord : {"fro", "nuc", 2, 1, inf} or norm object
        Frobenius: block soft thresholding. Nuclear: soft thresholding of the singular
        values. Spectral: singular values clipped at the level that takes `step` off their
        sum. Ky Fan k: a level taken off the k largest, until they meet the next ones. Schatten
        p: Newton's method, for each singular value and around it for their norm, to rounding
        level. 1 and inf: the columns (rows) of largest sum, soft thresholded. Also for `Squared`
        of these, `HuberNuclear` and `WeightedNuclear`.

    Returns
    -------
    array of the shape and dtype of `x`, or matrix of its type

    Raises
    ------
    ValueError
        If `step` is a negative number. (In an array, a negative step gives NaN.)
    NotImplementedError
        For other norms.
    TypeError
        If the result is no matrix of the type of `x`.

    Notes
    -----
    Differentiable once, in x and in step. At the kinks (a singular value equal to the
    threshold) the derivative is that of the side on which it is removed or kept as it is; at
    step 0 that in x is the identity, and that in step the one for a growing step.

    The cost of a nuclear norm with its gradient: a Gram matrix where x is long or well conditioned,
    a sketch where its rank is low, else an SVD; where derivatives may be wanted an SVD, which
    serves them, too. For Ky Fan k work of the order of n^2 for n singular values besides.

    Diagonal: no factorization. BlockDiagonal: an SVD of each block, whose singular values are
    mapped together. LowRank: factors of the same shapes, ``U diag(g)^(1/2)`` and
    ``diag(g)^(1/2) V^H``, in O((m + n) r^2); they are not unique, and so not differentiable.

    References
    ----------
    J.-F. Cai, E. J. Candes, Z. Shen, A singular value thresholding algorithm for matrix
    completion, SIAM J. Optim. 20 (2010). N. Parikh, S. Boyd, Proximal algorithms, Found.
    Trends Optim. 1 (2014).

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> normgrad.prox(np.diag([3.0, 1.0]), 2.0, "nuc")
    array([[1., 0.],
           [0., 0.]])
    """
    return _mapped(prox_rule, "step", x, step, ord, axis, method)


def project(
    x: Any,
    radius: Any,
    ord: Any = "fro",
    *,
    axis: tuple[int, int] = (-2, -1),
    method: str = "auto",
) -> Any:
    r"""Return the nearest matrix, in the Frobenius norm, of norm at most `radius`.

    Parameters
    ----------
    x, axis, method
        As for `matrix_norm`; matrix types as for `prox`.
    radius : float or array that broadcasts to the batch
        Not negative. It comes before the norm: ``project(x, 2)`` has radius 2.
    ord : {"fro", "nuc", 2, 1, inf} or norm object
        Frobenius: x scaled. Spectral: singular values clipped. Nuclear: singular values
        projected on the l1 ball, by sorting. Ky Fan k: by the solution of every one of its
        linear pieces. Schatten p: as for `prox`. 1 and inf: each column (row) projected on the
        l1 ball, by sorting.

    Returns
    -------
    array of the shape and dtype of `x`, or matrix of its type
        ``x`` itself, bit by bit, inside of the ball; else of norm `radius`, up to rounding: to
        that of ``x``, where its norm is larger by many orders.

    Raises
    ------
    ValueError
        If `radius` is a negative number. (In an array, a negative radius gives NaN.)
    NotImplementedError
        For other norms.
    TypeError
        If the result is no matrix of the type of `x`.

    Notes
    -----
    ``project(x, r, ord) + prox(x, r, dual of ord) = x`` (Moreau). Differentiable once, in x and
    in radius. On the sphere the derivative is that of the inside, the identity; at other kinks
    and at radius 0 as for `prox`.

    References
    ----------
    J. Duchi et al., Efficient projections onto the l1-ball for learning in high dimensions,
    ICML 2008. B. Wu, C. Ding, D. Sun, K.-C. Toh, On the Moreau-Yosida regularization of the
    vector k-norm related functions, SIAM J. Optim. 24 (2014).

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> normgrad.project(np.diag([3.0, 1.0]), 2.0, 2)
    array([[2., 0.],
           [0., 1.]])
    """
    return _mapped(projection_rule, "radius", x, radius, ord, axis, method)


def lmo(
    x: Any,
    radius: Any = 1.0,
    ord: Any = "fro",
    *,
    axis: tuple[int, int] = (-2, -1),
    method: str = "auto",
) -> Any:
    r"""Return ``argmin Re<z, x>`` over ``||z|| <= radius``: the linear minimisation oracle.

    Parameters
    ----------
    x, axis, method
        As for `matrix_norm`. In the Frank-Wolfe method, x is the gradient of the objective.
        Matrix types as for `prox`, and every one for "nuc".
    radius : float or array that broadcasts to the batch
        Not negative. It comes before the norm: ``lmo(x, 2)`` has radius 2.
    ord : {"fro", "nuc", 2, 1, inf} or norm object
        Frobenius: ``-r x / ||x||``. Nuclear: ``-r u_1 v_1^H``. Spectral: ``-r U V^H`` (the
        polar factor). Others: -r times the gradient of their dual norm.

    Returns
    -------
    array of the shape and dtype of `x`, or matrix of its type
        For "nuc" a LowRank, ``-r u_1 v_1^H``, where the type has no such matrices; Hermitian
        where x is PSD. Where there are several minimisers, the one of least Frobenius norm: 0 at
        ``x = 0``, and the mean over a tie. ``Re<z, x> = -radius dual_norm(x, ord)``.

    Raises
    ------
    ValueError
        If `radius` is a negative number, or infinite. (In an array, a negative radius gives NaN.)
    NotImplementedError
        For other norms.

    Notes
    -----
    Differentiable once, in x (along the matrices of the same rank and the same ties, like the
    second derivative of a norm) and in radius; a LowRank is not. For the nuclear norm of a large
    matrix, one pair of singular vectors by Lanczos' method, so for a sparse matrix or an operator
    by products with vectors alone; see `explain`.

    References
    ----------
    M. Jaggi, Revisiting Frank-Wolfe: projection-free sparse convex optimization, ICML 2013.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> normgrad.lmo(np.diag([3.0, 1.0]), 2.0, "nuc")
    array([[-2., -0.],
           [-0., -0.]])
    """
    if isinstance(x, PSD):  # the minimiser is Hermitian alone
        x = Hermitian.build(x.parameters, x.static)
    if isinstance(radius, float) and math.isinf(radius):
        raise ValueError(
            "radius must be finite, as a linear function has no minimum without bound; got inf. "
            "The norm comes after it: lmo(x, 1.0, inf)"
        )
    return _mapped(oracle_rule, "radius", x, radius, ord, axis, method)


_ORDER: dict[Any, str] = {
    prox_rule: "prox(x, step, ord)",
    projection_rule: "project(x, radius, ord)",
    oracle_rule: "lmo(x, radius, ord), or lmo(x, ord='nuc')",
}
"""Of the arguments, for who gives a norm where a number is due."""


def _mapped(
    rule_of: Callable[[Any, Any, str], ProxRule],
    name: str,
    x: Any,
    t: Any,
    ord: Any,
    axis: Any,
    method: str,
) -> Any:
    """Return the image of x under the map with the parameter t, which is called `name`."""
    _check_number(name, t, _ORDER[rule_of])
    ready = prepared(rule_of, x, ord, axis, method) if isinstance(t, (int, float)) else None
    if ready is not None:
        engine, rule = ready
        return engine.prox(rule, x, engine.number(t, x, tuple(x.shape[:-2])))
    A = as_matrix(x)
    argument = (
        Argument(x, axis, engine_of(x, t))
        if A is None
        else StructuredArgument(A, axis, engine_of(*A.parameters, t))
    )
    rule = rule_of(argument, ord, method)
    batch = tuple(argument.x.shape[:-2])
    shape = () if isinstance(t, (int, float)) else tuple(getattr(t, "shape", ()))
    fits = len(shape) <= len(batch) and all(
        a in (1, b) for a, b in zip(shape[::-1], batch[::-1], strict=False)
    )
    if not fits:
        raise ValueError(
            f"{name} must be a number, or an array that broadcasts to the batch of shape {batch}; "
            f"got shape {shape}"
        )
    t = argument.engine.number(t, argument.x, batch)
    P = argument.engine.prox(rule, argument.x, t)
    if isinstance(rule, (FactoredMap, FactoredOracle)) and isinstance(argument, StructuredArgument):
        return argument.as_factors(P)
    return argument.like_matrix(P)


def _check_number(name: str, t: Any, order: str) -> None:
    if not is_number(t):
        dtype = getattr(t, "dtype", None)
        hint = f". The order is {order}" if isinstance(t, (str, Norm)) else ""
        raise TypeError(
            f"{name} must be a nonnegative number, or an array of them of the library of the "
            f"matrix, as np.array or torch.tensor make; got {type(t).__name__} "
            + (f"{t!r}" if dtype is None else f"of dtype {dtype}")
            + hint
        )
    if isinstance(t, (int, float)):
        try:
            valid = float(t) >= 0
        except OverflowError:
            raise ValueError(
                f"{name} must be a number that a float can hold; got an integer of "
                f"{int(t).bit_length()} bits"
            ) from None
        if not valid:
            raise ValueError(f"{name} must be a nonnegative number; got {t!r}")
