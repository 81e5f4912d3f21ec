"""The spectral norm of a matrix that moves slowly."""

from typing import Any

from normgrad._argument import Argument
from normgrad.arithmetic import Array
from normgrad.calculus import TrackedSpectral
from normgrad.engines import engine_of
from normgrad.factorizations import BLOCK

__all__ = ["check_tolerance", "track"]


def track(
    x: Any, state: Array | None = None, *, tol: float | None = None
) -> tuple[Array, Array, Array]:
    r"""Return the spectral norm, its gradient, and a state that makes the next call cheap.

    For a loop in which a matrix changes a little from step to step. Nothing is kept
    elsewhere: the state goes in and comes out, also through `jax.jit`.

    Parameters
    ----------
    x : (m, n) array
        NumPy, PyTorch or JAX; real, complex or integer, in any precision that `matrix_norm` takes.
    state : (min(m, n), min(m, n, 8)) array, optional
        What the last call returned; None for the first.
    tol : float, optional
        The residual ``|A^H u - s v| / s`` that is allowed. The default is rounding level,
        ``8 eps``. By a residual r the norm is low by about ``r^2 / (2 (1 - (s_2 / s_1)^2))``,
        relative to it, and its gradient has an error of about ``r / (1 - (s_2 / s_1)^2)``, once
        the vectors are those of the largest singular value. Where others are within about
        `tol` of it, a residual can not tell them apart, and the norm may be low by about `tol`.

    Returns
    -------
    value : () array
    gradient : (m, n) array
        ``u v^H``, with ``d||x|| = Re<gradient, dx>``. Where ``s_1`` is multiple this is one
        of many subgradients; `value_and_grad` returns the one of least norm.
    state : array

    Raises
    ------
    ValueError, TypeError
        If x is not one nonempty matrix, or tol is not a number from 0 to 1.

    Notes
    -----
    All three are plain numbers, not differentiable by an engine.

    Cost: two products with eight columns if x moved by less than `tol` allows; else
    Lanczos' method goes on from there, products with A and its adjoint of three vectors.

    Seven columns are near the leading singular vectors, and the last looks for others: whenever
    it has settled, a random one takes its place. So what overtakes the norm from a direction
    orthogonal to all of them, by moves along singular vectors alone as those of gradient descent on
    the norm itself, is seen some steps later, and until then the value is that of a smaller
    singular value. A move that is generic, as one by data is, shows it at once.
    `spectral_norm` never misses it.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> A = np.arange(12.0).reshape(4, 3)
    >>> value, gradient, state = normgrad.track(A)
    >>> value, gradient, state = normgrad.track(A + 1e-3, state, tol=1e-3)
    >>> abs(value - np.linalg.norm(A + 1e-3, 2)) < 1e-5
    np.True_
    """
    argument = Argument(x, (-2, -1))
    if argument.x.ndim != 2 or 0 in argument.x.shape:
        raise ValueError(
            f"track follows one matrix; got shape {tuple(argument.x.shape)}. Keep a state for "
            "each matrix of a batch, or use jax.vmap"
        )
    check_tolerance(tol)
    if state is not None:
        state = _state_of(argument, state)
    rule = TrackedSpectral(0.0 if tol is None else float(tol))
    value, G, state = argument.engine.track(rule, argument.x, state)
    return argument.like_value(value), argument.like_matrix(G), state


def check_tolerance(tol: Any) -> None:
    """Raise ValueError or TypeError unless this is None or a number from 0 to 1."""
    if tol is not None and (not isinstance(tol, (int, float)) or not 0 <= tol < 1):
        kind = ValueError if isinstance(tol, (int, float)) else TypeError
        raise kind(f"tol must be a number from 0 to 1, relative to the norm; got {tol!r}")


def _state_of(argument: Argument, state: Any) -> Array:
    """Return the state in the library and precision of the matrix."""
    if isinstance(state, (int, float)):
        raise TypeError(
            f"state is what the last call returned, or None; got {state!r}. The tolerance is given "
            "by keyword, as tol=1e-3"
        )
    engine, shape = engine_of(argument.x, state), tuple(argument.x.shape)
    if engine is not argument.engine:
        raise TypeError(
            f"state is an array of {engine.name}, but the matrix is one of {argument.engine.name}; "
            "pass both of one library"
        )
    columns = Argument(state, (-2, -1), engine).x
    if tuple(columns.shape) != (min(shape), min(*shape, BLOCK)):
        raise ValueError(
            f"state of shape {tuple(columns.shape)} does not belong to a matrix of shape {shape}: "
            f"it would be {(min(shape), min(*shape, BLOCK))}. Pass None for a matrix of a new shape"
        )
    return engine.astype(columns, argument.x.dtype)
