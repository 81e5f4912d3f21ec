"""Proximal maps, projections and linear minimisers: lifts with a parameter, step or radius."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, final

from normgrad.arithmetic import Array, divide, namespace, sometimes
from normgrad.calculus.by_singular_values import (
    BySingularValues,
    Seen,
    SpectralDerivative,
    ZeroDerivative,
    is_empty,
)
from normgrad.calculus.lift import LiftDerivative, lift
from normgrad.calculus.normalise import normalise, restore
from normgrad.calculus.rules import Derivative, NormRule, ProxRule
from normgrad.norms import EntrywiseNorm, EntrywiseProximal, Nuclear, Proximal

__all__ = [
    "MapBySingularValues",
    "Oracle",
    "ProjectionByEntries",
    "ProjectionBySingularValues",
    "ProxByEntries",
    "ProxBySingularValues",
    "opposite",
    "rank_after_threshold",
    "with_zeros",
]


@dataclass(frozen=True)
class MapBySingularValues(BySingularValues, ProxRule):
    """The lift of a map of singular values."""

    def triplets(self, k: int) -> int:
        return k

    @property
    def is_complete(self) -> bool:
        return True

    @abstractmethod
    def map(self, s: Array, t: Array) -> tuple[Proximal, Array]:
        """Return the map of singular values, and where it is the identity, (...)."""

    @abstractmethod
    def at_zero(self, s: Array, tie: float) -> Array:
        """Return the derivative in t at ``t = 0``, of singular values as derivatives see them."""

    def in_step(self, step: Array, t: Array, at_zero: Callable[[], Array]) -> Array:
        """Return the derivative in t, where `step` is that at the others."""
        where = namespace(t).where
        return sometimes(t == 0, lambda y: where((t == 0)[..., None], at_zero(), y), step)

    def prox(self, A: Array, t: Array) -> Array:
        if is_empty(A):
            return namespace(A).zeros_like(A)
        degree = self.norm.degree
        scaled, t = normalise(A).with_step(t, degree)

        def image(at: Seen, t: Array) -> tuple[Array, Array]:
            # (zeros stay zeros, and may be left out)
            s, k = at.spectrum.s, min(A.shape[-2:])
            (curvature, _), same = self.map(with_zeros(s, k), t)
            g, slope = (x[..., : s.shape[-1]] for x in (curvature.g, curvature.slope))
            return lift(at.spectrum, g, lambda: curvature._replace(g=g, slope=slope)), same

        P, same = self.at(scaled, image, t)
        P = _but_where(same, A if degree is None else scaled.matrix, P)
        return restore(P, (scaled, 0 if degree is None else 1))

    def linearized(self, A: Array, t: Array) -> tuple[Array, Derivative, Array]:
        if is_empty(A):
            zeros = namespace(A).zeros_like(A)
            return zeros, ZeroDerivative(), zeros
        degree = self.norm.degree
        scaled, t = normalise(A).with_step(t, degree)

        def everything(at: Seen) -> tuple[Array, LiftDerivative, Array]:
            spectrum = at.spectrum
            (curvature, step), same = self.map(spectrum.s, t)
            step = self.in_step(step, t, lambda: self.at_zero(at.s, at.tie))
            P, in_t = (lift(spectrum, g, lambda: curvature) for g in (curvature.g, step))
            P = _but_where(same, A if degree is None else scaled.matrix, P)
            return P, LiftDerivative.at(spectrum, spectrum.s, curvature), in_t

        P, lifted, in_t = self.at(scaled, everything, complete=True)
        P = restore(P, (scaled, 0 if degree is None else 1))
        in_t = restore(in_t, (scaled, (degree or 1) - 1))
        return P, SpectralDerivative(lifted, scaled.without_matrix(), 0), in_t


@final
@dataclass(frozen=True)
class ProxBySingularValues(MapBySingularValues):
    """The proximal map of a unitarily invariant norm: the lift of that of its gauge."""

    def map(self, s: Array, t: Array) -> tuple[Proximal, Array]:
        return self.norm.proximal(s, t), t == 0

    def at_zero(self, s: Array, tie: float) -> Array:
        # (s - prox) / t tends to the subgradient of least norm
        return -self.norm.slope(s, tie)


@final
@dataclass(frozen=True)
class ProjectionBySingularValues(MapBySingularValues):
    """The nearest point of a ball, the proximal map of its indicator function; t is the radius."""

    def map(self, s: Array, t: Array) -> tuple[Proximal, Array]:
        outside = self.norm.value(s) > t
        projection = self.norm.projection(s, t).outside(outside, s).within(t)
        g = projection.curvature.g
        # no farther out than the radius, by rounding
        g = _within(self.norm.value(g), t)[..., None] * g
        return projection._replace(curvature=projection.curvature._replace(g=g)), ~outside

    def at_zero(self, s: Array, tie: float) -> Array:
        # P / t tends to the point of the unit ball at which <., A> is largest, the shortest
        dual: Any = self.norm.dual()
        slope: Array = dual.slope(s, tie)
        return slope


def with_zeros(s: Array, k: int) -> Array:
    """Return at least k singular values, the last of them zeros where there were fewer."""
    xp, missing = namespace(s), k - s.shape[-1]
    return s if missing <= 0 else xp.concat([s, *[xp.zeros_like(s[..., :1])] * missing], axis=-1)


def _but_where(same: Array, A: Array, P: Array) -> Array:
    """Return P, but A itself for those matrices where the map is the identity."""
    where = namespace(P).where
    return sometimes(same, lambda P: where(same[..., None, None], A, P), P)


def _within(value: Array, radius: Array) -> Array:
    """Return the factor, at most 1, that takes a point of norm `value` into the ball."""
    return namespace(value).where(value > radius, divide(radius, value), 1.0)


@dataclass(frozen=True)
class _MapByEntries(ProxRule):
    """A map of entries."""

    norm: EntrywiseNorm
    method: str = "auto"

    @property
    def any_library(self) -> bool:
        return self.norm.any_library

    @property
    def is_complete(self) -> bool:
        return True

    def settled(self, A: Array) -> "_MapByEntries":
        return self

    @abstractmethod
    def map(self, A: Array, t: Array) -> tuple[EntrywiseProximal, Array]:
        """Return the map, and where it is the identity, (...)."""

    def prox(self, A: Array, t: Array) -> Array:
        return self.linearized(A, t)[0]

    def linearized(self, A: Array, t: Array) -> tuple[Array, Derivative, Array]:
        if is_empty(A):
            zeros = namespace(A).zeros_like(A)
            return zeros, ZeroDerivative(), zeros
        scaled, t = normalise(A).with_step(t, self.norm.degree)
        (P, step, derivative), same = self.map(scaled.matrix, t)
        P = restore(_but_where(same, scaled.matrix, P), (scaled, 1))
        in_t = restore(step, (scaled, (self.norm.degree or 1) - 1))
        return P, SpectralDerivative(derivative, scaled.without_matrix(), 0), in_t


@final
@dataclass(frozen=True)
class ProxByEntries(_MapByEntries):
    """The proximal map of an entrywise norm."""

    def map(self, A: Array, t: Array) -> tuple[EntrywiseProximal, Array]:
        return self.norm.proximal_entries(A, t), t == 0


@final
@dataclass(frozen=True)
class ProjectionByEntries(_MapByEntries):
    """The nearest point of the ball of an entrywise norm; t is the radius."""

    def map(self, A: Array, t: Array) -> tuple[EntrywiseProximal, Array]:
        outside = (self.norm.of_entries(A) > t) | (t == 0)  # (of that ball 0 is no inner point)
        projection = self.norm.projection_entries(A, t).outside(outside, A)
        P = projection.point
        P = _within(self.norm.of_entries(P), t)[..., None, None] * P
        return projection._replace(point=P), ~outside


@final
@dataclass(frozen=True)
class Oracle(ProxRule):
    """``argmin Re<z, A>`` over ``||z|| <= t``: -t times the gradient of the dual norm at A."""

    dual: NormRule

    @property
    def any_library(self) -> bool:
        return self.dual.any_library

    def settled(self, A: Array) -> "Oracle":
        return Oracle(self.dual.settled(A))

    @property
    def portable(self) -> bool:
        return self.dual.portable

    def split(self) -> "tuple[tuple[Array, ...], Oracle]":
        arrays, dual = self.dual.split()
        return arrays, Oracle(dual)

    def joined(self, arrays: tuple[Array, ...]) -> "Oracle":
        return Oracle(self.dual.joined(arrays))

    def name(self) -> str:
        return type(self).__name__ + "/" + self.dual.name()

    def prox(self, A: Array, t: Array) -> Array:
        return opposite(t)[..., None, None] * self.dual.value_and_gradient(A)[1]

    def linearized(self, A: Array, t: Array) -> tuple[Array, Derivative, Array]:
        _, G, derivative = self.dual.linearized(A)
        minus_t, step = opposite(t), opposite(t * 0 + 1)[..., None, None] * G
        return minus_t[..., None, None] * G, _Multiple(derivative, minus_t), step


def rank_after_threshold(A: Array, t: Array) -> Array:
    """Return how many singular values of each matrix are above t."""
    xp = namespace(A)
    s = t[..., None][..., :0]  # of an empty matrix: none
    if not is_empty(A):
        scaled, t = normalise(A).with_step(t)
        rule = ProxBySingularValues(Nuclear())
        s = rule.at(scaled, lambda at: at.spectrum.s, vectors=False, complete=True)
    return xp.sum(xp.astype(s > t[..., None], xp.int32), axis=-1)


def opposite(t: Array) -> Array:
    """Return -t, and NaN where t is negative."""
    return namespace(t).where(t >= 0, -t, float("nan"))


class _Multiple(NamedTuple):
    """A derivative times a number for each matrix."""

    derivative: Any
    factor: Array

    @property
    def portable(self) -> bool:
        """Whether it may be compiled once for all."""
        return getattr(self.derivative, "portable", True)

    def __call__(self, E: Array) -> Array:
        return self.factor[..., None, None] * self.derivative(E)
