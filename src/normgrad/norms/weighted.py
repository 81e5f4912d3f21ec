"""The weighted nuclear norm."""

from dataclasses import dataclass
from typing import final

from normgrad.arithmetic import Array, device, divide, namespace
from normgrad.norms.base import Curvature, Proximal, UnitarilyInvariantNorm, known
from normgrad.norms.differences import belonging, step_differences

__all__ = ["WeightedNuclear"]


@final
@dataclass(frozen=True)
class WeightedNuclear(UnitarilyInvariantNorm):
    r"""The weighted nuclear norm, ``sum w_i s_i`` with ``s_1 >= s_2 >= ...``.

    Parameters
    ----------
    weights : sequence of float
        Nonnegative, and not all 0. At most ``min(m, n)`` of them; those that are missing are 0.
    rank_tol, tie_tol : float, optional
        The sizes, relative to ``s_1``, of a singular value that counts as zero, and of a gap
        that counts as a tie. The default is ``8 sqrt(max(m, n)) eps``.

    Notes
    -----
    A norm, and convex, if and only if the weights do not increase and the first is not 0: then
    it includes the nuclear, the spectral and the Ky Fan norms, and G is the subgradient of least
    norm. Increasing weights, which spare the large singular values, make it nonconvex.

    Differentiable where singular values of different weights are distinct. Tied ones share
    the mean of their weights, which does not depend on a choice of singular vectors. Zeros
    get the slope 0. The second derivative is along the matrices of the same ties and rank.

    `prox` knows its proximal map, for all weights: singular values lose ``t w_i``, and where
    their order would change, those that it would change for share a mean. It takes arrays
    of ``n^2`` numbers for n singular values.

    References
    ----------
    S. Gu et al., Weighted nuclear norm minimization and its applications to low level vision,
    Int. J. Comput. Vision 121 (2017). M. Bogdan et al., SLOPE - adaptive variable selection via
    convex optimization, Ann. Appl. Stat. 9 (2015), for the proximal map.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> norm = normgrad.WeightedNuclear([1.0, 0.5])
    >>> float(normgrad.matrix_norm(np.diag([3.0, 2.0]), norm))
    4.0
    >>> np.diag(normgrad.grad(np.diag([3.0, 3.0]), norm)).tolist()
    [0.75, 0.75]
    """

    weights: tuple[float, ...]
    rank_tol: float | None = None
    tie_tol: float | None = None

    def __post_init__(self) -> None:
        try:
            if isinstance(self.weights, (str, bytes)):
                raise TypeError
            weights = tuple(map(known, self.weights))
        except (TypeError, ValueError):
            raise TypeError(
                f"weights must be a sequence of numbers; got {self.weights!r}"
            ) from None
        if not weights or not all(0 <= w < float("inf") for w in weights):
            raise ValueError(f"weights must be finite, nonnegative and at least one; got {weights}")
        if not any(weights):
            raise ValueError(f"weights must not all be 0, which is no norm; got {weights}")
        object.__setattr__(self, "weights", weights)
        super().__post_init__()

    @property
    def convex(self) -> bool:  # type: ignore[override]
        """Whether the weights do not increase."""
        return self.weights == tuple(sorted(self.weights, reverse=True))

    def __str__(self) -> str:
        return f"nuclear norm of {len(self.weights)} weights"

    def check_shape(self, m: int, n: int) -> None:
        if 0 < min(m, n) < len(self.weights):
            raise ValueError(
                f"{len(self.weights)} weights are more than the {min(m, n)} singular values of a "
                f"{m} x {n} matrix"
            )

    def triplets(self, k: int) -> int:
        return min(len(self.weights), k)

    def _weights(self, s: Array) -> Array:
        """Return the weights of all the singular values at hand, (k,)."""
        missing = s.shape[-1] - len(self.weights)
        all_weights = (*self.weights, *(0.0,) * missing)[: s.shape[-1]]
        return namespace(s).stack([0 * s[..., 0] + w for w in all_weights], axis=-1)

    def value(self, s: Array) -> Array:
        return namespace(s).sum(self._weights(s) * s, axis=-1)

    def slope(self, s: Array, tie: float) -> Array:
        # neighbours whose gap counts as a tie are in one cluster
        xp = namespace(s)
        apart = xp.astype(s[..., :-1] - s[..., 1:] > tie * s[..., :1], s.dtype)
        cluster = xp.concat([0 * s[..., :1], xp.cumulative_sum(apart, axis=-1)], axis=-1)
        same = xp.astype(cluster[..., :, None] == cluster[..., None, :], s.dtype)
        mean = xp.sum(same * self._weights(s)[..., None, :], axis=-1) / xp.sum(same, axis=-1)
        return xp.where(s > 0, mean, 0.0)

    def curvature(self, s: Array, tie: float) -> Curvature:
        return Curvature.piecewise_linear(s, self.slope(s, tie))

    def proximal(self, s: Array, step: Array) -> Proximal:
        # the decreasing x >= 0 nearest to y = s - t w, whether the weights decrease or not: pools
        # in which y rises, of which each has the mean of its y, or 0
        xp, w = namespace(s), self._weights(s)
        taken = step[..., None] * w
        pool = _pools(s, taken)
        same = pool[..., :, None] == pool[..., None, :]
        count = xp.sum(xp.astype(same, s.dtype), axis=-1)
        alone = count == 1

        def mean(y: Array) -> Array:
            """Return the mean in each pool, of what is (..., k) or (..., k, k), each for itself."""
            return xp.sum(xp.where(same, y, 0.0), axis=-1) / count

        x = mean((s - taken)[..., None, :])
        positive = (x > 0) | ((s == 0) & (taken == 0) & alone)
        kept = xp.astype(positive & alone, s.dtype)
        g = xp.where(positive, x, 0.0)
        # what is lost, exactly, as derivatives are differences of it
        lost = mean(s[..., :, None] - s[..., None, :] + taken[..., None, :])
        lost = xp.where(positive, lost, s)

        def differences(x: Array, g: Array) -> Array:
            own, slope = (belonging(x, s, of_s) for of_s in (lost, kept))
            either = slope[..., :, None] + slope[..., None, :]
            rates = divide(
                own[..., :, None] - own[..., None, :],
                x[..., :, None] - x[..., None, :],
                (1 - slope)[..., None] + 0 * either,
            )
            # in a pool, or among those that are 0, exactly 0
            return xp.where(either > 0, 1 - rates, step_differences(x, g))

        # J of a pool is that of its mean; its row is there for each of its members
        pools = xp.astype(same & (positive & ~alone)[..., None, :], s.dtype)
        in_step = -xp.where(positive, mean(w[..., None, :]), 0.0)
        curvature = Curvature(g, kept, differences, pools, 1 / count**2)
        return Proximal(curvature, in_step).after(step, s)


def _pools(s: Array, taken: Array) -> Array:
    """Return the number of the pool of each, for the nearest decreasing sequence to s - taken.

    One ends at i where all means of what ends there are at least those of what begins beyond: its
    value is ``min_(j <= i) max_(k >= i) mean(y_j .. y_k)`` for ``y = s - taken`` (Robertson,
    Wright, Dykstra, Order Restricted Statistical Inference, 1988, theorem 1.4.4).
    """
    # each mean relative to its y_i, where s and taken are subtracted one by one: what is taken may
    # be less than the rounding of s, and among ties there is no rounding but its own
    xp = namespace(s)
    at = xp.arange(s.shape[-1], device=device(s))
    length = xp.astype(xp.abs(at[:, None] - at[None, :]) + 1, s.dtype)
    rest = (s[..., None, :] - s[..., :, None]) - (taken[..., None, :] - taken[..., :, None])
    beyond = xp.cumulative_sum(xp.triu(rest), axis=-1) / length
    before = xp.cumulative_sum(xp.flip(xp.tril(rest), axis=-1), axis=-1) / xp.flip(length, axis=-1)
    most, least = xp.max(beyond, axis=-1), xp.min(before, axis=-1)
    drop = (s[..., :-1] - s[..., 1:]) - (taken[..., :-1] - taken[..., 1:])
    ends = xp.astype(drop + least[..., :-1] >= most[..., 1:], s.dtype)
    return xp.concat([0 * s[..., :1], xp.cumulative_sum(ends, axis=-1)], axis=-1)
