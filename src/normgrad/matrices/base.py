r"""What a matrix type is: an embedding ``theta -> A(theta)`` with its adjoint.

The parameters theta are arrays; everything else about a matrix (shapes, an index set, a function)
is *static*. A gradient lives where the parameters live: it is the adjoint of the embedding's
derivative, applied to the gradient G in the space of matrices, which is never formed, but
given by its factors ``G = left right^H``.
"""

import functools
import sys
from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any, ClassVar, NoReturn, Self

from normgrad.arithmetic import Array, identity, is_torch, promoted
from normgrad.matrices.checks import check_factor, in_one_library

__all__ = ["Matrix"]


class Matrix(ABC):
    """A matrix, or a batch of them, known by what it does. It is immutable.

    Norms, gradients and second derivatives of a subclass follow, in every engine, from what it
    tells here; products with vectors serve norms of few singular values at any size, and all
    norms up to a moderate size. `set` is called with its parameters, checked, and with what is
    static.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> class Multiple(normgrad.Matrix):
    ...     "``A = factor I``."
    ...     def __init__(self, factor, n):
    ...         self.set((np.asarray(factor),), n)
    ...     @property
    ...     def shape(self):
    ...         return (self.static, self.static)
    ...     @property
    ...     def ranks(self):
    ...         return (0,)
    ...     def matmat(self, V):
    ...         return self.parameters[0] * V
    ...     rmatmat = matmat
    ...     def pull(self, left, right):
    ...         return (np.sum(left * right),)
    >>> value, gradient = normgrad.value_and_grad(Multiple(-2.0, 3), "nuc")
    >>> float(value), float(gradient.parameters[0])
    (6.0, -3.0)
    """

    names: ClassVar[tuple[str, ...]] = ()
    """By which its parameters go as attributes."""

    scaling: ClassVar[str] = "together"
    """Which parameters a power of two may be taken out of, so that A has the same factor.

    "together" for an embedding that is linear in all of them, "each" for one that is linear in
    each, "none" where neither is known.
    """

    parameters: tuple[Array, ...]
    static: Hashable

    def set(self, parameters: tuple[Array, ...], static: Hashable = None) -> None:
        """Keep the parameters, in order, and what is static: hashable, and the same for all."""
        vars(self).update(parameters=tuple(parameters), static=static)
        vars(self).update(zip(self.names, parameters, strict=False))
        _register(type(self))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a {type(self).__name__} is immutable; make a new one")

    @classmethod
    def build(cls, parameters: tuple[Array, ...], static: Hashable) -> Self:
        """Return the matrix with these parameters, unchecked: they may be gradients, or tracers."""
        matrix = object.__new__(cls)
        matrix.set(parameters, static)
        return matrix

    def replace(self, parameters: tuple[Array, ...]) -> Self:
        """Return a matrix that differs in its parameters."""
        return self.build(parameters, self.static)

    @classmethod
    def portable(cls, static: Hashable) -> bool:
        """Whether what is static holds neither arrays nor functions of a library."""
        return True

    @classmethod
    def split(cls, static: Any) -> tuple[tuple[Array, ...], Hashable]:
        """Return the traced arrays in what is static, and the rest of it."""
        return (), static

    @classmethod
    def joined(cls, static: Any, arrays: tuple[Array, ...]) -> Hashable:
        """Return what `split` took apart, with these arrays."""
        return static

    # --- what a subclass tells ---

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Return (..., m, n)."""

    @property
    @abstractmethod
    def ranks(self) -> tuple[int, ...]:
        """Return how many axes each parameter has for one matrix; those before are the batch."""

    @abstractmethod
    def matmat(self, V: Array) -> Array:
        """Return ``A V``, (..., m, k) from (..., n, k)."""

    @abstractmethod
    def rmatmat(self, U: Array) -> Array:
        """Return ``A^H U``, (..., n, k) from (..., m, k)."""

    @abstractmethod
    def pull(self, left: Array, right: Array) -> tuple[Array, ...]:
        """Return the gradient in each parameter of ``Re<left right^H, A(theta)>``.

        `left` is (..., m, k) and `right` (..., n, k). For a real parameter it is real.
        """

    # --- what follows, for an embedding that is linear ---

    def pull_dense(self, G: Array) -> tuple[Array, ...]:
        """Return the gradient in each parameter of ``Re<G, A(theta)>``, for an array G."""
        return self.pull(G, identity(self.shape[-1], G))

    def pull_itself(self) -> tuple[Array, ...] | None:
        """Return the gradient of ``||A||_F^2 / 2``, or None where that is not had from entries."""
        return None

    def push(self, direction: "Matrix", V: Array) -> Array:
        """Return ``dA V``, for the derivative dA of the embedding in a direction of parameters."""
        self._check_linear("push")
        return direction.matmat(V)

    def push_dense(self, direction: "Matrix") -> Array:
        """Return dA as an array."""
        return self.push(direction, identity(self.shape[-1], self.model))

    def push_adjoint(self, direction: "Matrix", U: Array) -> Array:
        """Return ``dA^H U``."""
        self._check_linear("push_adjoint")
        return direction.rmatmat(U)

    def pull_derivative(
        self, direction: "Matrix", left: Array, right: Array
    ) -> tuple[Array, ...] | None:
        """Return the derivative of ``pull(left, right)`` in a direction of the parameters.

        None for one that is linear: it has none.
        """
        self._check_linear("pull_derivative")
        return None

    def _check_linear(self, method: str) -> None:
        if self.scaling != "together":
            raise NotImplementedError(
                f"a second derivative of a {type(self).__name__}, which is not linear in all of "
                f"its parameters together, needs its method {method}"
            )

    def without_copies(self) -> tuple["Matrix", int]:
        """Return a matrix of which each singular value is so many times one of A, and how many.

        It has the parameters of A, and the triplets of A are copies of its own, with the same
        `pull` each.
        """
        return self, 1

    def given(self) -> Any:
        """Return this matrix in the form in which its user works with it."""
        return self

    # --- what is the same for all ---

    @property
    def ndim(self) -> int:
        """Return the number of axes, batch and all."""
        return len(self.shape)

    @property
    def rank_bound(self) -> int:
        """Return a bound of the rank that is known from the structure."""
        return min(self.shape[-2:])

    @property
    def fixed(self) -> bool:
        """Return whether it depends on nothing, and its parameters only say where it is."""
        return False

    @property
    def model(self) -> Array:
        """Return some array of the library, place and dtype of A."""
        return self.parameters[0]

    @property
    def dtype(self) -> Any:
        """Return the dtype of A."""
        return self.model.dtype

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError(
            f"NumPy wants an array, and a {type(self).__name__} is made one only when asked: pass "
            "x.dense()"
        )

    def dense(self) -> Array:
        """Return A as an array (..., m, n)."""
        (A,) = self._promoted()
        return A.matmat(identity(A.shape[-1], A.model))

    def _promoted(self, *vectors: Array) -> tuple[Any, ...]:
        """Return A and vectors in one dtype, as products of PyTorch want it."""
        given = (*self.parameters, *vectors)
        arrays, k = promoted(given), len(self.parameters)
        if all(a is b for a, b in zip(arrays, given, strict=True)):
            return self, *vectors
        return self.replace(arrays[:k]), *arrays[k:]

    def __matmul__(self, other: Array) -> Array:
        if isinstance(other, Matrix) or not hasattr(other, "ndim"):
            return NotImplemented
        n = self.shape[-1]
        if tuple(other.shape[-2:])[:1] != (n,):
            raise ValueError(
                f"a {type(self).__name__} of shape {self.shape} takes a vector ({n},) or columns "
                f"(..., {n}, k); got shape {tuple(other.shape)}"
            )
        A, other = self._promoted(other if hasattr(other, "tocsr") else self._in_library(other))
        if other.ndim == 1:
            return A.matmat(other[:, None])[..., 0]
        return A.matmat(other)

    def _in_library(self, other: Array) -> Array:
        """Return an array of NumPy in the library of A, or raise TypeError for another library."""
        *_, other = in_one_library((*self.parameters, other), "a matrix and what it multiplies")
        if is_torch(other) and not is_torch(self.model):  # (JAX and autograd take NumPy's)
            raise TypeError(
                f"a {type(self).__name__} of NumPy arrays can not multiply a tensor of torch; both "
                "must be of one library: make it of tensors, or pass x.numpy()"
            )
        return other

    @property
    def T(self) -> "Matrix":
        """Return the transpose."""
        return self.transposed()

    def transposed(self) -> "Matrix":
        """Return the transpose, of the same type where it has one."""
        from normgrad.matrices.sums import Transpose

        return Transpose(self)

    def __add__(self, other: Any) -> "Matrix":
        from normgrad.matrices.sums import Sum

        return Sum(self, other)

    def __radd__(self, other: Any) -> "Matrix":
        if isinstance(other, int) and other == 0:  # where `sum` begins
            return self
        from normgrad.matrices.sums import Sum

        return Sum(other, self)

    def __sub__(self, other: Any) -> "Matrix":
        return self + (-other)

    def __rsub__(self, other: Any) -> "Matrix":
        return other + (-self)

    def __truediv__(self, divisor: Any) -> "Matrix":
        check_factor(self, divisor)
        return (1 / divisor) * self

    def __rmul__(self, factor: Any) -> "Matrix":
        """Return the multiple by a number: of all parameters, or of the first, as A is linear."""
        check_factor(self, factor)
        if self.scaling == "none":
            raise NotImplementedError(
                f"a {type(self).__name__} is not known to be linear in its parameters; write "
                "__rmul__ for it"
            )
        first, *rest = self.parameters
        if self.scaling == "together":
            rest = [factor * other for other in rest]
        return self.replace((factor * first, *rest))

    __mul__ = __rmul__

    def __neg__(self) -> "Matrix":
        return -1.0 * self

    __array_ufunc__ = None  # NumPy leaves operators to this class

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.shape))
        return f"<{type(self).__name__} {shape}, {self.dtype}>"


@functools.cache
def _register_jax(kind: type[Matrix]) -> None:
    """Make a type known to JAX: its parameters are leaves, and its indices if they are traced."""

    def flatten(A: Matrix) -> Any:
        arrays, static = kind.split(A.static)
        return (A.parameters, arrays), static

    def unflatten(static: Any, children: Any) -> Matrix:
        parameters, arrays = children
        return kind.build(parameters, kind.joined(static, arrays))

    sys.modules["jax"].tree_util.register_pytree_node(kind, flatten, unflatten)


@functools.cache
def _register_torch(kind: type[Matrix]) -> None:
    """Make a type known to torch.func: its parameters are leaves."""
    sys.modules["torch"].utils._pytree.register_pytree_node(
        kind,
        lambda A: (list(A.parameters), A.static),
        lambda parameters, static: kind.build(tuple(parameters), static),
    )


def _register(kind: type[Matrix]) -> None:
    if "jax" in sys.modules:
        _register_jax(kind)
    if "torch" in sys.modules:
        _register_torch(kind)
