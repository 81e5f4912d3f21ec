"""Maps of singular values with their derivatives: what a norm hands to the lift."""

from collections.abc import Callable
from typing import NamedTuple

from normgrad.arithmetic import Array, namespace
from normgrad.norms.differences import belonging, each, step_differences

__all__ = ["Curvature", "Differences", "Proximal"]


Differences = Callable[[Array, Array], Array]


class Curvature(NamedTuple):
    r"""The derivative of a symmetric map g of singular values, at s.

    With the quantities that couple all entries held fixed (the norm itself, a threshold),
    such a map acts on each singular value as one scalar function h: ``g(s)_i = h(s_i)``,
    extended to negative numbers as an odd function. Its Jacobian is a diagonal plus a few
    rank-one couplings, ``J = diag(h'(s)) + sum_c weight_c w_c w_c^T``.

    Parameters
    ----------
    g : (..., k) array
        The map itself.
    slope : (..., k) array
        ``h'(s_i)``. Where h is not differentiable: its derivative along the manifold on
        which the rank and the tied cluster stay as they are.
    differences : callable
        ``differences(x, g)`` returns the divided differences, (..., j, j), of the j among
        the singular values in x, (..., j), where the map is g:
        ``h[x_i, x_j] = (g_i - g_j) / (x_i - x_j)``, and ``h'(x_i)`` where ``x_i = x_j``,
        the diagonal included. They must be accurate also for nearly equal arguments:
        `normgrad.norms.differences` has the usual ones. x may have axes between its last and
        those of s, as of the blocks of a matrix.
    w : (..., c, k) array
        The couplings, one in each row.
    weight : (..., c) array
    """

    g: Array
    slope: Array
    differences: Differences
    w: Array
    weight: Array

    @classmethod
    def piecewise_linear(cls, s: Array, mu: Array) -> "Curvature":
        """Return the curvature of a piecewise linear gauge with the slope `mu`: J = 0."""
        return cls.uncoupled(mu, namespace(s).zeros_like(s), step_differences)

    @classmethod
    def uncoupled(cls, g: Array, slope: Array, differences: Differences) -> "Curvature":
        """Return the curvature of a map that acts on each singular value alone."""
        return cls(g, slope, differences, g[..., None, :][..., :0, :], g[..., :0])


class Proximal(NamedTuple):
    """A proximal map or projection of singular values, with its derivatives.

    Parameters
    ----------
    curvature : Curvature
        The map itself, and its derivative in s.
    step : (..., k) array
        Its derivative in the step, or in the radius.
    """

    curvature: Curvature
    step: Array

    def complement(self, s: Array) -> "Proximal":
        """Return what this map takes away from s: the other term of Moreau's decomposition."""
        g, slope, differences, w, weight = self.curvature
        left = namespace(s).where(s > g, s - g, 0.0)  # (not negative by rounding)

        def of_rest(x: Array, rest: Array) -> Array:
            # (x - rest would be no g: where little is taken away, it is rounded to 0)
            return 1 - differences(x, belonging(x, s, g))

        rest = Curvature(left, 1 - slope, of_rest, w, -weight)
        return Proximal(rest, -self.step)

    def outside(self, condition: Array, s: Array) -> "Proximal":
        """Return this projection where the condition, (...), holds, and else the identity."""
        moved = namespace(s).where(condition[..., None], self.step, 0.0)
        return Proximal(self._where(condition, s, 1.0), moved)

    def after(self, step: Array, s: Array) -> "Proximal":
        """Return this proximal map for a positive step, and for the step 0 the identity."""
        return Proximal(self._where(step > 0, s, 1.0), self.step)

    def within(self, radius: Array) -> "Proximal":
        """Return this projection, and for the radius 0 the map to 0."""
        return Proximal(self._where(radius != 0, 0.0, 0.0), self.step)

    def unless(self, condition: Array, other: "Proximal") -> "Proximal":
        """Return the other map where the condition, (...), holds."""
        xp = namespace(self.step)
        there = condition[..., None]
        mine, its = self.curvature, other.curvature

        def differences(x: Array, g: Array) -> Array:
            its_own = each(condition, x)[..., None]
            return xp.where(its_own, its.differences(x, g), mine.differences(x, g))

        curvature = Curvature(
            xp.where(there, its.g, mine.g),
            xp.where(there, its.slope, mine.slope),
            differences,
            xp.concat([mine.w, its.w], axis=-2),
            xp.concat(
                [xp.where(there, 0.0, mine.weight), xp.where(there, its.weight, 0.0)], axis=-1
            ),
        )
        return Proximal(curvature, xp.where(there, other.step, self.step))

    def _where(self, condition: Array, otherwise: Array | float, multiple: float) -> Curvature:
        """Return the curvature of this map, or of a multiple of the identity."""
        xp = namespace(self.step)
        there = condition[..., None]
        g, slope, differences, w, weight = self.curvature
        return Curvature(
            xp.where(there, g, otherwise),
            xp.where(there, slope, multiple),
            lambda x, g: xp.where(each(condition, x)[..., None], differences(x, g), multiple),
            xp.where(there[..., None], w, 0.0),
            xp.where(there, weight, 0.0),
        )
