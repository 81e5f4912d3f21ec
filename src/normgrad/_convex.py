"""Maps of convex analysis that are lifts, like the gradient."""

from typing import Any

from normgrad._argument import Argument, prox_rule
from normgrad.arithmetic import Array
from normgrad.engines import engine_of

__all__ = ["prox"]


def prox(
    x: Any,
    step: Any,
    ord: Any = "fro",
    *,
    axis: tuple[int, int] = (-2, -1),
    method: str = "auto",
) -> Array:
    r"""Return the proximal point ``argmin_z step ||z|| + ||z - x||_F^2 / 2`` of a norm.

    Parameters
    ----------
    x, axis, method
        As for `matrix_norm`.
    step : float or array that broadcasts to the batch
        Not negative.
    ord : {"fro", "nuc", 2} or norm object
        Frobenius: block soft thresholding. Nuclear: soft thresholding of the singular
        values. Spectral: singular values clipped at the level that takes `step` off their
        sum.

    Returns
    -------
    array of the shape and dtype of `x`

    Raises
    ------
    ValueError
        If `step` is a negative number. (In an array, a negative step gives NaN.)
    NotImplementedError
        For other norms.

    Notes
    -----
    Differentiable once, in x and in step. At the kinks (a singular value equal to the
    threshold) the derivative is that of the side on which it is removed or kept as it is.

    References
    ----------
    J.-F. Cai, E. J. Candes, Z. Shen, A singular value thresholding algorithm for matrix
    completion, SIAM J. Optim. 20 (2010).

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> normgrad.prox(np.diag([3.0, 1.0]), 2.0, "nuc")
    array([[1., 0.],
           [0., 0.]])
    """
    _check_step(step)
    argument = Argument(x, axis, engine_of(x, step))
    rule = prox_rule(argument, ord, method)
    batch = tuple(argument.x.shape[:-2])
    shape = () if isinstance(step, (int, float)) else tuple(getattr(step, "shape", ()))
    fits = len(shape) <= len(batch) and all(
        a in (1, b) for a, b in zip(shape[::-1], batch[::-1], strict=False)
    )
    if not fits:
        raise ValueError(
            f"step must be a number, or an array that broadcasts to the batch of shape {batch}; "
            f"got shape {shape}"
        )
    t = argument.engine.number(step, argument.x, batch)
    return argument.like_matrix(argument.engine.prox(rule, argument.x, t))


def _check_step(step: Any) -> None:
    if isinstance(step, (str, bytes, list, tuple, complex)) or step is None:
        raise TypeError(f"step must be a nonnegative number or an array of them; got {step!r}")
    if isinstance(step, (int, float)) and not step >= 0:
        raise ValueError(f"step must be a nonnegative number; got {step!r}")
