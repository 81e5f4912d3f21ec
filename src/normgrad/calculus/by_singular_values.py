"""Norms and proximal maps through singular values: factorize once, then everything is a lift."""

from dataclasses import dataclass, replace
from typing import NamedTuple, Self, final

from normgrad.arithmetic import Array, largest, namespace
from normgrad.calculus.lift import LiftDerivative, lift
from normgrad.calculus.normalise import Normalised, normalise, restore
from normgrad.calculus.rules import Derivative, NormRule, ProxRule
from normgrad.calculus.tolerances import snap_to_zero, tolerances
from normgrad.factorizations import Choice, Spectrum, choose
from normgrad.norms import UnitarilyInvariantNorm

__all__ = ["NormBySingularValues", "ProxBySingularValues", "SpectralDerivative", "ZeroDerivative"]


@dataclass(frozen=True)
class SpectralDerivative:
    """The derivative of a lift at one matrix, with the scaling of A and of E undone."""

    lift: LiftDerivative
    scaled: Normalised
    degree: int

    def __call__(self, E: Array) -> Array:
        direction = normalise(E)
        dG = self.lift(direction.matrix)
        return restore(dG, (direction, 1), (self.scaled, self.degree))


class ZeroDerivative(NamedTuple):
    """The derivative at an empty matrix."""

    def __call__(self, E: Array) -> Array:
        return namespace(E).zeros_like(E)


class _Factorized(NamedTuple):
    """A matrix scaled and factorized, and the singular values as derivatives see them."""

    scaled: Normalised
    spectrum: Spectrum
    s: Array
    tie: float


@dataclass(frozen=True)
class _BySingularValues:
    """A unitarily invariant norm, and the factorization that is to be used.

    `verified` says that the one named by `method` has accepted the matrix already.
    """

    norm: UnitarilyInvariantNorm
    method: str = "auto"
    verified: bool = False

    def choice(self, A: Array) -> Choice:
        triplets = self.norm.triplets(min(A.shape[-2:]))
        return choose(A, triplets, self.method, verified=self.verified)

    def settled(self, A: Array) -> Self:
        if _is_empty(A):
            return self
        return replace(self, method=self.choice(A).factorization.name, verified=True)

    def factorized(self, A: Array) -> _Factorized:
        scaled = normalise(A)
        spectrum = self.choice(scaled.matrix).factorization.factorize(scaled.matrix)
        tol = tolerances(self.norm, A)
        return _Factorized(scaled, spectrum, snap_to_zero(spectrum.s, tol), tol.tie)


def _is_empty(A: Array) -> bool:
    return 0 in A.shape


@final
@dataclass(frozen=True)
class NormBySingularValues(_BySingularValues, NormRule):
    """The norm: its gradient is the lift of the slope of its gauge."""

    def value(self, A: Array) -> Array:
        if _is_empty(A):
            return namespace(A).zeros_like(largest(A))
        scaled = normalise(A)
        factorization = self.choice(scaled.matrix).factorization
        return scaled.value(self.norm.value(factorization.singular_values(scaled.matrix)))

    def value_and_gradient(self, A: Array) -> tuple[Array, Array]:
        if _is_empty(A):
            return self.value(A), namespace(A).zeros_like(A)
        at = self.factorized(A)
        mu = self.norm.slope(at.s, at.tie)
        value = at.scaled.value(self.norm.value(at.spectrum.s))
        return value, restore(lift(at.spectrum, mu), (at.scaled, 0))

    def derivative(self, A: Array) -> Derivative:
        if _is_empty(A):
            return ZeroDerivative()
        at = self.factorized(A)
        curvature = self.norm.curvature(at.s, at.tie)
        lifted = LiftDerivative.at(at.spectrum, at.s, curvature)
        return SpectralDerivative(lifted, at.scaled.without_matrix(), -1)


@final
@dataclass(frozen=True)
class ProxBySingularValues(_BySingularValues, ProxRule):
    """The proximal map of a unitarily invariant norm: the lift of that of its gauge."""

    def prox(self, A: Array, t: Array) -> Array:
        if _is_empty(A):
            return namespace(A).zeros_like(A)
        at = self.factorized(A)
        scaled, t = at.scaled.with_step(t)
        g = self.norm.proximal(at.spectrum.s, t).curvature.g
        return restore(lift(at.spectrum, g), (scaled, 1))

    def derivative(self, A: Array, t: Array) -> tuple[Derivative, Array]:
        if _is_empty(A):
            return ZeroDerivative(), namespace(A).zeros_like(A)
        at = self.factorized(A)
        scaled, t = at.scaled.with_step(t)
        proximal = self.norm.proximal(at.spectrum.s, t)
        lifted = LiftDerivative.at(at.spectrum, at.spectrum.s, proximal.curvature)
        in_t = restore(lift(at.spectrum, proximal.step), (scaled, 0))
        return SpectralDerivative(lifted, scaled.without_matrix(), 0), in_t
