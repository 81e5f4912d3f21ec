"""What is not large, and costs less than deciding how to have it: straight to the usual way."""

import cmath
import functools
import math
from typing import Any

import numpy as np

from normgrad.arithmetic import (
    Array,
    namespace,
    phase,
    real_view,
    safe_exponent,
    within_safe_range,
)
from normgrad.calculus.lift import lift
from normgrad.calculus.tolerances import snap_to_zero
from normgrad.factorizations import Demand, Factorization, Spectrum
from normgrad.norms import AbsoluteSum, UnitarilyInvariantNorm

__all__ = [
    "is_small",
    "quick_value",
    "quick_value_and_gradient",
    "small_absolute_sum",
    "small_frobenius",
]

_ONE_THREAD, _TINY, _ONE_THREAD_TINY = 2**10, 16, 2**16
"""Entries up to which NumPy's BLAS has no threads; up to which a matrix is tiny; for such ones."""
_FEW, _SMALL, _SHORT = 2**13, 2**11, 2**8
"""Entries up to which the calls for a Frobenius norm, or for absolute sums, cost about as much.
And so many terms are added one after the other without loss."""


@functools.lru_cache(maxsize=1024)
def is_small(shape: tuple[int, ...]) -> bool:
    """Whether a stack of matrices is better left to NumPy, whose calls cost least.

    Not where its BLAS has threads: those spin for milliseconds, waiting for more, while
    PyTorch's would go on.
    """
    tiny = math.prod(shape[-2:]) <= _TINY
    return math.prod(shape) <= (_ONE_THREAD_TINY if tiny else _ONE_THREAD)


def quick_value_and_gradient(
    norm: UnitarilyInvariantNorm, A: Array, factorization: Factorization, demand: Demand
) -> tuple[Array, Array] | None:
    """Return the norm and its gradient by a factorization, by an SVD where its own test fails.

    None where A must be scaled first, is 0 or not finite, or where LAPACK fails.
    """
    if not _is_in_range(A):
        return None
    try:
        spectrum = _tried(A, factorization, demand)
        if spectrum is None:
            return _by_svd(norm, A, demand)
    except (np.linalg.LinAlgError, RuntimeError):
        return None
    if not _are_in_range(spectrum.s):
        return None
    s = _snapped(spectrum.s, demand)
    G = lift(spectrum, norm.slope(s, demand.tie), lambda: norm.curvature(s, demand.tie))
    return norm.value(spectrum.s), G


def _tried(A: Array, factorization: Factorization, demand: Demand) -> Spectrum | None:
    """Return what a factorization finds, or None: it is the SVD, or its own test fails."""
    if factorization.name == "svd":
        return None
    with np.errstate(all="ignore"):  # (that squares overflow is seen in s)
        spectrum, holds, _ = factorization.factorize(A, demand)
    return spectrum if (holds if isinstance(holds, bool) else holds.all()) else None


def _by_svd(norm: UnitarilyInvariantNorm, A: Array, demand: Demand) -> tuple[Array, Array] | None:
    xp = np if isinstance(A, np.ndarray) else namespace(A)
    U, s, Vh = xp.linalg.svd(A, full_matrices=False)
    if not _are_in_range(s):
        return None
    mu = norm.slope(_snapped(s, demand), demand.tie)
    return norm.value(s), (U * (mu if mu.ndim == 1 else mu[..., None, :])) @ Vh


def _is_in_range(A: Array) -> bool:
    """Whether one matrix is not 0 and needs no scaling, or a stack is finite.

    For NaN and inf LAPACK may not return.
    """
    if A.ndim > 2:
        with np.errstate(all="ignore"):
            return cmath.isfinite(A.sum().item())
    if isinstance(A, np.ndarray):
        size = math.sqrt(_sum_of_squares(A))
    else:
        size = namespace(A).linalg.vector_norm(real_view(A)).item()
    limit = 2.0 ** safe_exponent(A)
    return 1 / limit <= size <= limit


def _are_in_range(s: Array) -> bool:
    """Whether no matrix of a stack has to be scaled; of a single one `_is_in_range` tells."""
    return s.ndim == 1 or bool(within_safe_range(s[..., 0]).all())


def _snapped(s: Array, demand: Demand) -> Array:
    """Return s, with zeros for the singular values that count as zero, of which most have none."""
    if s.ndim == 1:
        some = s[-1].item() <= demand.rank * s[0].item()
    else:
        some = (s[..., -1] <= demand.rank * s[..., 0]).any()
    return snap_to_zero(s, demand.rank) if some else s


def quick_value(
    norm: UnitarilyInvariantNorm, A: Array, factorization: Factorization, demand: Demand
) -> Array | None:
    """Return the norm, or None as `quick_value_and_gradient`."""
    if not _is_in_range(A):
        return None
    try:
        spectrum = _tried(A, factorization, demand)
        if spectrum is not None:
            s = spectrum.s
        elif isinstance(A, np.ndarray):
            s = np.linalg.svd(A, compute_uv=False)
        else:
            s = namespace(A).linalg.svdvals(A)
    except (np.linalg.LinAlgError, RuntimeError):
        return None
    return norm.value(s) if _are_in_range(s) else None


def small_frobenius(A: Array) -> tuple[Array, Array] | None:
    """Return the norm of a small matrix, and its gradient; None where it must be scaled first."""
    if not isinstance(A, np.ndarray) or A.ndim > 2 or not 0 < A.size <= _FEW:
        return None
    value = np.sqrt(_sum_of_squares(A))
    return (value, A / value) if within_safe_range(value) else None


def _sum_of_squares(A: Array) -> Any:
    entries = A.ravel("K")
    return np.vdot(entries, entries).real


def small_absolute_sum(norm: AbsoluteSum, A: Array, tie: float) -> tuple[Array, Array] | None:
    """Return the norm of a small matrix and its gradient, if one line alone is extreme.

    None if several are, and where sums must be scaled first.
    """
    if not isinstance(A, np.ndarray) or A.ndim > 2 or not 0 < A.size <= _SMALL:
        return None
    if A.shape[norm.axis] > _SHORT or not _is_in_range(A):
        return None
    sums = np.abs(A).sum(axis=norm.axis)
    value = sums.max() if norm.largest else sums.min()
    (lines,) = norm.tied(sums, value, tie).nonzero()
    if len(lines) != 1:
        return None
    line = (..., lines[0]) if norm.axis == -2 else lines[0]
    G = np.zeros(A.shape, A.dtype)
    G[line] = _phase(A[line])
    return value, G


def _phase(z: Array) -> Array:
    if z.dtype.kind != "c":
        return np.sign(z)
    with np.errstate(invalid="ignore"):  # (of 0 it is 0/0 on its way)
        return phase(z)
