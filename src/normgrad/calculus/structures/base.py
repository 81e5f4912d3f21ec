"""How a norm of a structured matrix is had: value, gradient and derivative in its parameters."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

from normgrad.arithmetic import Array, device, machine_epsilon, namespace, real_inner
from normgrad.calculus.tolerances import Tolerances, tolerances_for
from normgrad.factorizations import Verdict
from normgrad.matrices import Matrix
from normgrad.norms import Norm

__all__ = ["Parts", "State", "Structure", "inner", "norm_of", "tolerances_at"]

Parts = tuple[Array, ...]
"""One array for each parameter."""


class State(Protocol):
    """What is kept of one matrix for its second derivative: a tuple of arrays."""

    def apply(self, A: Matrix, direction: Matrix) -> Parts:
        """Return the derivative of the gradient in the parameters, in a direction of theirs."""


class Structure(ABC):
    """One way to the norm of a structured matrix.

    The matrices it gets are not empty, and scaled as far as their type allows.
    """

    name: ClassVar[str]
    """What ``method=`` calls it."""

    def __init__(self, norm: Any) -> None:
        self.norm = norm

    @classmethod
    @abstractmethod
    def verdict(cls, A: Matrix, norm: Norm) -> Verdict:
        """Say whether it can be used, and why (not)."""

    @abstractmethod
    def value(self, A: Matrix) -> Array:
        """Return the norm, (...)."""

    @abstractmethod
    def value_and_gradient(self, A: Matrix) -> tuple[Array, Parts]:
        """Return the norm and its gradient in each parameter."""

    @abstractmethod
    def derivative(self, A: Matrix) -> State:
        """Return what the second derivative needs, or raise NotImplementedError."""


def tolerances_at(norm: Norm, A: Matrix) -> Tolerances:
    """Return the tolerances of the norm at a matrix."""
    m, n = A.shape[-2:]
    return tolerances_for(norm, max(m, n), machine_epsilon(A.parameters[0]))


def norm_of(norm: Any, s: Array, A: Matrix) -> Array:
    """Return the norm for all singular values of A, of which only zeros are left out of s.

    They change no norm, but a function of singular values that is not 0 at 0.
    """
    missing = min(A.shape[-2:]) - s.shape[-1]
    if norm.degree is None and missing > 0:
        xp = namespace(s)
        zeros = xp.zeros((*s.shape[:-1], missing), dtype=s.dtype, device=device(s))
        s = xp.concat([s, zeros], axis=-1)
    value: Array = norm.value(s)
    return value


def inner(a: Sequence[Array], b: Sequence[Array], ranks: Sequence[int]) -> Array:
    """Return ``Re<a, b>``, summed over all parameters; b may have more axes in front."""
    total: Any = 0
    for x, y, rank in zip(a, b, ranks, strict=True):
        rows = (namespace(p).reshape(p, (*p.shape[: p.ndim - rank], 1, -1)) for p in (x, y))
        total = total + real_inner(*rows)
    return total
