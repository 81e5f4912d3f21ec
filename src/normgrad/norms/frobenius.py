"""The Frobenius norm."""

from dataclasses import dataclass
from typing import NamedTuple, final

from normgrad.arithmetic import Array, divide, frobenius, namespace, real_inner
from normgrad.norms.base import (
    Curvature,
    EntrywiseNorm,
    EntrywiseProximal,
    Proximal,
    UnitarilyInvariantNorm,
)
from normgrad.norms.differences import each

__all__ = ["Frobenius"]


@final
@dataclass(frozen=True)
class Frobenius(UnitarilyInvariantNorm, EntrywiseNorm):
    r"""The Frobenius norm, ``||A|| = (sum |a_ij|^2)^(1/2) = (sum s_i^2)^(1/2)``: no factorization.

    Notes
    -----
    Differentiable but at ``A = 0``, where gradient and second derivative are 0. Elsewhere
    ``G = A / ||A||`` and ``dG = (E - G Re<G, E>) / ||A||``.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> float(normgrad.matrix_norm(np.array([[3.0, 0.0], [0.0, 4.0]]), normgrad.Frobenius()))
    5.0
    """

    def __str__(self) -> str:
        return "Frobenius norm"

    # --- of entries ---

    def of_entries(self, A: Array) -> Array:
        return frobenius(A)

    def gradient(self, A: Array, value: Array, tie: float) -> Array:
        # where A is not 0 the quotient needs no mask of the size of A: 0 / 1 = 0 does it
        return A / namespace(A).where(value == 0, 1.0, value)[..., None, None]

    def hessian(self, A: Array, value: Array, G: Array, E: Array, tie: float) -> Array:
        inverse = divide(namespace(A).ones_like(value), value)[..., None, None]
        return inverse * (E - G * real_inner(G, E)[..., None, None])

    def proximal_entries(self, A: Array, step: Array) -> EntrywiseProximal:
        # off the ball of radius t: A - t G, with the derivative E - t dG; on it: 0
        xp, (value, unit) = namespace(A), self._polar(A)
        moving = xp.astype(value > step, value.dtype)
        kept = xp.where(step == 0, 1.0, moving)
        step = xp.minimum(step, value)  # (which may be inf)
        shrink = moving * divide(value - step, value)
        radial = _Radial(unit, kept, kept * divide(step, value))
        return EntrywiseProximal(_each(shrink) * A, -_each(moving) * unit, radial)

    def projection_entries(self, A: Array, radius: Array) -> EntrywiseProximal:
        # r G, with the derivative r dG
        value, unit = self._polar(A)
        none, shrink = namespace(value).zeros_like(value), divide(radius, value)
        return EntrywiseProximal(_each(radius) * unit, unit, _Radial(unit, none, -shrink))

    def _polar(self, A: Array) -> tuple[Array, Array]:
        """Return the norm, and the gradient."""
        value = self.of_entries(A)
        return value, self.gradient(A, value, 0.0)

    # --- of singular values ---

    def value(self, s: Array) -> Array:
        return frobenius(s[..., None])

    def slope(self, s: Array, tie: float) -> Array:
        return divide(s, self.value(s)[..., None])

    def curvature(self, s: Array, tie: float) -> Curvature:
        # h(x) = x / phi: every divided difference is 1 / phi; J = (I - mu mu^T) / phi
        phi = self.value(s)
        inverse = divide(namespace(s).ones_like(phi), phi)
        return self._homothety(s, self.slope(s, tie), inverse, -inverse)

    def dual(self) -> "Frobenius":
        return self

    def proximal(self, s: Array, step: Array) -> Proximal:
        # block soft threshold: g = (1 - t/phi)_+ s, J = (1 - t/phi) I + (t/phi) mu mu^T
        xp = namespace(s)
        phi = self.value(s)
        mu = divide(s, phi[..., None])
        moving = xp.astype(phi > step, s.dtype)
        identity, step = step == 0, xp.minimum(step, phi)  # (which may be inf)
        shrink = moving * divide(phi - step, phi)
        slope = xp.where(identity, 1.0, shrink)
        curvature = self._homothety(s, shrink[..., None] * s, slope, moving * divide(step, phi))
        return Proximal(curvature, -moving[..., None] * mu)

    def projection(self, s: Array, radius: Array) -> Proximal:
        # g = r mu, J = r/phi (I - mu mu^T)
        phi = self.value(s)
        mu, shrink = divide(s, phi[..., None]), divide(radius, phi)
        return Proximal(self._homothety(s, radius[..., None] * mu, shrink, -shrink), mu)

    def _homothety(self, s: Array, g: Array, slope: Array, weight: Array) -> Curvature:
        """Return a map with ``J = slope I + weight mu mu^T``, where h(x) = slope x."""
        xp = namespace(s)
        slopes = slope[..., None] * xp.ones_like(s)

        def differences(x: Array, g: Array) -> Array:
            one = xp.ones_like(x)
            return each(slope, x)[..., None] * (one[..., :, None] * one[..., None, :])

        mu = self.slope(s, 0.0)[..., None, :]
        return Curvature(g, slopes, differences, mu, weight[..., None])


class _Radial(NamedTuple):
    """``E -> E moving + (G <G, E> - E moving) shrink``, the derivative of a shrunken A."""

    G: Array
    kept: Array
    shrink: Array

    def __call__(self, E: Array) -> Array:
        inner = _each(self.shrink * real_inner(self.G, E))
        return _each(self.kept - self.shrink) * E + inner * self.G


def _each(per_matrix: Array) -> Array:
    return per_matrix[..., None, None]
