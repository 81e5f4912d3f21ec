"""The Schatten norms."""

import math
from dataclasses import dataclass
from typing import final

from normgrad.arithmetic import Array, divide, namespace
from normgrad.norms.base import Curvature, Norm, Proximal, UnitarilyInvariantNorm, set_number
from normgrad.norms.differences import belonging, each, power_differences
from normgrad.norms.power_balls import power_projection, power_proximal, vector_p_norm

__all__ = ["Schatten"]


@final
@dataclass(frozen=True)
class Schatten(UnitarilyInvariantNorm):
    r"""The Schatten p norm, ``||A|| = (sum s_i^p)^(1/p)``, ``1 <= p <= inf``.

    Parameters
    ----------
    p : float
        1, 2 and inf are the nuclear, the Frobenius and the spectral norm, and are computed
        as those.
    rank_tol : float, optional
        Singular values up to ``rank_tol * s_1`` count as zero in the derivatives. The
        default is ``8 sqrt(max(m, n)) eps``.

    Raises
    ------
    ValueError
        If ``p < 1`` or NaN: the function is no norm then.

    Notes
    -----
    For ``1 < p < inf`` differentiable but at 0, with ``G = U diag((s/||A||)^(p-1)) V^H``.
    For ``p < 2`` the second derivative does not exist where A is rank deficient; it is
    taken along the matrices of the same rank, and is finite.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> round(float(normgrad.matrix_norm(np.diag([3.0, 4.0, 5.0]), normgrad.Schatten(3))), 12)
    6.0
    """

    p: float
    rank_tol: float | None = None

    def __post_init__(self) -> None:
        set_number(self, "p")
        if not self.p >= 1:
            raise ValueError(
                f"Schatten p must be at least 1; got {self.p!r}. "
                "For p < 1 the triangle inequality fails: the function is no norm"
            )
        super().__post_init__()

    def __str__(self) -> str:
        return f"Schatten {self.p:g} norm"

    def value(self, s: Array) -> Array:
        xp = namespace(s)
        top = s[..., :1]
        if self.p == math.inf:
            return top[..., 0]
        # relative to s_1, so that s**p neither overflows nor underflows for large p
        return top[..., 0] * xp.sum(divide(s, top) ** self.p, axis=-1) ** (1 / self.p)

    def slope(self, s: Array, tie: float) -> Array:
        # relative to s_1, not to the norm, whose rounding the power would amplify p times:
        # (s/phi)^(p-1) = r^(p-1) sum(r^p)^(1/p - 1). (At s = 0 also p = 1 gives 0, not 0**0)
        xp = namespace(s)
        r = divide(s, s[..., :1])
        total = xp.sum(r**self.p, axis=-1, keepdims=True)
        positive = s > 0
        safe = xp.where(positive, total, xp.ones_like(total))
        return xp.where(positive, r ** (self.p - 1) * safe ** (1 / self.p - 1), 0.0)

    def curvature(self, s: Array, tie: float) -> Curvature:
        # J = (p-1)/phi (diag((s/phi)^(p-2)) - mu mu^T); with phi held fixed h(s) = (s/phi)^(p-1)
        xp = namespace(s)
        q = self.p - 1
        phi = self.value(s)
        inverse = divide(xp.ones_like(phi), phi)
        top = s[..., 0]
        r = divide(s, top[..., None])
        total = xp.sum(r**self.p, axis=-1)
        # h(x) = factor (x / s_1)^q s_1
        factor = divide(xp.where(top > 0, total, xp.ones_like(total)) ** (-q / self.p), top)
        positive = xp.where(r > 0, r, xp.ones_like(r))
        slope = xp.where(r > 0, q * positive ** (q - 1), 0.0) * factor[..., None]
        mu = self.slope(s, tie)

        def differences(x: Array, g: Array) -> Array:
            return power_differences(divide(x, each(top, x)), q) * each(factor, x)[..., None]

        return Curvature(mu, slope, differences, mu[..., None, :], -q * inverse[..., None])

    def dual(self) -> Norm:
        if self.p == 1 or self.p == math.inf:
            return Schatten(math.inf if self.p == 1 else 1, self.rank_tol)
        return Schatten(self.p / (self.p - 1), self.rank_tol)

    def proximal(self, s: Array, step: Array) -> Proximal:
        if self.p <= 2:
            return super().proximal(s, step)
        # x = s - t n(x) with n = (x/phi)^(p-1), and J = H + beta/(1 - beta N) (Hn)(Hn)^T for
        # H = 1/(1 + growth), N = n^T H n, beta = (p-1) t/phi; 1 - beta N = n^T H x / phi
        xp = namespace(s)
        outside = vector_p_norm(s, self.p / (self.p - 1))[..., 0] > step
        ratio, factor, unit = _relative(s, step)
        at = power_proximal(ratio, self.p)
        growth = at.growth()
        w = at.n / (1 + growth)
        rest = xp.sum(w * at.x / at.norm, axis=-1, keepdims=True)
        beyond = outside[..., None]
        x = xp.where(factor < 1, s - step[..., None] * at.n, step[..., None] * at.x)

        def differences(x: Array, g: Array) -> Array:
            growth = at.differences(g / each(unit[..., 0], g))
            return xp.where(each(outside, x)[..., None], 1 / (1 + growth), 0.0)

        curvature = Curvature(
            xp.where(beyond, x, 0.0),
            xp.where(beyond, 1 / (1 + growth), 0.0),
            differences,
            xp.where(beyond, w, 0.0)[..., None, :],
            xp.where(beyond, factor * (self.p - 1) / (at.norm * rest), 0.0),
        )
        return Proximal(curvature, xp.where(beyond, -w / rest, 0.0)).after(step, s)

    def projection(self, s: Array, radius: Array) -> Proximal:
        xp = namespace(s)
        ratio, factor, _ = _relative(s, radius)
        if self.p > 2:
            # x + c n(x) = s with ||x|| = r, and J = H - (Hn)(Hn)^T / N
            at = power_projection(ratio, self.p)
            growth = at.growth()
            point, slope = at.x, 1 / (1 + growth)
            w = slope * at.n
            rest = xp.sum(w * at.n, axis=-1, keepdims=True)
            weight = 1 / rest
        else:
            # what the proximal map of the dual norm takes away, r n: 1 - J for its J
            at = power_proximal(ratio, self.p / (self.p - 1))
            growth = at.growth()
            point, slope = at.n, growth / (1 + growth)
            w = at.n / (1 + growth)
            rest = xp.sum(w * at.x / at.norm, axis=-1, keepdims=True)
            weight = (at.p - 1) / (at.norm * rest)

        def differences(x: Array, g: Array) -> Array:
            # (by the x of the equation: n = (x/||x||)^(p-1) may have underflowed)
            growth = at.differences(belonging(x, s, at.x))
            kept = 1 / (1 + growth) if self.p > 2 else growth / (1 + growth)
            return each(factor[..., 0], x)[..., None] * kept

        # the derivative has degree 0 in s and r together, and degree 1 in a small r
        curvature = Curvature(
            radius[..., None] * point,
            factor * slope,
            differences,
            w[..., None, :],
            -factor * weight,
        )
        return Proximal(curvature, w / rest)


def _relative(s: Array, t: Array) -> tuple[Array, Array, Array]:
    """Return ``s/unit``, ``t/unit``, and the unit: t, unless s/t is so large that the limit is had.

    For the limit of small t, which the results have to all digits then.
    """
    xp = namespace(s)
    unit = xp.maximum(t[..., None], s[..., :1] * 2.0**-80)
    unit = xp.where(unit > 0, unit, 1.0)
    return s / unit, t[..., None] / unit, unit
