"""The nuclear norm."""

from dataclasses import dataclass
from typing import final

from normgrad.arithmetic import Array, namespace
from normgrad.norms.base import Curvature, Norm, Proximal, UnitarilyInvariantNorm
from normgrad.norms.differences import clip_differences, each
from normgrad.norms.spectral import Spectral

__all__ = ["Nuclear"]


@final
@dataclass(frozen=True)
class Nuclear(UnitarilyInvariantNorm):
    r"""The nuclear (trace, Schatten 1) norm, ``||A|| = sum s_i``.

    Parameters
    ----------
    rank_tol : float, optional
        Singular values up to ``rank_tol * s_1`` count as zero in the derivatives. The
        default is ``8 sqrt(max(m, n)) eps``.
    tie_tol : float, optional
        For its dual, the spectral norm, and so for `lmo`.

    Notes
    -----
    Differentiable where A has full rank. The subgradient of least norm is ``G = U_r V_r^H``,
    over the nonzero singular values (Watson 1992). Equal singular values are harmless: the
    gauge is linear, so no difference ``s_i - s_j`` appears among the nonzero ones. The
    second derivative is taken along the matrices of the same rank.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> normgrad.grad(np.array([[2.0, 0.0], [0.0, 0.0]]), normgrad.Nuclear())
    array([[1., 0.],
           [0., 0.]])
    """

    rank_tol: float | None = None
    tie_tol: float | None = None

    def __str__(self) -> str:
        return "nuclear norm"

    def value(self, s: Array) -> Array:
        return s.sum(axis=-1)

    def slope(self, s: Array, tie: float) -> Array:
        return namespace(s).astype(s > 0, s.dtype)

    def curvature(self, s: Array, tie: float) -> Curvature:
        return Curvature.piecewise_linear(s, self.slope(s, tie))

    def dual(self) -> Norm:
        return Spectral(self.tie_tol, self.rank_tol)

    def proximal(self, s: Array, step: Array) -> Proximal:
        # soft threshold: g = (s - t)_+
        xp = namespace(s)
        above = s > step[..., None]
        kept = xp.astype(above, s.dtype)
        identity = step == 0
        infinity = xp.full_like(step, float("inf"))
        curvature = Curvature.uncoupled(
            xp.where(above, s - step[..., None], 0.0),
            xp.where(identity[..., None], 1.0, kept),
            lambda x, g: clip_differences(x, xp.where(identity, -infinity, step), infinity),
        )
        return Proximal(curvature, -kept)

    def projection(self, s: Array, radius: Array) -> Proximal:
        # g = (s - level)_+ with sum g = r. Below s_1, level is delta = min_j (r + d_1 + .. + d_j)/j
        # for d_i = s_1 - s_i: so g = (delta - d)_+ is precise relative to a small r, too
        xp = namespace(s)
        d = s[..., :1] - s
        j = xp.cumulative_sum(xp.ones_like(s), axis=-1)
        delta = xp.min((radius[..., None] + xp.cumulative_sum(d, axis=-1)) / j, axis=-1)
        # (a share of a subnormal radius may be 0)
        delta = xp.maximum(delta, xp.full_like(delta, float(xp.finfo(s.dtype).smallest_normal)))
        kept = xp.astype(d < delta[..., None], s.dtype)
        share = 1 / xp.sum(kept, axis=-1)
        infinity = xp.full_like(delta, float("inf"))
        curvature = Curvature(
            kept * (delta[..., None] - d),
            kept,
            lambda x, g: clip_differences(x - each(s[..., 0], x), -delta, infinity),
            kept[..., None, :],
            -share[..., None],
        )
        return Proximal(curvature, kept * share[..., None])
