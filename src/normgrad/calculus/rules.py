"""What an engine differentiates: a value, its gradient, and the derivative of the gradient.

A rule knows no engine. It takes plain arrays (..., m, n) and returns plain arrays; the
engines make its methods known to their automatic differentiation. A rule is hashable, so
that a compiled function can be kept for it.
"""

from abc import ABC, abstractmethod
from typing import Protocol, Self

from normgrad.arithmetic import Array
from normgrad.norms import Norm

__all__ = ["Derivative", "NormRule", "ProxRule", "Rule"]


class Derivative(Protocol):
    """The derivative of a map of matrices at one matrix: real-linear and self-adjoint."""

    def __call__(self, E: Array) -> Array:
        """Return the derivative in the direction(s) E, which may have more leading axes than A."""


class Rule(ABC):
    """One norm by one road: a frozen dataclass with the fields `norm` and `method`."""

    norm: Norm
    method: str

    def name(self) -> str:
        """Return a text from which `rule_of_name` makes the same rule again."""
        return type(self).__name__ + "/" + self.method + "/" + self.norm.name()

    @property
    def portable(self) -> bool:
        """Whether the rule holds no arrays and functions, and may be compiled once for all."""
        return True

    @property
    def any_library(self) -> bool:
        """Whether arrays of another library may be put in: where no code of a user would see it."""
        return False

    def split(self) -> tuple[tuple[Array, ...], Self]:
        """Return the traced arrays that the rule holds, and the rule without them."""
        return (), self

    def joined(self, arrays: tuple[Array, ...]) -> Self:
        """Return what `split` took apart, with these arrays."""
        return self


class NormRule(Rule):
    """A norm, from singular values or from entries."""

    @abstractmethod
    def settled(self, A: Array) -> "NormRule":
        """Return this rule with every choice made that depends on the entries of A."""

    @abstractmethod
    def value(self, A: Array) -> Array:
        """Return the norm, (...)."""

    @abstractmethod
    def value_and_gradient(self, A: Array) -> tuple[Array, Array]:
        """Return the norm and the subgradient of least Frobenius norm, (..., m, n)."""

    def quick(self, A: Array) -> tuple[Array, Array] | None:
        """Return value and gradient of one matrix whose way is clear at once, or None for others.

        For small ones every decision costs as much as the arithmetic.
        """
        return None

    @abstractmethod
    def derivative(self, A: Array) -> Derivative:
        """Return the derivative of the gradient, the Hessian."""

    @abstractmethod
    def linearized(self, A: Array) -> tuple[Array, Array, Derivative]:
        """Return value, gradient and the derivative of the gradient, from one factorization."""


class ProxRule(Rule):
    """A map with a parameter t, (...): proximal map with step t, or for the ball of radius t.

    The latter are the projection and the minimiser of a linear function.
    """

    @abstractmethod
    def settled(self, A: Array) -> "ProxRule":
        """Return this rule with every choice made that depends on the entries of A."""

    @property
    def is_complete(self) -> bool:
        """Whether the image is had from the factorization that its derivatives take."""
        return False

    @abstractmethod
    def prox(self, A: Array, t: Array) -> Array:
        """Return the image of A, (..., m, n)."""

    @abstractmethod
    def linearized(self, A: Array, t: Array) -> tuple[Array, Derivative, Array]:
        """Return the image and its derivatives in A and in t, (..., m, n)."""
