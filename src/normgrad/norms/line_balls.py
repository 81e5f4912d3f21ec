r"""Projections for the norms that sum or maximise moduli along the columns of a matrix.

Every map here takes from the moduli of a column, as far as they reach, one level:
``x = phase(a) (|a| - level)_+``. What differs is the level:

- in the ball of the largest absolute sum each column is projected on the l1 ball of radius r,
  by sorting: ``level(r) = max_j (|a|_1 + .. + |a|_j - r) / j``;
- the proximal map of that norm, with step t, projects the columns on l1 balls of one common
  radius ``tau``, with ``sum_columns level(tau) = t`` (Quattoni et al., An efficient projection
  for l1,inf regularization, 2009). The left side is convex, piecewise linear and decreasing:
  Newton's method from 0 reaches its root in finitely many steps.
"""

from typing import Any, NamedTuple

from normgrad.arithmetic import (
    Array,
    conj,
    divide,
    machine_epsilon,
    namespace,
    phase,
    real,
    while_loop,
)
from normgrad.norms.entrywise import EntrywiseProximal

__all__ = ["common_threshold", "line_threshold"]

_MOST = 200
"""Newton steps; each drops at least one entry from one column, usually many."""


class _Threshold(NamedTuple):
    """The derivative of ``phase(a) (|a| - level)_+``.

    Across its phase an entry turns with its modulus as the radius. Along it, a kept entry moves
    with E, less the change of its level: the mean over the kept in its column; and where the
    radius is common, less the means of all columns, which make the change of the radius.
    A zero entry has no phase, and all of E is across it: it stays 0 under a level, and else moves
    freely.

    Parameters
    ----------
    sign, kept : (..., m, n) array
    across : (..., m, n) array
        The quotient of the moduli, after and before; at a zero its limit, 0 or 1.
    share : (..., 1, n) array
        1/(number of kept entries) for each column with a level, else 0.
    common : (..., 1, 1) array
        1/(sum of the shares) if the radius is common, else 0.
    """

    sign: Array
    across: Array
    kept: Array
    share: Array
    common: Array

    def __call__(self, E: Array) -> Array:
        xp = namespace(E)
        along = real(conj(self.sign) * E)
        level = self.share * xp.sum(self.kept * along, axis=-2, keepdims=True)
        radius = self.common * xp.sum(level, axis=-1, keepdims=True)
        dX = self.sign * (self.kept * (along - level + self.share * radius))
        return dX + self.across * (E - self.sign * along)


class _Columns(NamedTuple):
    """The moduli of each column, sorted, for projections on l1 balls of any radius."""

    size: Array
    top: Array
    below: Array
    counts: Array

    @classmethod
    def of(cls, A: Array) -> "_Columns":
        xp = namespace(A)
        size = xp.abs(A)
        top = xp.max(size, axis=-2, keepdims=True)
        below = xp.cumulative_sum(xp.sort(top - size, axis=-2), axis=-2)
        counts = xp.cumulative_sum(xp.ones_like(size), axis=-2)
        return cls(size, top, below, counts)

    def reach(self, radius: Array) -> Array:
        """Return ``top - level``, (..., 1, n): precise also relative to a small radius."""
        xp = namespace(self.size)
        return xp.min((radius + self.below) / self.counts, axis=-2, keepdims=True)

    def kept(self, reach: Array) -> Array:
        """Return which entries stay above their level; of the largest there is always one."""
        xp = namespace(self.size)
        down = self.top - self.size
        return xp.astype((down < reach) | (down == 0), self.size.dtype)

    def share(self, reach: Array) -> Array:
        """Return 1/(number of kept entries) for the columns that are not inside of their ball."""
        xp = namespace(self.size)
        outside = xp.astype(reach <= self.top * (1 + 4 * machine_epsilon(reach)), reach.dtype)
        return outside / xp.sum(self.kept(reach), axis=-2, keepdims=True)

    def shrunken(self, A: Array, radius: Array, common: bool) -> EntrywiseProximal:
        """Return the map for known radii, with the derivative in them."""
        xp = namespace(A)
        reach, sign = self.reach(radius), phase(A)
        share = self.share(reach)
        kept = xp.where(share > 0, self.kept(reach), 1.0)
        left = kept * (reach - (self.top - self.size))
        size = xp.where(reach < self.top, left, self.size)
        none = xp.zeros_like(radius)
        total = xp.sum(share, axis=-1, keepdims=True)
        derivative = _Threshold(
            sign,
            divide(size, self.size, xp.where(share > 0, 0.0, 1.0)),
            kept,
            share,
            divide(xp.ones_like(total), total) if common else none,
        )
        return EntrywiseProximal(sign * size, sign * (kept * share), derivative)


def line_threshold(A: Array, radius: Array) -> EntrywiseProximal:
    """Return each column projected on the l1 ball of the radius, (...)."""
    return _Columns.of(A).shrunken(A, radius[..., None, None], common=False)


def common_threshold(A: Array, step: Array) -> EntrywiseProximal:
    """Return the proximal map of the largest absolute column sum."""
    xp = namespace(A)
    columns, t = _Columns.of(A), step[..., None, None]

    def newton(state: Any) -> Any:
        radius, _, count = state
        reach = columns.reach(radius)
        level = xp.maximum(columns.top - reach, xp.zeros_like(reach))
        excess = xp.sum(level, axis=-1, keepdims=True) - t
        share = xp.sum(columns.share(reach), axis=-1, keepdims=True)
        better = radius + divide(excess, share)
        moved = better > radius * (1 + 4 * machine_epsilon(radius))
        return xp.where(moved, better, radius), xp.any(moved), count + 1

    start = xp.zeros_like(t)
    state = start, xp.any(t >= 0), 0
    radius = while_loop(lambda state: state[1] & (state[2] < _MOST), newton, state)[0]
    point, in_radius, derivative = columns.shrunken(A, radius, common=True)
    # beyond the dual norm all is 0
    moving = xp.astype(xp.sum(columns.top, axis=-1, keepdims=True) > t, radius.dtype)
    derivative = derivative._replace(
        kept=moving * derivative.kept, across=moving * derivative.across
    )
    in_step = -moving * derivative.common * in_radius
    return EntrywiseProximal(moving * point, in_step, derivative).after(step, A)
