"""One small matrix, for which an SVD costs less than deciding how to have it."""

import numpy as np

from normgrad.arithmetic import Array, within_safe_range
from normgrad.calculus.tolerances import snap_to_zero, tolerances
from normgrad.norms import UnitarilyInvariantNorm

__all__ = ["is_small", "small_frobenius", "small_value_and_gradient"]

_ENTRIES = 100


def is_small(A: Array) -> bool:
    """Whether A is one matrix of few entries."""
    return A.ndim == 2 and 1 < A.size <= _ENTRIES


def small_value_and_gradient(norm: UnitarilyInvariantNorm, A: Array) -> tuple[Array, Array] | None:
    """Return the norm and its gradient ``U diag(mu) V^H``, or None where A must be scaled first."""
    try:
        U, s, Vh = np.linalg.svd(A, full_matrices=False)
    except np.linalg.LinAlgError:
        return None
    if not within_safe_range(s[0]):  # nor if it is 0, or NaN
        return None
    tol = tolerances(norm, A)
    seen = s if s[-1] > tol.rank * s[0] else snap_to_zero(s, tol)
    return norm.value(s), (U * norm.slope(seen, tol.tie)) @ Vh


def small_frobenius(A: Array) -> tuple[Array, Array] | None:
    """Return the Frobenius norm and its gradient, or None where A must be scaled first."""
    entries = A.ravel("K")
    value = np.sqrt(np.vdot(entries, entries).real)
    return (value, A / value) if within_safe_range(value) else None
