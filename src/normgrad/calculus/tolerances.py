"""When a singular value counts as zero, and a gap as a tie: decided here and nowhere else."""

from typing import Any, NamedTuple

from normgrad.arithmetic import Array, machine_epsilon, namespace
from normgrad.norms import Norm

__all__ = ["Tolerances", "snap_to_zero", "tolerances", "tolerances_for"]


class Tolerances(NamedTuple):
    """Sizes relative to the largest singular value."""

    rank: float
    tie: float


def tolerances(norm: Norm, A: Array) -> Tolerances:
    """Return the tolerances of `norm` for arrays like A; see `tolerances_for`."""
    return tolerances_for(norm, max(*A.shape[-2:], 1), machine_epsilon(A))


def tolerances_for(norm: Norm, size: int, epsilon: float) -> Tolerances:
    """Return the tolerances of `norm`, by default ``8 sqrt(size) eps``, size being max(m, n).

    An SVD perturbs singular values by a modest multiple of eps, growing like ``sqrt(n)`` in
    practice: a bitwise test would return an arbitrary vector of a singular subspace, and
    ``max(m, n) eps`` merges true gaps of 1e-4 in float32.
    """
    default = 8 * size**0.5 * epsilon
    rank, tie = getattr(norm, "rank_tol", None), getattr(norm, "tie_tol", None)
    return Tolerances(_given(rank, default), _given(tie, default))


def _given(value: Any, default: float) -> float:
    return default if value is None else float(value)


def snap_to_zero(s: Array, rank: float) -> Array:
    """Return s, with zeros for the singular values that count as zero."""
    return namespace(s).where(s <= rank * s[..., :1], 0.0, s)
