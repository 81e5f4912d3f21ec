"""The Ky Fan norms."""

import operator
from dataclasses import dataclass
from typing import final

from normgrad.arithmetic import Array, divide, namespace
from normgrad.norms.base import Curvature, UnitarilyInvariantNorm

__all__ = ["KyFan"]


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
        super().__post_init__()
        try:
            k = operator.index(self.k)
        except TypeError:
            k = None
        if k is None or isinstance(self.k, bool):
            raise TypeError(f"Ky Fan k must be an integer; got {self.k!r}")
        if k < 1:
            raise ValueError(f"Ky Fan k must be at least 1; got {self.k!r}")
        object.__setattr__(self, "k", k)

    def __str__(self) -> str:
        return f"Ky Fan {self.k} norm"

    def check_shape(self, m: int, n: int) -> None:
        if 0 < min(m, n) < self.k:
            raise ValueError(
                f"Ky Fan k = {self.k} is more than the {min(m, n)} singular values of a "
                f"{m} x {n} matrix; the largest k is the nuclear norm, ord='nuc'"
            )

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
