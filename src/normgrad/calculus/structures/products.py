"""Leading singular triplets by products with vectors alone; the gradient is in factors."""

from collections.abc import Callable
from typing import Any, ClassVar, NoReturn, final

import numpy as np

from normgrad.arithmetic import Array, adjoint, branch, is_traced, namespace
from normgrad.calculus.structures.base import Parts, Structure, tolerances_at
from normgrad.calculus.structures.entire import Entire
from normgrad.calculus.tolerances import snap_to_zero
from normgrad.factorizations import (
    Columns,
    Demand,
    Outcome,
    Spectrum,
    Verdict,
    leading_triplets,
    thin_svd,
)
from normgrad.matrices import Matrix
from normgrad.norms import Norm, UnitarilyInvariantNorm

__all__ = ["ByProducts"]

_SMALLEST = 200


@final
class ByProducts(Structure):
    """Lanczos' method on ``A^H A``, for norms of few leading singular values."""

    name: ClassVar = "lanczos"
    norm: UnitarilyInvariantNorm

    @classmethod
    def verdict(cls, A: Matrix, norm: Norm) -> Verdict:
        k = min(A.shape[-2:])
        if not isinstance(norm, UnitarilyInvariantNorm):
            return Verdict(False, "the norm depends on the basis")
        triplets = norm.triplets(k)
        if triplets > max(k // 50, 1) or triplets >= k:
            return Verdict(False, f"the {norm} depends on {triplets} of {k} singular values")
        if len(A.shape) > 2:
            return Verdict(False, "it takes one matrix at a time, not a batch")
        if k < _SMALLEST and Entire.verdict(A, norm).accepted:
            return Verdict(False, f"with {k} singular values a dense factorization is as quick")
        return Verdict(True, f"{triplets} of {k} singular values by products with vectors")

    def value(self, A: Matrix) -> Array:
        outcome = self._triplets(A, vectors=False)
        if outcome is None:
            return Entire(self.norm).value(A)
        value = self._factors(A, outcome)[1]
        return self._where_it_holds(A, outcome, value, lambda entire: entire.value(A))

    def value_and_gradient(self, A: Matrix) -> tuple[Array, Parts]:
        outcome = self._triplets(A)
        if outcome is None:
            return Entire(self.norm).value_and_gradient(A)
        one, value, left, right = self._factors(A, outcome)
        found = value, one.pull(left, right)
        both: tuple[Array, Parts] = self._where_it_holds(
            A, outcome, found, lambda entire: entire.value_and_gradient(A)
        )
        return both

    def in_factors(self, A: Matrix) -> tuple[Array, Array, Array] | None:
        """Return the norm and its gradient in the space of matrices, ``left right^H``.

        None if A has to be formed for it.
        """
        if A.without_copies()[1] > 1:
            return None
        outcome = self._triplets(A)
        if outcome is None:
            return None
        _, value, left, right = self._factors(A, outcome)
        if is_traced(outcome.holds):
            value, left = (_nan_unless(outcome.holds, x) for x in (value, left))
        return value, left, right

    def _factors(self, A: Matrix, outcome: Outcome) -> tuple[Matrix, Array, Array, Array]:
        """Return A without copies, the norm of A, and ``left right^H`` for the gradient."""
        one, copies = A.without_copies()
        tol, spectrum = tolerances_at(self.norm, A), outcome.spectrum
        xp = namespace(spectrum.s)
        s = xp.repeat(spectrum.s, copies) if copies > 1 else spectrum.s
        mu = self.norm.slope(snap_to_zero(s, tol.rank), tol.tie)
        mu = xp.sum(xp.reshape(mu, (-1, copies)), axis=-1)
        return one, self.norm.value(s), spectrum.u.scaled(mu), spectrum.v.q

    def _where_it_holds(
        self, A: Matrix, outcome: Outcome, found: Any, general: Callable[[Entire], Any]
    ) -> Any:
        """Return what was found; where it is seen only when it runs that it fails, the general."""
        if not is_traced(outcome.holds):
            return found
        if Entire.verdict(A, self.norm).accepted:
            entire = Entire(self.norm)
            return branch(outcome.holds, lambda x: found, lambda x: general(entire), A.model)
        if isinstance(found, tuple):
            value, parts = found
            return _nan_unless(outcome.holds, value), tuple(
                _nan_unless(outcome.holds, part) for part in parts
            )
        return _nan_unless(outcome.holds, found)

    def _triplets(self, A: Matrix, vectors: bool = True) -> Outcome | None:
        """Return leading triplets of A without copies, or None if A has to be formed for them.

        Without `vectors`, some of those that may be more.
        """
        tol = tolerances_at(self.norm, A)
        one, copies = A.without_copies()
        k = min(one.shape)
        triplets = min(-(-self.norm.triplets(min(A.shape)) // copies), k)
        demand = Demand(triplets, tol.tie, tol.rank, vectors)
        reason = f"with {k} singular values a dense factorization is as quick"
        if copies == 1 or k >= _SMALLEST:
            outcome = leading_triplets(one, demand)
            if outcome.holds is not False:
                return outcome
            reason = outcome.reason
        if copies > 1 and Entire.verdict(one, self.norm).accepted:
            U, s, Vh = thin_svd(one.dense())
            return Outcome(Spectrum(Columns(U), s, Columns(adjoint(Vh))), True, reason)
        if Entire.verdict(A, self.norm).accepted:
            return None
        raise np.linalg.LinAlgError(
            f"the {self.norm} of a {type(A).__name__} of shape {A.shape}: {reason}. "
            "Its leading singular values are too close to each other for products with "
            "vectors, and it is too large to be formed as an array; in single precision fewer "
            "products do"
        )

    def derivative(self, A: Matrix) -> Any:
        # all triplets are needed: those of the array, where it is small enough
        if Entire.verdict(A, self.norm).accepted:
            return Entire(self.norm).derivative(A)
        return _refuse(self.norm, A)


def _nan_unless(holds: Array, x: Array) -> Array:
    return namespace(x).where(holds, x, float("nan"))


def _refuse(norm: Norm, A: Matrix) -> NoReturn:
    raise NotImplementedError(
        f"the second derivative of the {norm} needs all singular values, and a "
        f"{type(A).__name__} of shape {A.shape} is too large to be formed as an array"
    )
