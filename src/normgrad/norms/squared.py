"""The square of a norm."""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, final

from normgrad.arithmetic import Array, divide, namespace, real_inner
from normgrad.norms.base import (
    Curvature,
    EntrywiseNorm,
    EntrywiseProximal,
    Norm,
    Proximal,
    UnitarilyInvariantNorm,
    norm_of_name,
)
from normgrad.norms.differences import each
from normgrad.norms.frobenius import Frobenius
from normgrad.norms.square_root import square_root

__all__ = ["Squared", "SquaredGauge", "SquaredOfEntries"]


@final
@dataclass(frozen=True)
class Squared(Norm):
    r"""The square of a norm, ``||A||^2``, for a place that takes an `ord`.

    Parameters
    ----------
    ord : {"fro", "nuc", 2, 1, inf, ...} or norm object
        Of the norm that is squared.

    Notes
    -----
    The gradient is ``2 ||A|| G`` and the Hessian ``2 ||A|| D + 2 G Re<G, .>``, with those of
    the norm. The square is smooth at 0, where the gradient is 0; for the Frobenius norm the
    gradient is 2A and the Hessian 2I everywhere, also at 0. For the other norms the second
    derivative at 0 depends on the direction, and is 0 here.

    `prox` knows its proximal map, where it knows that of the norm: that is evaluated some five
    times. The ball of radius r is the norm's of radius ``r ** 0.5``.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> float(normgrad.matrix_norm(np.diag([3.0, 4.0]), normgrad.Squared("nuc")))
    49.0
    >>> normgrad.hvp(np.zeros((2, 2)), np.eye(2), normgrad.Squared("fro"))
    array([[2., 0.],
           [0., 2.]])
    """

    ord: Any

    def __post_init__(self) -> None:
        from normgrad.norms import resolve  # it knows this class

        norm = resolve(self.ord)
        if norm.degree != 1:
            raise ValueError(f"only a norm can be squared; got {norm}")
        object.__setattr__(self, "ord", norm)

    def __str__(self) -> str:
        return f"square of the {self.ord}"

    def form(self) -> Norm:
        """Return the same as a function of entries, or of singular values."""
        if isinstance(self.ord, EntrywiseNorm):
            return SquaredOfEntries(self.ord)
        return SquaredGauge(self.ord)


class _Square(Norm):
    """What both forms have in common: all but the calculus is that of the norm."""

    degree: ClassVar[int | None] = 2
    norm: Any

    def __post_init__(self) -> None:
        pass

    def __str__(self) -> str:
        return f"square of the {self.norm}"

    @property
    def rank_tol(self) -> float | None:
        """Return that of the norm."""
        return getattr(self.norm, "rank_tol", None)

    @property
    def tie_tol(self) -> float | None:
        """Return that of the norm."""
        return getattr(self.norm, "tie_tol", None)

    @property
    def any_library(self) -> bool:
        return bool(self.norm.any_library)

    @property
    def convex(self) -> bool:  # type: ignore[override]
        """Return that of the norm."""
        return bool(self.norm.convex)

    def check_shape(self, m: int, n: int) -> None:
        self.norm.check_shape(m, n)

    def name(self) -> str:
        cls: Any = type(self)
        return f"{cls.__module__}:{cls.__qualname__}.of({self.norm.name()!r})"

    @classmethod
    def of(cls, name: str) -> Norm:
        """Return the square of the norm that is named."""
        made: Any = cls
        return made(norm_of_name(name))


@final
@dataclass(frozen=True)
class SquaredGauge(_Square, UnitarilyInvariantNorm):
    """The square of a unitarily invariant norm."""

    norm: UnitarilyInvariantNorm

    def triplets(self, k: int) -> int:
        return self.norm.triplets(k)

    def value(self, s: Array) -> Array:
        return self.norm.value(s) ** 2

    def slope(self, s: Array, tie: float) -> Array:
        return 2 * self.norm.value(s)[..., None] * self.norm.slope(s, tie)

    def curvature(self, s: Array, tie: float) -> Curvature:
        # J of phi^2 is 2 phi J + 2 mu mu^T
        xp = namespace(s)
        factor = 2 * self.norm.value(s)[..., None]
        mu, slope, differences, w, weight = self.norm.curvature(s, tie)
        return Curvature(
            factor * mu,
            factor * slope,
            lambda x, g: (
                each(factor[..., 0], x)[..., None]
                * differences(x, divide(g, each(factor[..., 0], x)))
            ),
            xp.concat([w, mu[..., None, :]], axis=-2),
            xp.concat([factor * weight, xp.full_like(factor, 2.0)], axis=-1),
        )

    def proximal(self, s: Array, step: Array) -> Proximal:
        def proximal(tau: Array) -> tuple[Proximal, Array, Array]:
            inner = self.norm.proximal(s, tau)
            return inner, inner.curvature.g[..., None], inner.step[..., None]

        root = square_root(
            proximal,
            lambda z: self.norm.value(z[..., 0]),
            s[..., None],
            self.norm.slope(s, 0.0)[..., None],
            step,
        )
        xp, ((g, slope, differences, w, weight), in_step) = namespace(s), root.proximal
        alive = root.alive[..., None]
        curvature = Curvature(
            root.factor[..., None] * g,
            alive * slope,
            lambda x, g: each(root.alive, x)[..., None] * differences(x, g),
            xp.concat([w, in_step[..., None, :]], axis=-2),
            alive * xp.concat([weight, -root.coupling[..., None]], axis=-1),
        )
        return Proximal(curvature, root.in_step[..., None] * in_step)


@final
@dataclass(frozen=True)
class SquaredOfEntries(_Square, EntrywiseNorm):
    """The square of a norm of entries."""

    norm: EntrywiseNorm

    @property
    def squares(self) -> bool:  # type: ignore[override]
        """Whether the entries are squared, and not their norm alone."""
        return self.norm.squares

    def of_entries(self, A: Array) -> Array:
        return self.norm.of_entries(A) ** 2

    def gradient(self, A: Array, value: Array, tie: float) -> Array:
        if isinstance(self.norm, Frobenius):
            return 2 * A
        norm = self.norm.of_entries(A)  # (whose square may have under- or overflowed)
        return 2 * norm[..., None, None] * self.norm.gradient(A, norm, tie)

    def hessian(self, A: Array, value: Array, G: Array, E: Array, tie: float) -> Array:
        if isinstance(self.norm, Frobenius):
            return 2 * E
        norm = self.norm.of_entries(A)
        unit = self.norm.gradient(A, norm, tie)
        curved = norm[..., None, None] * self.norm.hessian(A, norm, unit, E, tie)
        return 2 * (curved + unit * real_inner(unit, E)[..., None, None])

    def proximal_entries(self, A: Array, step: Array) -> EntrywiseProximal:
        if isinstance(self.norm, Frobenius):
            shrink = 1 / (1 + 2 * step[..., None, None])
            P = shrink * A
            return EntrywiseProximal(P, -2 * shrink * P, _Multiple(shrink))

        def proximal(tau: Array) -> tuple[EntrywiseProximal, Array, Array]:
            inner = self.norm.proximal_entries(A, tau)
            return inner, inner.point, inner.step

        slope = self.norm.gradient(A, self.norm.of_entries(A), 0.0)
        root = square_root(proximal, self.norm.of_entries, A, slope, step)
        point, in_step, derivative = root.proximal
        coupled = _Coupled(derivative, in_step, root.coupling, root.alive)
        point = root.factor[..., None, None] * point
        return EntrywiseProximal(point, root.in_step[..., None, None] * in_step, coupled)


class _Multiple(NamedTuple):
    """``E -> factor E``."""

    factor: Array

    def __call__(self, E: Array) -> Array:
        return self.factor * E


class _Coupled(NamedTuple):
    """``D(E) - coupling w <w, E>``, times `alive`."""

    derivative: Any
    w: Array
    coupling: Array
    alive: Array

    def __call__(self, E: Array) -> Array:
        share = (self.coupling * real_inner(self.w, E))[..., None, None]
        return self.alive[..., None, None] * (self.derivative(E) - share * self.w)
