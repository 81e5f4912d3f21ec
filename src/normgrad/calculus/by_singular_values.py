"""Norms through singular values: factorize once, then everything is a lift."""

import functools
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self, final

from normgrad.arithmetic import Array, adjoint, largest, machine_epsilon, namespace
from normgrad.calculus.lift import LiftDerivative, lift
from normgrad.calculus.normalise import Normalised, normalise, restore
from normgrad.calculus.rules import Derivative, NormRule
from normgrad.calculus.small import quick_value, quick_value_and_gradient
from normgrad.calculus.tolerances import snap_to_zero, tolerances
from normgrad.factorizations import (
    Account,
    Demand,
    Spectrum,
    decompose,
    settle,
    tracked,
    usual,
)
from normgrad.norms import Spectral, UnitarilyInvariantNorm

__all__ = [
    "BySingularValues",
    "NormBySingularValues",
    "Seen",
    "SpectralDerivative",
    "TrackedSpectral",
    "ZeroDerivative",
    "is_empty",
]


@dataclass(frozen=True)
class SpectralDerivative:
    """The derivative of a lift at one matrix, with the scaling of A and of E undone."""

    lift: Derivative
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


@dataclass(frozen=True)
class Seen:
    """The singular triplets, and the singular values as derivatives see them."""

    spectrum: Spectrum
    rank: float
    tie: float

    @functools.cached_property
    def s(self) -> Array:
        """The singular values, with zeros for those that count as zero."""
        return snap_to_zero(self.spectrum.s, self.rank)


@dataclass(frozen=True)
class BySingularValues:
    """A unitarily invariant norm, and the factorization that is to be used.

    `verified` says that the one named by `method` has accepted the matrix already.
    """

    norm: UnitarilyInvariantNorm
    method: str = "auto"
    verified: bool = False

    @property
    def any_library(self) -> bool:
        """Whether arrays of every library may be put in."""
        return self.norm.any_library

    @abstractmethod
    def triplets(self, k: int) -> int:
        """Return how many leading singular values, of k, the result depends on."""

    def demand(self, A: Array, *, vectors: bool = True, complete: bool = False) -> Demand:
        # (what is not homogeneous is computed at the true scale of each matrix of a batch, which
        # is known where one factorization takes all of them)
        complete = complete or self.norm.degree is None
        rank, tie = tolerances(self.norm, A)
        triplets = self.triplets(min(A.shape[-2:]))
        named = self.method != "auto" and not self.verified
        return Demand(triplets, tie, rank, vectors, complete, named)

    def settled(self, A: Array) -> Self:
        if is_empty(A):
            return self
        method, verified = settle(A, self.demand(A), self.method)
        return replace(self, method=method, verified=verified)

    def at(
        self, scaled: Normalised, use: Callable[..., Any], *beside: Array, **wanted: bool
    ) -> Any:
        """Return what `use` makes of the triplets of scaled matrices.

        It may be called for parts of a stack, and gets those of the arrays beside it, too.
        """
        A: Array = scaled.matrix
        demand = self.demand(A, **wanted)

        def seen(spectrum: Spectrum, *beside: Array) -> Any:
            if self.norm.degree is None:
                spectrum = spectrum._replace(s=scaled.restored(spectrum.s))
            return use(Seen(spectrum, demand.rank, demand.tie), *beside)

        return decompose(A, demand, seen, self.method, beside=beside, verified=self.verified)


def is_empty(A: Array) -> bool:
    """Whether A has no entries."""
    return 0 in A.shape


@final
@dataclass(frozen=True)
class NormBySingularValues(BySingularValues, NormRule):
    """The norm: its gradient is the lift of the slope of its gauge."""

    def triplets(self, k: int) -> int:
        return self.norm.triplets(k)

    def value(self, A: Array) -> Array:
        if is_empty(A):
            return namespace(A).zeros_like(largest(A))
        if self.method == "auto":
            demand = self.demand(A, vectors=False)
            usually = usual(A, demand)
            value = None if usually is None else quick_value(self.norm, A, usually, demand)
            if value is not None:
                return value
        scaled = normalise(A)
        value = self.at(scaled, lambda at: self.norm.value(at.spectrum.s), vectors=False)
        return scaled.value(value, self.norm.degree or 0)

    def quick(self, A: Array) -> tuple[Array, Array] | None:
        if self.method != "auto":
            return None
        demand = self.demand(A)
        usually = usual(A, demand)
        if usually is None:
            return None
        return quick_value_and_gradient(self.norm, A, usually, demand)

    def value_and_gradient(self, A: Array) -> tuple[Array, Array]:
        if is_empty(A):
            return self.value(A), namespace(A).zeros_like(A)

        def both(at: Seen) -> tuple[Array, Array]:
            mu = self.norm.slope(at.s, at.tie)
            G = lift(at.spectrum, mu, lambda: self.norm.curvature(at.s, at.tie))
            return self.norm.value(at.spectrum.s), G

        scaled = normalise(A)
        value, G = self.at(scaled, both)
        degree = self.norm.degree
        gradient = restore(G, (scaled, 0 if degree is None else degree - 1))
        return scaled.value(value, degree or 0), gradient

    def account(self, A: Array) -> Account:
        """Return what each factorization has to say of A, for value and gradient."""
        account: Account = []
        demand = self.demand(A)
        decompose(A, demand, lambda spectrum: spectrum.s[..., 0], self.method, account=account)
        return account

    def derivative(self, A: Array) -> Derivative:
        if is_empty(A):
            return ZeroDerivative()

        def derivative(at: Seen) -> LiftDerivative:
            return LiftDerivative.at(at.spectrum, at.s, self.norm.curvature(at.s, at.tie))

        scaled = normalise(A)
        lifted = self.at(scaled, derivative, complete=True)
        degree = 0 if self.norm.degree is None else self.norm.degree - 2
        return SpectralDerivative(lifted, scaled.without_matrix(), degree)

    def linearized(self, A: Array) -> tuple[Array, Array, Derivative]:
        if is_empty(A):
            return *self.value_and_gradient(A), ZeroDerivative()

        def everything(at: Seen) -> tuple[Array, Array, LiftDerivative]:
            curvature = self.norm.curvature(at.s, at.tie)
            G = lift(at.spectrum, curvature.g, lambda: curvature)
            lifted = LiftDerivative.at(at.spectrum, at.s, curvature)
            return self.norm.value(at.spectrum.s), G, lifted

        scaled = normalise(A)
        value, G, lifted = self.at(scaled, everything, complete=True)
        degree = self.norm.degree
        first, second = (0, 0) if degree is None else (degree - 1, degree - 2)
        derivative = SpectralDerivative(lifted, scaled.without_matrix(), second)
        return scaled.value(value, degree or 0), restore(G, (scaled, first)), derivative


@final
@dataclass(frozen=True)
class TrackedSpectral:
    """The spectral norm from the vectors of the last time, to a residual of `tol`."""

    tol: float

    def track(self, A: Array, columns: Array | None) -> tuple[Array, Array, Array]:
        """Return the norm, one of its subgradients, and the columns to go on from."""
        scaled, norm = normalise(A), Spectral()
        tol = tolerances(norm, A)
        demand = Demand(1, tol.tie, tol.rank)
        accuracy = max(self.tol, 8 * machine_epsilon(A))
        at = tracked(scaled.matrix, columns, demand, accuracy)
        G = at.u[:, None] * adjoint(at.v[:, None])
        return scaled.value(at.s), restore(G, (scaled, 0)), at.columns
