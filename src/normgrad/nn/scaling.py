"""A weight brought to a spectral norm, in any library."""

import math
from numbers import Real
from typing import Any, Literal

from normgrad.arithmetic import Array, namespace

__all__ = ["Mode", "check_scaling", "scaled"]

Mode = Literal["normalise", "cap"]


def check_scaling(bound: Any, mode: Any) -> None:
    """Raise ValueError or TypeError if these say nothing about a norm."""
    if isinstance(bound, bool) or not isinstance(bound, Real):
        raise TypeError(f"bound must be a positive number; got {type(bound).__name__} {bound!r}")
    if not 0 < float(bound) < math.inf:
        raise ValueError(f"bound must be a positive, finite number; got {bound!r}")
    if mode not in ("normalise", "cap"):
        raise ValueError(
            f"mode={mode!r} is not known; valid: 'normalise' (the norm becomes the bound), 'cap' "
            "(a norm below the bound is left as it is)"
        )


def scaled(W: Array, norm: Array, bound: float, mode: Mode) -> Array:
    """Return ``W bound / norm``, or ``W min(1, bound / norm)``; 0 for W = 0.

    At W = 0 there is no derivative of the first; that of ``bound W`` is taken. Where the norm is
    the bound, the derivative of the second is that from below, the identity.
    """
    xp = namespace(W)
    if mode == "cap":
        divisor = xp.where(norm <= bound, xp.ones_like(norm), norm / bound)
    else:
        # (both branches of `where` are differentiated, so that the zero goes first)
        divisor = xp.where(norm == 0, xp.ones_like(norm), norm) / bound
    return W / divisor
