"""The spectral norm, and its counterpart at the other end of the spectrum."""

from dataclasses import dataclass
from typing import final

from normgrad.arithmetic import Array, divide, namespace
from normgrad.norms.base import Curvature, Norm, Proximal, UnitarilyInvariantNorm
from normgrad.norms.differences import clip_differences, each

__all__ = ["SmallestSingularValue", "Spectral"]


def _share(cluster: Array, s: Array) -> Array:
    """Return the indicator of a cluster, summing to one; 0 where s is 0."""
    xp = namespace(s)
    mu = xp.astype(cluster & (s > 0), s.dtype)
    count = mu.sum(axis=-1, keepdims=True)
    return mu / xp.where(count == 0, 1.0, count)


@final
@dataclass(frozen=True)
class Spectral(UnitarilyInvariantNorm):
    r"""The spectral (operator, Schatten inf) norm, ``||A|| = s_1``.

    Parameters
    ----------
    tie_tol : float, optional
        Singular values from ``(1 - tie_tol) s_1`` on count as equal to ``s_1``. The default
        is ``8 sqrt(max(m, n)) eps``.
    rank_tol : float, optional
        For its dual, the nuclear norm, and so for `lmo`.

    Notes
    -----
    Differentiable where ``s_1`` is simple: ``G = u_1 v_1^H``. Where it is t-fold, the
    subgradient of least norm is ``U_t V_t^H / t``, which does not depend on the basis of the
    singular subspace; at 0 it is 0. The second derivative is taken along the matrices whose
    top cluster stays tied.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> normgrad.grad(np.diag([3.0, 3.0, 1.0]), normgrad.Spectral())
    array([[0.5, 0. , 0. ],
           [0. , 0.5, 0. ],
           [0. , 0. , 0. ]])
    """

    tie_tol: float | None = None
    rank_tol: float | None = None

    def __str__(self) -> str:
        return "spectral norm"

    def triplets(self, k: int) -> int:
        return min(1, k)

    def value(self, s: Array) -> Array:
        return namespace(s).max(s, axis=-1)

    def slope(self, s: Array, tie: float) -> Array:
        return _share(s >= s[..., :1] * (1 - tie), s)

    def curvature(self, s: Array, tie: float) -> Curvature:
        return Curvature.piecewise_linear(s, self.slope(s, tie))

    def dual(self) -> Norm:
        from normgrad.norms.nuclear import Nuclear  # the one of two that comes later

        return Nuclear(self.rank_tol, self.tie_tol)

    def proximal(self, s: Array, step: Array) -> Proximal:
        # Moreau: prox = s - (projection on the l1 ball of radius t) = min(s, level), where
        # sum (s - level)_+ = t. Below s_1, level is delta = min_j (t + d_1 + .. + d_j)/j for
        # d_i = s_1 - s_i: precise relative to a small t, too. From delta = s_1 on all is 0
        xp = namespace(s)
        top = s[..., 0]
        d = top[..., None] - s
        j = xp.cumulative_sum(xp.ones_like(s), axis=-1)
        delta = xp.min((step[..., None] + xp.cumulative_sum(d, axis=-1)) / j, axis=-1)
        # (a share of a subnormal step may be 0)
        delta = xp.maximum(delta, xp.full_like(delta, float(xp.finfo(s.dtype).smallest_normal)))
        infinity = xp.full_like(delta, float("inf"))
        gone = delta >= top
        delta = xp.where(gone, infinity, delta)
        clipped = d < delta[..., None]
        # the level moves with the clipped values and with the step, unless it stays at 0
        moving = xp.astype(clipped & ~gone[..., None], s.dtype)
        count = xp.sum(moving, axis=-1)
        share = divide(xp.ones_like(count), count)
        level = xp.where(gone, 0.0, top - delta)
        curvature = Curvature(
            xp.where(clipped, level[..., None], s),
            xp.astype(~clipped, s.dtype),
            lambda x, g: 1 - clip_differences(x - each(top, x), -delta, infinity),
            moving[..., None, :],
            share[..., None],
        )
        return Proximal(curvature, -moving * share[..., None]).after(step, s)

    def projection(self, s: Array, radius: Array) -> Proximal:
        xp = namespace(s)
        clipped = s > radius[..., None]
        free = xp.astype(~clipped, s.dtype)
        infinity = xp.full_like(radius, float("inf"))
        curvature = Curvature.uncoupled(
            xp.where(clipped, radius[..., None], s),
            free,
            lambda x, g: 1 - clip_differences(x, radius, infinity),
        )
        return Proximal(curvature, 1 - free)


@final
@dataclass(frozen=True)
class SmallestSingularValue(UnitarilyInvariantNorm):
    r"""The smallest singular value, ``ord=-2`` of NumPy; not a norm.

    Parameters
    ----------
    tie_tol : float, optional
        Singular values up to ``s_k + tie_tol * s_1`` count as equal to the smallest. The
        default is ``8 sqrt(max(m, n)) eps``.

    Notes
    -----
    Differentiable where ``s_k`` is simple and not zero: ``G = u_k v_k^H``. A t-fold ``s_k``
    gives ``U_t V_t^H / t``. Where it is 0 the function has a minimum, and G is 0.
    """

    tie_tol: float | None = None
    convex = False

    def __str__(self) -> str:
        return "smallest singular value"

    def value(self, s: Array) -> Array:
        return namespace(s).min(s, axis=-1)

    def slope(self, s: Array, tie: float) -> Array:
        mu = _share(s <= s[..., -1:] + tie * s[..., :1], s)
        return namespace(s).where(s[..., -1:] > 0, mu, 0.0)

    def curvature(self, s: Array, tie: float) -> Curvature:
        return Curvature.piecewise_linear(s, self.slope(s, tie))
