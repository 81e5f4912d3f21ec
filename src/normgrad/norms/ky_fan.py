"""The Ky Fan norms."""

import operator
from dataclasses import dataclass
from typing import Any, final

from normgrad.arithmetic import Array, divide, machine_epsilon, namespace
from normgrad.norms.base import Curvature, Norm, Proximal, UnitarilyInvariantNorm
from normgrad.norms.differences import clip_differences, each
from normgrad.norms.nuclear import Nuclear

__all__ = ["DualKyFan", "KyFan"]


@final
@dataclass(frozen=True)
class KyFan(UnitarilyInvariantNorm):
    r"""The Ky Fan k norm, the sum of the k largest singular values.

    Parameters
    ----------
    k : int
        ``1 <= k <= min(m, n)``; 1 is the spectral norm, ``min(m, n)`` the nuclear norm.
    tie_tol : float, optional
        Singular values within ``tie_tol * s_1`` of ``s_k`` count as equal to it.
    rank_tol : float, optional
        Singular values up to ``rank_tol * s_1`` count as zero in the derivatives. Both
        defaults are ``8 sqrt(max(m, n)) eps``.

    Raises
    ------
    ValueError
        If k is less than 1, or greater than ``min(m, n)`` for the matrix at hand.

    Notes
    -----
    Differentiable where ``s_k > s_{k+1}``. On a t-fold tie at ``s_k`` with a values above
    it, each of the t tied triplets has weight ``(k - a)/t``, the subgradient of least norm.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> float(normgrad.matrix_norm(np.diag([5.0, 3.0, 1.0]), normgrad.KyFan(2)))
    8.0
    """

    k: int
    tie_tol: float | None = None
    rank_tol: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", _checked(self.k))
        super().__post_init__()

    def __str__(self) -> str:
        return f"Ky Fan {self.k} norm"

    def check_shape(self, m: int, n: int) -> None:
        _check_shape(self.k, m, n)

    def triplets(self, k: int) -> int:
        return min(self.k, k)

    def value(self, s: Array) -> Array:
        return namespace(s).sum(s[..., : self.k], axis=-1)

    def slope(self, s: Array, tie: float) -> Array:
        xp = namespace(s)
        gap = tie * s[..., :1]
        edge = s[..., : self.k][..., -1:]  # (zeros may be left out)
        above = xp.astype(s > edge + gap, s.dtype)
        tied = xp.astype((xp.abs(s - edge) <= gap) & (s > 0), s.dtype)
        rest = self.k - xp.sum(above, axis=-1, keepdims=True)
        count = xp.sum(tied, axis=-1, keepdims=True)
        # (fewer than k nonzero singular values: all of them count in full)
        return above + tied * divide(xp.minimum(rest, count), count)

    def curvature(self, s: Array, tie: float) -> Curvature:
        return Curvature.piecewise_linear(s, self.slope(s, tie))

    def dual(self) -> Norm:
        return DualKyFan(self.k, self.tie_tol, self.rank_tol)

    def projection(self, s: Array, radius: Array) -> Proximal:
        # (Wu, Ding, Sun, Toh 2014.) The k0 largest lose a level, those up to k1 >= k fall to
        # theta, and the others stay. What is lost is min(s - theta, level), of sum k level, and
        # the k largest keep the sum r: two linear equations for each pair (k0, k1), solved for
        # all pairs; the one that fulfils the inequalities is taken. All are for the k largest
        # relative to s_1, of which the peak is kept: so they are precise relative to a small r
        xp, k = namespace(s), self.k
        r, top = radius[..., None, None], s[..., :1]
        none, below = xp.zeros_like(top), s - top
        relative = xp.concat([below[..., :k], s[..., k:]], axis=-1)
        sums = xp.concat([none, xp.cumulative_sum(relative, axis=-1)], axis=-1)
        infinity = xp.full_like(none, float("inf"))
        before = xp.concat([infinity, relative], axis=-1)  # s_{i}, with s_0 = inf
        after = xp.concat([relative, none], axis=-1)  # s_{i+1}, with s_{n+1} = 0
        start, end = sums[..., :k, None], sums[..., None, k:]
        position = xp.cumulative_sum(xp.ones_like(sums), axis=-1) - 1
        k0, k1 = position[..., :k, None], position[..., None, k:]
        middle, rest = end - start, k - k0
        theta = (rest * (r - start) + k0 * middle) / (rest**2 + k0 * (k1 - k0))
        peak = ((k1 - k0) * theta - middle) / rest  # s_1 - level
        gaps = (
            theta,
            top[..., None] - peak,
            before[..., :k, None] - theta + peak,
            theta - peak - after[..., :k, None],
            s[..., None, k - 1 :] - theta,
            theta - after[..., None, k:],
        )
        worst = gaps[0] + xp.zeros_like(gaps[0] + gaps[2] + gaps[4])
        for gap in gaps[1:]:
            worst = xp.minimum(worst, gap)
        flat = (*worst.shape[:-2], -1)
        best = xp.argmax(xp.reshape(worst, flat), axis=-1, keepdims=True)

        def chosen(x: Array) -> Array:
            pairs = xp.reshape(x + xp.zeros_like(worst), flat)
            return xp.take_along_axis(pairs, best, axis=-1)

        theta, peak, k0, k1 = map(chosen, (theta, peak, k0, k1))
        # (where all of the tied lose the level, they count as above: what is lost has its kink
        # between s_k and the next)
        edge = below[..., k - 1 :][..., :1]
        upper = xp.where(k1 == k, edge, theta - peak)
        theta = xp.where(k1 == k, edge + peak, theta)
        lower = theta - top
        above = xp.astype(below >= upper, s.dtype)
        tied = xp.astype((below > lower) & (below < upper), s.dtype)
        # J is that of the mean over the tied, on the plane where the sum of the k largest stays
        count = xp.sum(tied, axis=-1, keepdims=True)
        rest = k - xp.sum(above, axis=-1, keepdims=True)
        normal = above + tied * divide(rest, count)
        size = xp.sum(normal**2, axis=-1, keepdims=True)
        curvature = Curvature(
            xp.where(above > 0, below + peak, xp.minimum(s, theta)),
            1 - tied,
            lambda x, g: (
                1 - clip_differences(x - each(top[..., 0], x), lower[..., 0], upper[..., 0])
            ),
            xp.stack([tied, normal], axis=-2),
            xp.concat(
                [divide(xp.ones_like(count), count), divide(-xp.ones_like(size), size)], axis=-1
            ),
        )
        plane = Proximal(curvature, divide(normal, size))
        # where theta would be negative it is 0, and this the projection on the nuclear ball:
        # of what is lost, min(s, level), the sum is less than k level
        corner = Nuclear().projection(s, radius)
        level = xp.maximum(s - corner.curvature.g, none)[..., :1]
        cut = s >= level
        count = xp.sum(xp.astype(cut, s.dtype), axis=-1)
        small = xp.sum(xp.where(cut, 0.0, s), axis=-1) < (k - count) * level[..., 0]
        return plane.unless(small, corner)


@final
@dataclass(frozen=True)
class DualKyFan(UnitarilyInvariantNorm):
    r"""The norm ``max(s_1, sum(s) / k)``, dual to the Ky Fan k norm.

    Parameters
    ----------
    k : int
    tie_tol, rank_tol : float, optional
        As for `KyFan`; ``s_1`` and ``sum(s) / k`` are compared within ``tie_tol``, too.

    Notes
    -----
    Where ``s_1`` is larger, G is that of the spectral norm; where ``sum(s) / k`` is, that of
    the nuclear norm, over k. Where both are equal, G is the shortest between the two.
    """

    k: int
    tie_tol: float | None = None
    rank_tol: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "k", _checked(self.k))
        super().__post_init__()

    def __str__(self) -> str:
        return f"dual of the Ky Fan {self.k} norm"

    def check_shape(self, m: int, n: int) -> None:
        _check_shape(self.k, m, n)

    def value(self, s: Array) -> Array:
        xp = namespace(s)
        return xp.maximum(xp.max(s, axis=-1), xp.sum(s, axis=-1) / self.k)

    def slope(self, s: Array, tie: float) -> Array:
        # (1 - k mu) share + mu, with mu = 0 for the spectral norm, 1/k for the nuclear; t values
        # are tied at the top and r are not 0, and ((1 - k mu)/t + mu)^2 t + mu^2 (r - t) is least
        xp = namespace(s)
        largest = s[..., :1]
        top = xp.astype((s >= largest * (1 - tie)) & (s > 0), s.dtype)
        support = xp.astype(s > 0, s.dtype)
        t, r = (xp.sum(x, axis=-1, keepdims=True) for x in (top, support))
        gap = xp.sum(s, axis=-1, keepdims=True) / self.k - largest
        fewer = self.k - t
        between = xp.clip(divide(fewer, fewer**2 + t * (r - t)), 0.0, 1 / self.k)
        either = xp.where(gap > 0, xp.full_like(gap, 1 / self.k), 0.0)
        mu = xp.where(xp.abs(gap) <= tie * largest, between, either)
        return (1 - self.k * mu) * divide(top, t) + mu * support

    def curvature(self, s: Array, tie: float) -> Curvature:
        return Curvature.piecewise_linear(s, self.slope(s, tie))

    def dual(self) -> Norm:
        return KyFan(self.k, self.tie_tol, self.rank_tol)

    def projection(self, s: Array, radius: Array) -> Proximal:
        # g = min((s - theta)_+, r) with sum g <= k r; all relative to s_k, so that g is precise
        # relative to a small r. The sum falls, piecewise linearly, with theta: exact by its
        # values at all breakpoints
        xp = namespace(s)
        r = radius[..., None]
        base = s[..., self.k - 1 :][..., :1]
        e = s - base

        breaks = xp.sort(xp.concat([e, e - r, -base], axis=-1), axis=-1)
        lost = xp.maximum(e[..., None, :] - breaks[..., None], xp.zeros_like(r[..., None]))
        excess = xp.sum(xp.minimum(lost, r[..., None]), axis=-1) - self.k * r
        slack = 8 * s.shape[-1] * machine_epsilon(s) * r

        def last(holds: Array) -> tuple[Array, Array]:
            place = xp.sum(xp.astype(holds, xp.int32), axis=-1, keepdims=True) - 1
            place = xp.where(place < 0, 0, place)
            return tuple(xp.take_along_axis(x, place, axis=-1) for x in (breaks, excess))

        start, over = last(excess > slack)
        moving = xp.sum(xp.astype((e - r <= start) & (start < e), s.dtype), axis=-1, keepdims=True)
        theta = start + divide(over, moving)
        # the middle of all solutions, where there are more than one
        theta = (theta + xp.maximum(theta, last(excess >= -slack)[0])) / 2
        tight = theta > -base
        lower = xp.where(tight, theta, -base)
        upper = lower + r
        full = xp.astype(e >= upper, s.dtype)
        free = xp.astype(((e > lower) | ~tight) & (e < upper), s.dtype)
        kink = xp.where(tight, lower, -float("inf"))  # (if it is not tight, there is none at 0)
        share = divide(xp.astype(tight, s.dtype), xp.sum(free, axis=-1, keepdims=True))
        curvature = Curvature(
            xp.where(full > 0, r, free * xp.where(tight, e - lower, s)),
            free,
            lambda x, g: clip_differences(x - each(base[..., 0], x), kink[..., 0], upper[..., 0]),
            free[..., None, :],
            -share,
        )
        rest = self.k - xp.sum(full, axis=-1, keepdims=True)
        return Proximal(curvature, full + free * share * rest)


def _checked(k: Any) -> int:
    try:
        number = operator.index(k)
    except TypeError:
        number = None
    if number is None or isinstance(k, bool):
        raise TypeError(f"Ky Fan k must be an integer; got {k!r}")
    if number < 1:
        raise ValueError(f"Ky Fan k must be at least 1; got {k!r}")
    return number


def _check_shape(k: int, m: int, n: int) -> None:
    if 0 < min(m, n) < k:
        raise ValueError(
            f"Ky Fan k = {k} is more than the {min(m, n)} singular values of a "
            f"{m} x {n} matrix; the largest k is the nuclear norm, ord='nuc'"
        )
