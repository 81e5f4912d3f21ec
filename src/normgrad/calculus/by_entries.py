"""Norms of entries: no factorization."""

from dataclasses import dataclass
from typing import final

from normgrad.arithmetic import Array, branch, namespace, within_safe_range
from normgrad.calculus.normalise import Normalised, cleared, normalise, restore
from normgrad.calculus.rules import Derivative, NormRule
from normgrad.calculus.small import small_absolute_sum, small_frobenius
from normgrad.calculus.tolerances import tolerances
from normgrad.norms import AbsoluteSum, EntrywiseNorm, Frobenius

__all__ = ["EntrywiseDerivative", "NormByEntries"]


@dataclass(frozen=True)
class EntrywiseDerivative:
    """The Hessian of an entrywise norm at one matrix, with the scaling of A and of E undone."""

    norm: EntrywiseNorm
    tie: float
    scaled: Normalised
    value: Array
    G: Array

    def __call__(self, E: Array) -> Array:
        direction = _in_range(self.norm, E)
        A = self.scaled.matrix
        dG = self.norm.hessian(A, self.value, self.G, direction.matrix, self.tie)
        return restore(dG, (direction, 1), (self.scaled, (self.norm.degree or 1) - 2))


@final
@dataclass(frozen=True)
class NormByEntries(NormRule):
    """An entrywise norm. The matrix is scaled if squares of entries need it."""

    norm: EntrywiseNorm
    method: str = "auto"

    @property
    def any_library(self) -> bool:
        return self.norm.any_library

    def settled(self, A: Array) -> "NormByEntries":
        return self

    def value(self, A: Array) -> Array:
        value = self.norm.of_entries(A)

        def scaling(A: Array) -> Array:
            scaled = _in_range(self.norm, A)
            return scaled.value(self.norm.of_entries(scaled.matrix), self._degree())

        return branch(self._is_in_range(value), lambda A: value, scaling, A)

    def _is_in_range(self, value: Array) -> Array:
        xp = namespace(value)
        return xp.all(within_safe_range(value) if self.norm.squares else xp.isfinite(value))

    def _degree(self) -> int:
        return self.norm.degree or 1

    def quick(self, A: Array) -> tuple[Array, Array] | None:
        if isinstance(self.norm, AbsoluteSum):
            return small_absolute_sum(self.norm, A, tolerances(self.norm, A).tie)
        return small_frobenius(A) if isinstance(self.norm, Frobenius) else None

    def value_and_gradient(self, A: Array) -> tuple[Array, Array]:
        tie = tolerances(self.norm, A).tie
        value, gradient = self.norm.with_gradient(A, tie)

        def direct(A: Array) -> tuple[Array, Array]:
            return value, gradient()

        def scaling(A: Array) -> tuple[Array, Array]:
            scaled = _in_range(self.norm, A)
            value = self.norm.of_entries(scaled.matrix)
            G = self.norm.gradient(scaled.matrix, value, tie)
            return scaled.value(value, self._degree()), restore(G, (scaled, self._degree() - 1))

        both: tuple[Array, Array] = branch(self._is_in_range(value), direct, scaling, A)
        return both

    def derivative(self, A: Array) -> EntrywiseDerivative:
        tie = tolerances(self.norm, A).tie
        scaled = _in_range(self.norm, A)
        value = self.norm.of_entries(scaled.matrix)
        G = self.norm.gradient(scaled.matrix, value, tie)
        return EntrywiseDerivative(self.norm, tie, scaled, value, G)

    def linearized(self, A: Array) -> tuple[Array, Array, Derivative]:
        at = self.derivative(A)
        value = at.scaled.value(at.value, self._degree())
        # (a copy: the derivative has G, which is given away, and may be changed)
        return value, restore(at.G + 0, (at.scaled, self._degree() - 1)), at


def _in_range(norm: EntrywiseNorm, A: Array) -> Normalised:
    """Return A scaled if its entries are squared, and cleared of what is not finite."""
    return normalise(A) if norm.squares else cleared(A)
