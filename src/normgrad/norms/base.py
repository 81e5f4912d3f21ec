"""What a norm is: a function of singular values, or of entries, with its slope and curvature."""

import ast
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from normgrad.arithmetic import Array, namespace
from normgrad.norms.differences import step_differences

__all__ = [
    "Curvature",
    "EntrywiseNorm",
    "Norm",
    "Proximal",
    "UnitarilyInvariantNorm",
    "check_tolerance",
    "no_prox",
    "norm_of_name",
    "set_number",
]


class Curvature(NamedTuple):
    r"""The derivative of a symmetric map g of singular values, at s.

    With the quantities that couple all entries held fixed (the norm itself, a threshold),
    such a map acts on each singular value as one scalar function h: ``g(s)_i = h(s_i)``,
    extended to negative numbers as an odd function. Its Jacobian is a diagonal plus at most
    a rank-one coupling, ``J = diag(h'(s)) + weight * w w^T``.

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
    w : (..., k) array
    weight : (...,) array
    """

    g: Array
    slope: Array
    differences: Callable[[Array, Array], Array]
    w: Array
    weight: Array

    @classmethod
    def piecewise_linear(cls, s: Array, mu: Array) -> "Curvature":
        """Return the curvature of a piecewise linear gauge with the slope `mu`: J = 0."""
        none = namespace(s).zeros_like(s)
        return cls(mu, none, step_differences, none, none[..., 0])


class Proximal(NamedTuple):
    """A proximal map of singular values: its derivative in s, and its derivative in the step."""

    curvature: Curvature
    step: Array


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

    def check_shape(self, m: int, n: int) -> None:  # noqa: B027 (most norms take every shape)
        """Raise ValueError if the norm is not defined for ``m x n`` matrices."""

    def name(self) -> str:
        """Return a text from which `norm_of_name` makes the same norm again.

        The class must be at the top of a module, and its fields numbers or None. (Unlike
        repr, this can be traced by torch.compile.)
        """
        cls: Any = type(self)
        fields = ", ".join([repr(getattr(self, field)) for field in cls.__dataclass_fields__])
        return cls.__module__ + ":" + cls.__qualname__ + "(" + fields + ")"


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
    object.__setattr__(norm, field, float(value))


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
    about 1; those that count as zero are exactly zero. `tie` is the relative gap that
    counts as a tie.
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

        `step` has the shape (...). Unlike elsewhere, `s` is as it was computed.
        """
        raise no_prox(self)


class EntrywiseNorm(Norm):
    """A norm that is cheaper from the entries of a matrix than from its singular values.

    Every method takes matrices `A`, shape (..., m, n), whose squares neither over- nor
    underflow, but for `of_entries`, which may return inf or 0 for those that do.
    """

    @abstractmethod
    def of_entries(self, A: Array) -> Array:
        """Return the norm, shape (...)."""

    @abstractmethod
    def gradient(self, A: Array, value: Array, tie: float) -> Array:
        """Return the subgradient of least Frobenius norm, given the norm."""

    @abstractmethod
    def hessian(self, A: Array, value: Array, G: Array, E: Array, tie: float) -> Array:
        """Return the second derivative in the direction `E`, given the norm and its gradient.

        The map is real-linear and self-adjoint in `E`, which may have more leading axes
        than `A`.
        """

    def prox_entries(self, A: Array, value: Array, t: Array) -> Array:
        """Return ``argmin_X t ||X|| + ||X - A||_F^2 / 2``, given the norm; t is (...)."""
        raise no_prox(self)

    def prox_derivative(self, A: Array, value: Array, t: Array, E: Array) -> Array:
        """Return the derivative of `prox_entries` in A, in the direction E."""
        raise no_prox(self)

    def prox_step(self, A: Array, value: Array, t: Array) -> Array:
        """Return the derivative of `prox_entries` in t."""
        raise no_prox(self)


def no_prox(norm: Norm) -> NotImplementedError:
    """Return the error for a norm whose proximal map is not available."""
    return NotImplementedError(
        f"the proximal map of the {norm} is not available; it is for 'fro', 'nuc' and 2"
    )
