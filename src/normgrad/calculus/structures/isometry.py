r"""Matrices whose singular values are all the same: ``A^H A = s^2 I``, or ``A A^H``.

``U V^H`` is ``A / s``, and so the gradient of a unitarily invariant norm is a multiple of A, which
needs no vectors. Products with vectors could not find them, as all are tied.

*Acceptance.* ``|A^H (A X / s) - s X| <= 16 eps s |X|`` for normal random X, (n, 8), with
``s = |A X| / |X|``. One that differs from the other singular values by a share d of them leaves
``2 d s`` times its part of X, which is about ``|X| / sqrt(n)``: it passes only with d below
``8 sqrt(n) eps``, at most what counts as a tie by default. That its eight numbers in X are so
small that ten times as much passes has a probability of 1e-7.
"""

from typing import ClassVar, final

from normgrad.arithmetic import Array, device, gaussian, is_readable, machine_epsilon, namespace
from normgrad.calculus.structures.base import Parts, State, Structure, tolerances_at
from normgrad.calculus.structures.entire import Entire
from normgrad.calculus.structures.products import ByProducts
from normgrad.factorizations import Verdict
from normgrad.matrices import Matrix
from normgrad.norms import Norm, UnitarilyInvariantNorm

__all__ = ["MultipleOfIsometry"]

_SMALLEST = 200


@final
class MultipleOfIsometry(Structure):
    """The norm of k equal singular values; its gradient is ``mu A / s``."""

    name: ClassVar = "isometry"
    norm: UnitarilyInvariantNorm

    @classmethod
    def verdict(cls, A: Matrix, norm: Norm) -> Verdict:
        if not isinstance(norm, UnitarilyInvariantNorm) or len(A.shape) > 2:
            return Verdict(False, "it is for unitarily invariant norms of one matrix")
        if min(A.shape) < _SMALLEST and Entire.verdict(A, norm).accepted:
            return Verdict(False, "a dense factorization is as quick")
        if not is_readable(A.model) or A.pull_itself() is None:
            return Verdict(False, "it can not be seen whether all singular values are the same")
        s, size, rest = _applied(A)
        if s > 0 and rest <= 16 * machine_epsilon(s) * s * size:
            return Verdict(True, "all singular values are the same, random vectors tell")
        return Verdict(False, "not all singular values are the same")

    def value(self, A: Matrix) -> Array:
        value: Array = self.norm.value(self._all(A))
        return value

    def value_and_gradient(self, A: Matrix) -> tuple[Array, Parts]:
        s = self._all(A)
        factor = self.norm.slope(s, tolerances_at(self.norm, A).tie)[0] / s[0]
        return self.norm.value(s), tuple(factor * part for part in A.pull_itself() or ())

    def derivative(self, A: Matrix) -> State:
        state: State = ByProducts(self.norm).derivative(A)
        return state

    def _all(self, A: Matrix) -> Array:
        s, _, _ = _applied(A)
        return s * namespace(s).ones(min(A.shape), dtype=s.dtype, device=device(s))


def _applied(A: Matrix) -> tuple[Array, Array, Array]:
    """Return ``s = |A X| / |X|``, ``|X|`` and ``|A^H (A X / s) - s X|`` for random X."""
    forth, back = (A.matmat, A.rmatmat) if A.shape[0] >= A.shape[1] else (A.rmatmat, A.matmat)
    X = gaussian((min(A.shape), 8), A.model)
    norm = namespace(X).linalg.vector_norm
    Y, size = forth(X), norm(X)
    s = norm(Y) / size
    return s, size, norm(back(Y / s) - s * X)
