"""Proximal maps and projections of norms of entries, with their derivatives."""

from typing import Any, NamedTuple

from normgrad.arithmetic import Array, is_complex, namespace

__all__ = ["EntrywiseProximal"]


class EntrywiseProximal(NamedTuple):
    """A proximal map or projection of a norm of entries.

    Parameters
    ----------
    point, step : (..., m, n) array
        Where A is mapped to, and the derivative in the step or the radius.
    derivative : callable
        The derivative in A, linear and self-adjoint in the direction. It is a named tuple of
        arrays that have the leading axes of A, and takes directions with more.
    """

    point: Array
    step: Array
    derivative: Any

    def outside(self, condition: Array, A: Array) -> "EntrywiseProximal":
        """Return this projection where the condition, (...), holds, and else the identity."""
        xp = namespace(A)
        each = condition[..., None, None]
        moving = xp.astype(each, (xp.real(A) if is_complex(A) else A).dtype)
        derivative = _Outside(self.derivative, moving)
        step = xp.where(each, self.step, 0.0)
        return EntrywiseProximal(xp.where(each, self.point, A), step, derivative)

    def after(self, step: Array, A: Array) -> "EntrywiseProximal":
        """Return this proximal map for a positive step, and for the step 0 the identity."""
        return self.outside(step > 0, A)._replace(step=self.step)

    def transposed(self) -> "EntrywiseProximal":
        """Return the map for rows from that for columns."""
        return EntrywiseProximal(self.point.mT, self.step.mT, _Transposed(self.derivative))

    def complement(self, A: Array) -> "EntrywiseProximal":
        """Return what this map takes away from A: the other term of Moreau's decomposition."""
        return EntrywiseProximal(A - self.point, -self.step, _Complement(self.derivative))


class _Outside(NamedTuple):
    """``D(E)`` where `moving` is 1, and E where it is 0."""

    derivative: Any
    moving: Array

    def __call__(self, E: Array) -> Array:
        return namespace(E).where(self.moving > 0, self.derivative(E), E)


class _Transposed(NamedTuple):
    """``D(E^T)^T``."""

    derivative: Any

    def __call__(self, E: Array) -> Array:
        return self.derivative(E.mT).mT


class _Complement(NamedTuple):
    """``E - D(E)``."""

    derivative: Any

    def __call__(self, E: Array) -> Array:
        return E - self.derivative(E)
