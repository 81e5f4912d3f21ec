"""Norms that are had from the parameters themselves, without any factorization."""

from typing import ClassVar, NamedTuple, final

from normgrad.arithmetic import Array, divide, identity, namespace, real
from normgrad.calculus.structures.base import Parts, State, Structure, inner
from normgrad.factorizations import Verdict
from normgrad.matrices import PSD, Matrix
from normgrad.norms import Frobenius, Norm, Nuclear, SmallestSingularValue

__all__ = ["Entries", "Singular", "Trace"]


@final
class Entries(Structure):
    r"""The Frobenius norm of a linear embedding J: ``||A||^2 = <theta, J^* J theta>``.

    ``grad = J^* J theta / ||A||``, and its derivative ``(J^* J E - grad <grad, E>) / ||A||``.
    """

    name: ClassVar = "none"

    @classmethod
    def verdict(cls, A: Matrix, norm: Norm) -> Verdict:
        if not isinstance(norm, Frobenius):
            return Verdict(False, "the norm is no sum over the parameters")
        if A.pull_itself() is None:
            return Verdict(False, "the entries of the matrix are not those of its parameters")
        return Verdict(True, "the norm is a sum over the parameters: one pass, no factorization")

    def value(self, A: Matrix) -> Array:
        return self._both(A)[0]

    def value_and_gradient(self, A: Matrix) -> tuple[Array, Parts]:
        value, parts = self._both(A)
        return value, tuple(
            _over(part, value, rank) for part, rank in zip(parts, A.ranks, strict=True)
        )

    def derivative(self, A: Matrix) -> State:
        return _Sphere(*self.value_and_gradient(A))

    def _both(self, A: Matrix) -> tuple[Array, Parts]:
        parts = A.pull_itself() or ()
        return namespace(parts[0]).sqrt(inner(A.parameters, parts, A.ranks)), parts


class _Sphere(NamedTuple):
    value: Array
    G: Parts

    def apply(self, A: Matrix, direction: Matrix) -> Parts:
        along = inner(self.G, direction.parameters, A.ranks)
        return tuple(
            _over(part - _each(along, rank) * G, self.value, rank)
            for part, G, rank in zip(direction.pull_itself() or (), self.G, A.ranks, strict=True)
        )


def _each(number: Array, rank: int) -> Array:
    return namespace(number).reshape(number, tuple(number.shape) + (1,) * rank)


def _over(part: Array, value: Array, rank: int) -> Array:
    """Return ``part / value``, and 0 where the value is 0."""
    return part * _each(divide(namespace(value).ones_like(value), value), rank)


@final
class Trace(Structure):
    """The nuclear norm of a positive semidefinite matrix, which is linear in it."""

    name: ClassVar = "none"

    @classmethod
    def verdict(cls, A: Matrix, norm: Norm) -> Verdict:
        if isinstance(A, PSD) and isinstance(norm, Nuclear):
            return Verdict(True, "the nuclear norm of a positive semidefinite matrix is its trace")
        return Verdict(False, "it is no trace")

    def value(self, A: Matrix) -> Array:
        (x,) = A.parameters
        return namespace(x).sum(real(namespace(x).linalg.diagonal(x)), axis=-1)

    def value_and_gradient(self, A: Matrix) -> tuple[Array, Parts]:
        (x,) = A.parameters
        return self.value(A), (namespace(x).zeros_like(x) + identity(x.shape[-1], x),)

    def derivative(self, A: Matrix) -> State:
        return _Linear()


class _Linear(NamedTuple):
    def apply(self, A: Matrix, direction: Matrix) -> Parts:
        return tuple(0 * E for E in direction.parameters)


@final
class Singular(Structure):
    """The smallest singular value of a matrix that cannot have full rank: 0, its minimum."""

    name: ClassVar = "none"

    @classmethod
    def verdict(cls, A: Matrix, norm: Norm) -> Verdict:
        k = min(A.shape[-2:])
        if isinstance(norm, SmallestSingularValue) and A.rank_bound < k:
            return Verdict(True, f"of {k} singular values at most {A.rank_bound} are not zero")
        return Verdict(False, "nothing is known of the rank")

    def value(self, A: Matrix) -> Array:
        return 0 * inner(A.parameters, A.parameters, A.ranks)

    def value_and_gradient(self, A: Matrix) -> tuple[Array, Parts]:
        return self.value(A), tuple(0 * x for x in A.parameters)

    def derivative(self, A: Matrix) -> State:
        return _Linear()
