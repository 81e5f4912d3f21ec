"""What a norm is: a function of singular values, or of entries, with its slope and curvature."""

import ast
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from normgrad.arithmetic import Array
from normgrad.norms.curvature import Curvature, Proximal
from normgrad.norms.entrywise import EntrywiseProximal

__all__ = [
    "Curvature",
    "EntrywiseNorm",
    "EntrywiseProximal",
    "Norm",
    "Proximal",
    "UnitarilyInvariantNorm",
    "check_tolerance",
    "known",
    "no_ball",
    "norm_of_name",
    "set_number",
]


class Norm(ABC):  # noqa: B024 (abstract, but nothing is common to all)
    """A norm of matrices. Subclasses are frozen dataclasses: immutable, hashable, picklable.

    A subclass may have the fields ``rank_tol`` and ``tie_tol``, the relative sizes below
    which a singular value counts as zero and a gap as a tie; None means the default,
    ``8 sqrt(max(m, n)) eps``.
    """

    def __post_init__(self) -> None:
        for field in ("rank_tol", "tie_tol"):
            if getattr(self, field, None) is not None:
                set_number(self, field)
                check_tolerance(field, getattr(self, field))
        object.__setattr__(self, "_name", self._written())

    degree: ClassVar[int | None] = 1
    """The norm of ``c A`` is ``c^degree`` times that of A; None says that it has no degree."""

    convex: ClassVar[bool] = True
    """Whether it is convex, as every norm is: then a slope at a kink is between those beside it."""

    @property
    def any_library(self) -> bool:
        """Whether it takes arrays of every library: true of this package's own classes alone."""
        return type(self).__module__.startswith("normgrad.")

    def check_shape(self, m: int, n: int) -> None:  # noqa: B027 (most norms take every shape)
        """Raise ValueError if the norm is not defined for ``m x n`` matrices."""

    def dual(self) -> "Norm":
        """Return the dual norm, ``max Re<x, z>`` over ``||z|| <= 1``.

        Raises
        ------
        NotImplementedError
            If it is not known, or there is none.
        """
        raise NotImplementedError(
            f"the dual of the {self} is not available; it is for 'fro', 'nuc', 2, 1, inf, "
            "Schatten(p) and KyFan(k)"
        )

    def name(self) -> str:
        """Return a text from which `norm_of_name` makes the same norm again.

        The class must be at the top of a module, and its fields numbers or None. (It is made
        with the norm, since torch.compile can not write down a number that it takes for variable.)
        """
        made = getattr(self, "_name", None)
        return self._written() if made is None else made

    def _written(self) -> str:
        cls: Any = type(self)
        values = ", ".join([repr(getattr(self, field)) for field in cls.__match_args__])
        return cls.__module__ + ":" + cls.__qualname__ + "(" + values + ")"


def set_number(norm: Norm, field: str) -> None:
    """Make a field of a frozen norm a Python float.

    Raises
    ------
    TypeError
        If it is not a real number.
    """
    value = getattr(norm, field)
    if not isinstance(value, (int, float, np.integer, np.floating)) or isinstance(value, bool):
        traced = "Tracer" in type(value).__name__ or hasattr(value, "requires_grad")
        hint = "; it is not differentiable, and must be known beforehand" if traced else ""
        raise TypeError(f"{type(norm).__name__} {field} must be a real number; got {value!r}{hint}")
    object.__setattr__(norm, field, known(value))


def known(value: Any) -> float:
    """Return a real number as a float of Python, also where torch.compile takes it for variable.

    The compiler does not follow `hex`, and so compiles for this one number.
    """
    return float.fromhex(float(value).hex())


def check_tolerance(field: str, tol: float) -> None:
    """Raise ValueError unless a tolerance lies between 0 and 1."""
    if not 0 < tol < 1:
        raise ValueError(
            f"{field} must be positive and less than 1; got {tol!r}. It is relative to the "
            "largest singular value; None gives the default, 8 sqrt(max(m, n)) eps"
        )


def norm_of_name(name: str) -> Norm:
    """Return the norm whose `Norm.name` is given: as in a pickle, a class is found by its path."""
    path, fields = name[:-1].split("(", 1)
    module, qualname = path.split(":")
    cls: Any = sys.modules[module]
    for part in qualname.split("."):
        cls = getattr(cls, part)
    values = ast.literal_eval("(" + fields.replace("inf", "1e999") + ",)") if fields else ()
    norm: Norm = cls(*values)
    return norm


class UnitarilyInvariantNorm(Norm):
    """A symmetric gauge function on singular values (von Neumann). It never sees a matrix.

    Every method takes the singular values `s`, shape (..., k), descending and normalised to
    about 1 (but as they are, where `degree` is None); those that count as zero are exactly
    zero. `tie` is the relative gap that counts as a tie.
    """

    @abstractmethod
    def value(self, s: Array) -> Array:
        """Return the gauge, shape (...)."""

    @abstractmethod
    def slope(self, s: Array, tie: float) -> Array:
        """Return the subgradient of the gauge of least Euclidean norm, shape (..., k)."""

    @abstractmethod
    def curvature(self, s: Array, tie: float) -> Curvature:
        """Return the derivative of `slope`."""

    def triplets(self, k: int) -> int:
        """How many leading singular values, of k, the gauge depends on."""
        return k

    def proximal(self, s: Array, step: Array) -> Proximal:
        """Return ``argmin_x step * gauge(x) + |x - s|^2 / 2``, with its derivatives.

        `step` has the shape (...). Unlike elsewhere, `s` is as it was computed. By default
        it is what the projection on the ball of the dual norm takes away (Moreau).
        """
        dual = _dual_ball(self)
        if not isinstance(dual, UnitarilyInvariantNorm):
            raise no_ball(self)
        ball = dual.projection(s, step).outside(dual.value(s) > step, s)
        return ball.complement(s).after(step, s)

    def projection(self, s: Array, radius: Array) -> Proximal:
        """Return ``argmin_x |x - s|`` over ``gauge(x) <= radius``, with its derivatives.

        As `proximal`. What is returned for s inside of the ball is not used.
        """
        raise no_ball(self)


class EntrywiseNorm(Norm):
    """A norm that is cheaper from the entries of a matrix than from its singular values.

    Every method takes matrices `A`, shape (..., m, n), whose squares neither over- nor
    underflow, but for `of_entries`, which may return inf or 0 for those that do.
    """

    squares: ClassVar[bool] = True
    """Whether entries are squared. If not, value and derivatives are right for any finite ones."""

    @abstractmethod
    def of_entries(self, A: Array) -> Array:
        """Return the norm, shape (...)."""

    @abstractmethod
    def gradient(self, A: Array, value: Array, tie: float) -> Array:
        """Return the subgradient of least Frobenius norm, given the norm."""

    def with_gradient(self, A: Array, tie: float) -> tuple[Array, Callable[[], Array]]:
        """Return the norm, and what gives the gradient, from what both have in common."""
        value = self.of_entries(A)
        return value, lambda: self.gradient(A, value, tie)

    @abstractmethod
    def hessian(self, A: Array, value: Array, G: Array, E: Array, tie: float) -> Array:
        """Return the second derivative in the direction `E`, given the norm and its gradient.

        The map is real-linear and self-adjoint in `E`, which may have more leading axes
        than `A`.
        """

    def proximal_entries(self, A: Array, step: Array) -> EntrywiseProximal:
        """Return ``argmin_X step ||X|| + ||X - A||_F^2 / 2``, with its derivatives; step is (...).

        By default it is what the projection on the ball of the dual norm takes away (Moreau).
        """
        dual = _dual_ball(self)
        if not isinstance(dual, EntrywiseNorm):
            raise no_ball(self)
        ball = dual.projection_entries(A, step).outside(dual.of_entries(A) > step, A)
        return ball.complement(A).after(step, A)

    def projection_entries(self, A: Array, radius: Array) -> EntrywiseProximal:
        """Return the nearest matrix of norm at most `radius`, (...), with its derivatives.

        What is returned for A inside of the ball is not used.
        """
        raise no_ball(self)


def _dual_ball(norm: Norm) -> Norm:
    """Return the dual norm, in whose ball the proximal map is found."""
    try:
        return norm.dual()
    except NotImplementedError:
        raise NotImplementedError(f"{no_ball(norm)}. (Its dual is not known.)") from None


def no_ball(norm: Norm) -> NotImplementedError:
    """Return the error for a norm whose proximal map and projection are not available."""
    return NotImplementedError(
        f"proximal map and projection of the {norm} are not available; they are for 'fro', "
        "'nuc', 2, 1, inf, Schatten(p) and KyFan(k), and the proximal map alone for Squared of "
        "these, HuberNuclear and WeightedNuclear"
    )
