"""What is not large, and costs less than deciding how to have it: straight to the usual way."""

import math

import numpy as np

from normgrad.arithmetic import Array, is_jax, namespace, read_number, within_safe_range
from normgrad.calculus.lift import lift
from normgrad.calculus.tolerances import snap_to_zero
from normgrad.factorizations import Demand, Factorization
from normgrad.norms import UnitarilyInvariantNorm

__all__ = [
    "is_moderate",
    "is_small",
    "quick_value",
    "quick_value_and_gradient",
    "small_frobenius",
]

_FEW, _MOST = 2**13, 2**16
"""Entries up to which calls cost more than arithmetic: of large matrices, of the tiniest."""
_TINY = 16
"""Entries up to which a matrix is one of those."""
_SMALL = 100
"""Entries up to which a matrix is not worth a look for what is special about it."""


def is_small(shape: tuple[int, ...]) -> bool:
    """Whether the calls for a stack of matrices cost more than the arithmetic, NumPy's least."""
    entries = math.prod(shape)
    return entries <= (_MOST if shape[-1] * shape[-2] <= _TINY else _FEW)


def is_moderate(A: Array) -> bool:
    """Whether A has not too many entries, and is neither diagonal nor Hermitian.

    Two entries of the first matrix tell; where they do not, it may be neither all the same.
    """
    if not 1 < math.prod(A.shape) <= _MOST or is_jax(A):
        return False
    if isinstance(A, np.ndarray) and A.size <= _SMALL:  # of so few no Hermitian ones are told apart
        return bool(A.item(1) != 0)
    if min(A.shape[-2:]) == 1:
        return False
    first = A[(0,) * (A.ndim - 2)]
    above, below = read_number(first[0, 1]), read_number(first[1, 0])
    if not above or below is None:
        return False
    return A.shape[-2] != A.shape[-1] or above != below.conjugate()


def quick_value_and_gradient(
    norm: UnitarilyInvariantNorm, A: Array, factorization: Factorization, demand: Demand
) -> tuple[Array, Array] | None:
    """Return the norm and its gradient by a factorization, by an SVD where its own test fails.

    None where A must be scaled first.
    """
    if not _is_finite(A):
        return None
    try:
        if factorization.name == "svd":
            return _by_svd(norm, A, demand)
        with np.errstate(all="ignore"):  # (that squares overflow is seen in s)
            spectrum, holds, _ = factorization.factorize(A, demand)
        if not (holds if isinstance(holds, bool) else holds.all()):
            return _by_svd(norm, A, demand)
    except (np.linalg.LinAlgError, RuntimeError):
        return None
    if not _is_safe(spectrum.s):
        return None
    s = _snapped(spectrum.s, demand)
    G = lift(spectrum, norm.slope(s, demand.tie), lambda: norm.curvature(s, demand.tie))
    return norm.value(spectrum.s), G


def _by_svd(norm: UnitarilyInvariantNorm, A: Array, demand: Demand) -> tuple[Array, Array] | None:
    xp = np if isinstance(A, np.ndarray) else namespace(A)
    U, s, Vh = xp.linalg.svd(A, full_matrices=False)
    if not _is_safe(s):
        return None
    mu = norm.slope(_snapped(s, demand), demand.tie)
    return norm.value(s), (U * (mu if mu.ndim == 1 else mu[..., None, :])) @ Vh


def _is_finite(A: Array) -> bool:
    """Whether no entry is NaN or inf, for which LAPACK may not return; nor too large to square."""
    if isinstance(A, np.ndarray):
        entries = A.ravel("K")
        return math.isfinite(np.vdot(entries, entries).real)
    return math.isfinite(namespace(A).linalg.vector_norm(A).item())


def _is_safe(s: Array) -> bool:
    """Whether the results need no scaling; not where all is 0, or NaN."""
    return bool(within_safe_range(s[0]) if s.ndim == 1 else within_safe_range(s[..., 0]).all())


def _snapped(s: Array, demand: Demand) -> Array:
    """Return s, with zeros for the singular values that count as zero, of which most have none."""
    last, first = (s[-1], s[0]) if s.ndim == 1 else (s[..., -1], s[..., 0])
    some = last <= demand.rank * first
    return snap_to_zero(s, demand.rank) if (some if s.ndim == 1 else some.any()) else s


def quick_value(norm: UnitarilyInvariantNorm, A: Array) -> Array | None:
    """Return the norm, or None where A must be scaled first."""
    if not _is_finite(A):
        return None
    try:
        if isinstance(A, np.ndarray):
            s = np.linalg.svd(A, compute_uv=False)
        else:
            s = namespace(A).linalg.svdvals(A)
    except (np.linalg.LinAlgError, RuntimeError):
        return None
    return norm.value(s) if _is_safe(s) else None


def small_frobenius(A: Array) -> tuple[Array, Array] | None:
    """Return the norm of a small matrix, and its gradient; None where it must be scaled first."""
    if not isinstance(A, np.ndarray) or A.ndim > 2 or not 0 < A.size <= _FEW:
        return None
    entries = A.ravel("K")
    value = np.sqrt(np.vdot(entries, entries).real)
    return (value, A / value) if within_safe_range(value) else None
