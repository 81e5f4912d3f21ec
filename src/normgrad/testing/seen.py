"""A matrix as a precision sees it: what counts as a tie or a zero there is one."""

from typing import Any

import numpy as np

from normgrad.arithmetic import absolute_sum, divide
from normgrad.calculus.tolerances import snap_to_zero, tolerances_for
from normgrad.norms import AbsoluteSum, EntrywiseNorm, Norm, UnitarilyInvariantNorm

__all__ = ["as_seen"]


def as_seen(norm: Norm, A: Any, epsilon: float) -> Any:
    """Return the matrix beside A whose ties and zeros are those that count as such, exactly.

    What is tied in float32 is not in float64, in which its derivatives are differenced: at
    the matrix that is returned they are those that `norm` has in float32 at A.
    """
    rank, tie = tolerances_for(norm, max(A.shape), epsilon)
    if isinstance(norm, EntrywiseNorm):
        return _with_tied_sums(getattr(norm, "norm", norm), A, tie)
    if isinstance(norm, UnitarilyInvariantNorm):
        U, s, Vh = np.linalg.svd(A, full_matrices=False)
        seen = _with_ties(norm, snap_to_zero(s, rank), tie)
        # (of the factors, not added to A: its ties are then better than the tolerance of float64)
        return A if np.array_equal(seen, s) else (U * seen) @ Vh
    return A


def _with_ties(norm: UnitarilyInvariantNorm, s: Any, tie: float) -> Any:
    """Return s, with their mean for those that have another slope because they count as tied."""
    with np.errstate(all="ignore"):
        mu, strict = norm.slope(s, tie), norm.slope(s, 0.0)
    apart = (np.diff(mu) != 0) | (s[:-1] - s[1:] > tie * s[0])
    cluster = np.concatenate([[0], np.cumsum(apart)])
    mean = np.bincount(cluster, s) / np.bincount(cluster)
    differs = np.bincount(cluster, mu != strict) > 0
    return np.where(differs[cluster], mean[cluster], s)


def _with_tied_sums(norm: Norm, A: Any, tie: float) -> Any:
    """Return A, the columns (rows) scaled whose sums count as the largest or smallest one."""
    if not isinstance(norm, AbsoluteSum):
        return A
    sums, value = absolute_sum(A, norm.axis), norm.of_entries(A)
    factor = np.where(norm.tied(sums, value, tie), divide(value + 0 * sums, sums), 1.0)
    return A * np.expand_dims(factor, norm.axis)
