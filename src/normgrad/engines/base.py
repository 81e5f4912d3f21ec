"""What the interface needs of an engine: who differentiates."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from normgrad.arithmetic import Array
from normgrad.calculus import NormRule, ProxRule, TrackedSpectral

__all__ = ["Engine", "OrderError"]


class Engine(ABC):
    """One library's automatic differentiation, made to know the rules of the calculus.

    The four evaluations take arrays (..., m, n) of a floating dtype that the rules can
    compute in. What they return is differentiable to second order: a value twice, its
    gradient once. Differentiating further raises `OrderError`.
    """

    name: str

    @abstractmethod
    def owns(self, x: Any) -> bool:
        """Whether `x` is an array of this library."""

    @abstractmethod
    def dense(self, x: Any) -> Array:
        """Return `x` as a dense array of this library.

        Raises
        ------
        TypeError, ValueError
            If it is not one, and can not be made one without a decision.
        """

    @abstractmethod
    def default_float(self) -> Any:
        """Return the dtype that integers are promoted to."""

    @abstractmethod
    def moveaxis(self, x: Array, source: tuple[int, int], destination: tuple[int, int]) -> Array:
        """Move axes, differentiably."""

    @abstractmethod
    def astype(self, x: Array, dtype: Any) -> Array:
        """Convert to a dtype of this library, or to the one so named, differentiably."""

    @abstractmethod
    def reshape(self, x: Array, shape: tuple[int, ...]) -> Array:
        """Reshape, differentiably."""

    @abstractmethod
    def real(self, x: Array) -> Array:
        """Return the real part, differentiably."""

    @abstractmethod
    def concatenate(self, arrays: list[Array]) -> Array:
        """Join arrays along their last axis, differentiably."""

    @abstractmethod
    def number(self, t: Any, like: Array, shape: tuple[int, ...]) -> Array:
        """Return the real number(s) `t`, precise and placed like `like`, broadcast to `shape`."""

    @abstractmethod
    def value(self, rule: NormRule, x: Array) -> Array:
        """Return the norm of each matrix."""

    @abstractmethod
    def value_and_gradient(self, rule: NormRule, x: Array) -> tuple[Array, Array]:
        """Return the norm and G with ``d||A|| = Re<G, dA>``, whatever the engine's convention."""

    @abstractmethod
    def hessian(self, rule: NormRule, x: Array) -> Callable[[Array], Array]:
        """Return the derivative of the gradient at `x`, from one factorization.

        It takes a direction E of the shape of `x`, and is differentiable in it.
        """

    @abstractmethod
    def linearize(self, rule: NormRule, x: Array) -> tuple[Array, Callable[[Array], Array]]:
        """Return the gradient and the `hessian` at `x`, from one factorization for both."""

    @abstractmethod
    def track(self, rule: TrackedSpectral, x: Array, state: Array | None) -> tuple[Array, ...]:
        """Return value, gradient and state as numbers that are not differentiable."""

    @abstractmethod
    def constant(self, f: Callable[..., Array], *arrays: Array) -> Array:
        """Return ``f(*arrays)`` as numbers that are not differentiable."""

    @abstractmethod
    def prox(self, rule: ProxRule, x: Array, t: Array) -> Array:
        """Return the proximal point; t has the shape of the batch."""


class OrderError(NotImplementedError):
    """A derivative of the third order or above was asked for."""

    def __init__(self, message: str = "") -> None:
        super().__init__(
            message
            or "normgrad has derivatives of norms up to the second order, and of proximal maps "
            "to the first; a higher one was asked for. Detach the matrix "
            "(torch: x.detach(), jax: jax.lax.stop_gradient(x)) where the derivative in it "
            "is not wanted; with PyTorch's dual numbers, leave the dual_level before backward"
        )
