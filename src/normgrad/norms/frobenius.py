"""The Frobenius norm."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from normgrad.arithmetic import Array, divide, frobenius, namespace, real_inner
from normgrad.norms.base import Curvature, EntrywiseNorm, Proximal, UnitarilyInvariantNorm
from normgrad.norms.differences import each

__all__ = ["Frobenius"]


def _constant(slope: Array) -> Callable[[Array, Array], Array]:
    """Return the divided differences of ``h(x) = slope x``."""

    def differences(x: Array, g: Array) -> Array:
        one = namespace(x).ones_like(x)
        return each(slope, x)[..., None] * (one[..., :, None] * one[..., None, :])

    return differences


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

    def prox_entries(self, A: Array, value: Array, t: Array) -> Array:
        return A * self._shrink(value, t)[..., None, None]

    def prox_derivative(self, A: Array, value: Array, t: Array, E: Array) -> Array:
        # off the ball of radius t: E - t dG; on it: 0
        shrunk = E - t[..., None, None] * self.hessian(A, value, self._unit(A, value), E, 0.0)
        kept = (value > t) | (t == 0)
        return shrunk * namespace(A).astype(kept, value.dtype)[..., None, None]

    def prox_step(self, A: Array, value: Array, t: Array) -> Array:
        kept = namespace(A).astype(value > t, value.dtype)
        return -kept[..., None, None] * self._unit(A, value)

    def _unit(self, A: Array, value: Array) -> Array:
        return self.gradient(A, value, 0.0)

    def _shrink(self, value: Array, t: Array) -> Array:
        """Return ``(1 - t / ||A||)_+``."""
        return namespace(value).astype(value > t, value.dtype) * divide(value - t, value)

    # --- of singular values ---

    def value(self, s: Array) -> Array:
        return frobenius(s[..., None])

    def slope(self, s: Array, tie: float) -> Array:
        return divide(s, self.value(s)[..., None])

    def curvature(self, s: Array, tie: float) -> Curvature:
        # h(x) = x / phi: every divided difference is 1 / phi; J = (I - mu mu^T) / phi
        xp = namespace(s)
        phi = self.value(s)
        inverse = divide(xp.ones_like(phi), phi)
        slope = inverse[..., None] * xp.ones_like(s)
        return Curvature(
            self.slope(s, tie),
            slope,
            _constant(inverse),
            self.slope(s, tie),
            -inverse,
        )

    def proximal(self, s: Array, step: Array) -> Proximal:
        # block soft threshold: g = (1 - t/phi)_+ s, J = (1 - t/phi) I + (t/phi) mu mu^T
        xp = namespace(s)
        phi = self.value(s)
        mu = divide(s, phi[..., None])
        kept = xp.astype(phi > step, s.dtype)
        shrink = self._shrink(phi, step)
        slope = xp.where(step == 0, 1.0, shrink)
        curvature = Curvature(
            shrink[..., None] * s,
            slope[..., None] * xp.ones_like(s),
            _constant(slope),
            mu,
            kept * divide(step, phi),
        )
        return Proximal(curvature, -kept[..., None] * mu)
