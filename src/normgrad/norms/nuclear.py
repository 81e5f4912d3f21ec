"""The nuclear norm."""

from dataclasses import dataclass
from typing import final

from normgrad.arithmetic import Array, namespace
from normgrad.norms.base import Curvature, Proximal, UnitarilyInvariantNorm
from normgrad.norms.differences import clip_differences

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

    def __str__(self) -> str:
        return "nuclear norm"

    def value(self, s: Array) -> Array:
        return s.sum(axis=-1)

    def slope(self, s: Array, tie: float) -> Array:
        return namespace(s).astype(s > 0, s.dtype)

    def curvature(self, s: Array, tie: float) -> Curvature:
        return Curvature.piecewise_linear(s, self.slope(s, tie))

    def proximal(self, s: Array, step: Array) -> Proximal:
        # soft threshold: g = (s - t)_+
        xp = namespace(s)
        kept = xp.astype(s > step[..., None], s.dtype)
        identity = step == 0
        infinity = xp.full_like(step, float("inf"))
        curvature = Curvature(
            kept * (s - step[..., None]),
            xp.where(identity[..., None], 1.0, kept),
            lambda x, g: clip_differences(x, xp.where(identity, -infinity, step), infinity),
            xp.zeros_like(s),
            xp.zeros_like(step),
        )
        return Proximal(curvature, -kept)
