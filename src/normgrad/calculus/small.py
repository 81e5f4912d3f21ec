"""One matrix that is not large, for which an SVD costs less than deciding how to have it."""

import math

import numpy as np

from normgrad.arithmetic import Array, is_jax, namespace, read_number, within_safe_range
from normgrad.calculus.tolerances import snap_to_zero, tolerances
from normgrad.norms import UnitarilyInvariantNorm

__all__ = [
    "is_moderate",
    "is_small",
    "quick_value",
    "quick_value_and_gradient",
    "small_frobenius",
]

_ENTRIES, _MOST = 100, 2**16


def is_small(A: Array) -> bool:
    """Whether A is one matrix of few entries, an array of NumPy; the usual way is an SVD."""
    return isinstance(A, np.ndarray) and A.ndim == 2 and 1 < A.size <= _ENTRIES


def is_moderate(A: Array) -> bool:
    """Whether A is one matrix of not too many entries, neither diagonal nor Hermitian.

    Two of its entries tell; where they do not, it may be neither all the same.
    """
    if A.ndim != 2 or not 1 < math.prod(A.shape) <= _MOST or is_jax(A):
        return False
    if is_small(A):
        return bool(A.item(1) != 0)
    if min(A.shape) == 1:
        return False
    first, second = read_number(A[0, 1]), read_number(A[1, 0])
    if not first or second is None:
        return False
    return A.shape[0] != A.shape[1] or first != second.conjugate()


def quick_value_and_gradient(norm: UnitarilyInvariantNorm, A: Array) -> tuple[Array, Array] | None:
    """Return the norm and its gradient ``U diag(mu) V^H``, or None where A must be scaled first."""
    xp = np if isinstance(A, np.ndarray) else namespace(A)
    try:
        U, s, Vh = xp.linalg.svd(A, full_matrices=False)
    except (np.linalg.LinAlgError, RuntimeError):
        return None
    if not within_safe_range(s[0]):  # nor if it is 0, or NaN
        return None
    tol = tolerances(norm, A)
    seen = s if s[-1] > tol.rank * s[0] else snap_to_zero(s, tol)
    return norm.value(s), (U * norm.slope(seen, tol.tie)) @ Vh


def quick_value(norm: UnitarilyInvariantNorm, A: Array) -> Array | None:
    """Return the norm, or None where A must be scaled first."""
    try:
        if isinstance(A, np.ndarray):
            s = np.linalg.svd(A, compute_uv=False)
        else:
            s = namespace(A).linalg.svdvals(A)
    except (np.linalg.LinAlgError, RuntimeError):
        return None
    return norm.value(s) if within_safe_range(s[0]) else None


def small_frobenius(A: Array) -> tuple[Array, Array] | None:
    """Return the Frobenius norm and its gradient, or None where A must be scaled first."""
    entries = A.ravel("K")
    value = np.sqrt(np.vdot(entries, entries).real)
    return (value, A / value) if within_safe_range(value) else None
