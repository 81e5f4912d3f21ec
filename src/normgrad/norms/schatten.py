"""The Schatten norms."""

import math
from dataclasses import dataclass
from typing import final

from normgrad.arithmetic import Array, divide, namespace
from normgrad.norms.base import Curvature, UnitarilyInvariantNorm, set_number
from normgrad.norms.differences import each, power_differences

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
        super().__post_init__()
        set_number(self, "p")
        if not self.p >= 1:
            raise ValueError(
                f"Schatten p must be at least 1; got {self.p!r}. "
                "For p < 1 the triangle inequality fails: the function is no norm"
            )

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

        return Curvature(mu, slope, differences, mu, -q * inverse)
