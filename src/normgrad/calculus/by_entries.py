"""Norms and proximal maps of entries: no factorization."""

from dataclasses import dataclass
from typing import final

from normgrad.arithmetic import Array, branch, namespace, within_safe_range
from normgrad.calculus.normalise import Normalised, normalise, restore
from normgrad.calculus.rules import Derivative, NormRule, ProxRule
from normgrad.calculus.small import is_small, small_frobenius
from normgrad.calculus.tolerances import tolerances
from normgrad.norms import EntrywiseNorm, Frobenius

__all__ = ["EntrywiseDerivative", "EntrywiseProxDerivative", "NormByEntries", "ProxByEntries"]


@dataclass(frozen=True)
class EntrywiseDerivative:
    """The Hessian of an entrywise norm at one matrix, with the scaling of A and of E undone."""

    norm: EntrywiseNorm
    tie: float
    scaled: Normalised
    value: Array
    G: Array

    def __call__(self, E: Array) -> Array:
        direction = normalise(E)
        A = self.scaled.matrix
        dG = self.norm.hessian(A, self.value, self.G, direction.matrix, self.tie)
        return restore(dG, (direction, 1), (self.scaled, -1))


@dataclass(frozen=True)
class EntrywiseProxDerivative:
    """The derivative of an entrywise proximal map at one matrix."""

    norm: EntrywiseNorm
    scaled: Normalised
    value: Array
    t: Array

    def __call__(self, E: Array) -> Array:
        direction = normalise(E)
        dP = self.norm.prox_derivative(self.scaled.matrix, self.value, self.t, direction.matrix)
        return restore(dP, (direction, 1), (self.scaled, 0))


@final
@dataclass(frozen=True)
class NormByEntries(NormRule):
    """An entrywise norm. The matrix is scaled only if the norm shows that it must be."""

    norm: EntrywiseNorm
    method: str = "auto"

    def settled(self, A: Array) -> "NormByEntries":
        return self

    def value(self, A: Array) -> Array:
        value = self.norm.of_entries(A)

        def scaling(A: Array) -> Array:
            scaled = normalise(A)
            return scaled.value(self.norm.of_entries(scaled.matrix))

        return branch(_all_safe(value), lambda A: value, scaling, A)

    def quick(self, A: Array) -> tuple[Array, Array] | None:
        if isinstance(self.norm, Frobenius) and is_small(A):
            return small_frobenius(A)
        return None

    def value_and_gradient(self, A: Array) -> tuple[Array, Array]:
        tie = tolerances(self.norm, A).tie
        value = self.norm.of_entries(A)

        def direct(A: Array) -> tuple[Array, Array]:
            return value, self.norm.gradient(A, value, tie)

        def scaling(A: Array) -> tuple[Array, Array]:
            scaled = normalise(A)
            value = self.norm.of_entries(scaled.matrix)
            G = self.norm.gradient(scaled.matrix, value, tie)
            return scaled.value(value), restore(G, (scaled, 0))

        both: tuple[Array, Array] = branch(_all_safe(value), direct, scaling, A)
        return both

    def derivative(self, A: Array) -> EntrywiseDerivative:
        tie = tolerances(self.norm, A).tie
        scaled = normalise(A)
        value = self.norm.of_entries(scaled.matrix)
        G = self.norm.gradient(scaled.matrix, value, tie)
        return EntrywiseDerivative(self.norm, tie, scaled, value, G)

    def linearized(self, A: Array) -> tuple[Array, Array, Derivative]:
        at = self.derivative(A)
        return at.scaled.value(at.value), restore(at.G, (at.scaled, 0)), at


@final
@dataclass(frozen=True)
class ProxByEntries(ProxRule):
    """The proximal map of an entrywise norm."""

    norm: EntrywiseNorm
    method: str = "auto"

    def settled(self, A: Array) -> "ProxByEntries":
        return self

    def prox(self, A: Array, t: Array) -> Array:
        scaled, t = normalise(A).with_step(t)
        value = self.norm.of_entries(scaled.matrix)
        P = self.norm.prox_entries(scaled.matrix, value, t)
        return restore(P, (scaled, 1))

    def derivative(self, A: Array, t: Array) -> tuple[Derivative, Array]:
        scaled, t = normalise(A).with_step(t)
        value = self.norm.of_entries(scaled.matrix)
        in_t = restore(self.norm.prox_step(scaled.matrix, value, t), (scaled, 0))
        return EntrywiseProxDerivative(self.norm, scaled, value, t), in_t


def _all_safe(value: Array) -> Array:
    return namespace(value).all(within_safe_range(value))
