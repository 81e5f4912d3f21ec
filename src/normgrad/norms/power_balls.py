r"""Projection on the unit ball of a p-norm, and the proximal map of the norm, for p >= 2.

Both need the root of ``x_i + c x_i^(p-1) = s_i``: for given c by Newton's method, each i alone;
and c itself by Newton's method around it, for an equation in

    Z(c) = ||x(c)||^(1-p),

which is increasing and concave. (For one entry, ``c = s Z - Z^((p-2)/(p-1))`` is convex in Z;
and the map of many, ``(sum_i Z_i^(-q))^(-1/q)``, is concave and increasing.) The projection has
``Z = 1``, and is approached from below; the proximal map has ``Z = c``, and is approached from
above. So each step goes towards the solution and never beyond it, from any starting point on
the right side, and no bracket is needed. For p < 2 they follow by Moreau's decomposition,
because the conjugate exponent is above 2.
"""

from typing import Any, NamedTuple

from normgrad.arithmetic import Array, divide, machine_epsilon, namespace, while_loop
from normgrad.norms.differences import each, power_differences

__all__ = ["PowerPoint", "power_projection", "power_proximal", "vector_p_norm"]

_MOST = 100
"""Newton steps; about ten are usual, and some more for p above 1000."""


class PowerPoint(NamedTuple):
    """``x + multiplier n = s`` with ``n_i = (x_i / norm)^(p-1)``, all (..., k) or (..., 1).

    Parameters
    ----------
    x : array
    norm : array
        ``||x||_p``.
    n : array
        Its gradient, of dual norm 1.
    multiplier : array
    p : float
    """

    x: Array
    norm: Array
    n: Array
    multiplier: Array
    p: float

    def growth(self) -> Array:
        """Return the derivative of ``x -> c x^(p-1) = multiplier n``.

        That of the map ``s -> x`` for this c is ``1 / (1 + growth)``.
        """
        rate = self.multiplier / self.norm
        return rate * divide((self.p - 1) * self.n, self.x / self.norm)

    def differences(self, x: Array) -> Array:
        """Return the divided differences to which `growth` belongs, of x, (..., j)."""
        rate, norm = (each(y[..., 0], x) for y in (self.multiplier / self.norm, self.norm))
        return rate[..., None] * power_differences(x / norm, self.p - 1)


def vector_p_norm(x: Array, p: float) -> Array:
    """Return ``(sum x_i^p)^(1/p)`` of nonnegative x, taken relative to the largest: (..., 1)."""
    xp = namespace(x)
    top = xp.max(x, axis=-1, keepdims=True)
    return top * xp.sum(divide(x, top) ** p, axis=-1, keepdims=True) ** (1 / p)


def power_projection(s: Array, p: float) -> PowerPoint:
    """Return the nearest x of p-norm 1 to s, ``||s|| >= 1``."""
    xp, k = namespace(s), s.shape[-1]
    q = p / (p - 1)
    # the multiplier c is ||s - x||_q, and x_i <= 1, ||x||_q <= k^(1/q - 1/p)
    beyond = vector_p_norm(xp.maximum(s - 1, xp.zeros_like(s)), q)
    start = xp.maximum(beyond, vector_p_norm(s, q) - k ** (1 / q - 1 / p))
    start = xp.maximum(start, xp.zeros_like(start))

    def newton(c: Array, x: Array) -> Array:
        # 1/Z = ||x||^(p-1), and (log Z)' = (p-1) sum w_i x_i^(p-2) / (1 + (p-1) c x_i^(p-2))
        norm = vector_p_norm(x, p)
        weight = divide(x, norm) ** p
        power = x ** (p - 2)
        steepness = xp.sum(weight * power / (1 + (p - 1) * c * power), axis=-1, keepdims=True)
        return c + divide(norm ** (p - 1) - 1, (p - 1) * steepness)

    def root(c: Array) -> Array:
        return _root(s, divide(xp.ones_like(c), c, float("inf")) ** (1 / (p - 1)), p)

    c = _fixed_point(newton, root, start)
    x = root(c)
    norm = vector_p_norm(x, p)
    return PowerPoint(x, norm, divide(x, norm) ** (p - 1), c * norm ** (p - 1), p)


def power_proximal(s: Array, p: float) -> PowerPoint:
    """Return ``argmin_x ||x||_p + |x - s|^2 / 2``, where it is not 0; s descends."""
    xp = namespace(s)
    q = p / (p - 1)
    # phi = ||x||_p is at least sum_{i<=j} x_i / j^(1/q), where sum_{i<=j} n_i <= j^(1/p)
    j = xp.cumulative_sum(xp.ones_like(s), axis=-1)
    level = (xp.cumulative_sum(s, axis=-1) - j ** (1 / p)) / j ** (1 / q)
    start = xp.max(level, axis=-1, keepdims=True)
    # and above the first step from 0 of Newton's method for ||s - x||_q = 1, convex in phi
    conjugate = vector_p_norm(s, q)
    steep = xp.sum(divide(s, conjugate) ** (2 * q - 2), axis=-1, keepdims=True)
    start = xp.maximum(start, divide(conjugate - 1, steep) * conjugate ** (1 - q))
    # (where rounding hides that ||s||_q > 1, phi is 0 up to rounding)
    start = xp.where(start > 0, start, machine_epsilon(s))

    def newton(phi: Array, x: Array) -> Array:
        # c = phi^(1-p), Z/c = (phi / ||x||)^(p-1), and e = d log Z / d log c: the step in c is
        # the factor (Z/c) (1 - e) / (1 - e Z/c)
        norm = vector_p_norm(x, p)
        weight = divide(x, norm) ** p
        rho = divide((x / phi) ** (p - 1), x)
        rest = xp.sum(weight / (1 + (p - 1) * rho), axis=-1, keepdims=True)  # 1 - e
        ratio = divide(phi, norm) ** (p - 1)
        better = norm * (1 + divide((1 - rest) * (1 - ratio), rest)) ** (1 / (p - 1))
        # or that of Newton's method for ||s - x||_q = 1, convex in phi: its steps do not become
        # short for large p, where c has far to go
        return xp.maximum(better, phi * (1 + divide(1 - ratio, (p - 1) * rest)))

    phi = _fixed_point(newton, lambda phi: _root(s, phi, p), start)
    x = _root(s, phi, p)
    return PowerPoint(x, phi, (x / phi) ** (p - 1), xp.ones_like(phi), p)


def _fixed_point(newton: Any, root: Any, start: Array) -> Array:
    """Return the limit of ``c -> newton(c, root(c))``, which increases."""
    xp, few = namespace(start), 4 * machine_epsilon(start)

    def step(state: Any) -> Any:
        c, _, count = state
        # (the comparison is false for NaN, which ends the search)
        better = newton(c, root(c))
        moved = better > c * (1 + few)
        return xp.where(moved, better, c), xp.any(moved), count + 1

    state = start, xp.any(start >= 0), 0
    return while_loop(lambda state: state[1] & (state[2] < _MOST), step, state)[0]


def _root(s: Array, m: Array, p: float) -> Array:
    """Return x with ``x + (x/m)^(p-1) = s``, by Newton's method from above."""
    xp, few = namespace(s), 4 * machine_epsilon(s)

    def step(state: Any) -> Any:
        x, _, count = state
        power = (x / m) ** (p - 1)
        better = x - (x + power - s) / (1 + (p - 1) * divide(power, x))
        moved = better < x * (1 - few)
        return xp.where(moved, better, x), xp.any(moved), count + 1

    start = xp.minimum(s, m * s ** (1 / (p - 1)))
    start = xp.where(m == float("inf"), s, start)
    state = start, xp.any(start >= 0), 0
    return while_loop(lambda state: state[1] & (state[2] < _MOST), step, state)[0]
