"""Leading singular triplets by products with vectors alone; the gradient is in factors."""

from typing import Any, ClassVar, NoReturn, final

import numpy as np

from normgrad.arithmetic import Array, is_traced, namespace
from normgrad.calculus.structures.base import Parts, Structure, tolerances_at
from normgrad.calculus.structures.entire import Entire
from normgrad.calculus.tolerances import snap_to_zero
from normgrad.factorizations import Demand, Outcome, Verdict, leading_triplets
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
        outcome = self._triplets(A)
        if outcome is None:
            return Entire(self.norm).value(A)
        return _where_it_holds(outcome, self.norm.value(outcome.spectrum.s))

    def value_and_gradient(self, A: Matrix) -> tuple[Array, Parts]:
        found = self.in_factors(A)
        if found is None:
            return Entire(self.norm).value_and_gradient(A)
        value, left, right = found
        return value, A.pull(left, right)

    def in_factors(self, A: Matrix) -> tuple[Array, Array, Array] | None:
        """Return the norm and its gradient in the space of matrices, ``left right^H``.

        None if they are not had and A can be formed.
        """
        outcome = self._triplets(A)
        if outcome is None:
            return None
        tol, spectrum = tolerances_at(self.norm, A), outcome.spectrum
        mu = self.norm.slope(snap_to_zero(spectrum.s, tol), tol.tie)
        mu, value = (_where_it_holds(outcome, x) for x in (mu, self.norm.value(spectrum.s)))
        return value, spectrum.u.scaled(mu), spectrum.v.q

    def _triplets(self, A: Matrix) -> Outcome | None:
        """Return the leading triplets, or None if they are not had and A can be formed."""
        tol = tolerances_at(self.norm, A)
        demand = Demand(self.norm.triplets(min(A.shape)), tol.tie, tol.rank)
        outcome = leading_triplets(A, demand)
        if outcome.holds is not False:
            return outcome
        if Entire.verdict(A, self.norm).accepted:
            return None
        raise np.linalg.LinAlgError(
            f"the {self.norm} of a {type(A).__name__} of shape {A.shape}: {outcome.reason}. "
            "Its leading singular values are too close to each other for products with "
            "vectors, and it is too large to be formed as an array"
        )

    def derivative(self, A: Matrix) -> Any:
        # all triplets are needed: those of the array, where it is small enough
        if Entire.verdict(A, self.norm).accepted:
            return Entire(self.norm).derivative(A)
        return _refuse(self.norm, A)


def _where_it_holds(outcome: Outcome, x: Array) -> Array:
    if not is_traced(outcome.holds):
        return x
    return namespace(x).where(outcome.holds, x, float("nan"))


def _refuse(norm: Norm, A: Matrix) -> NoReturn:
    raise NotImplementedError(
        f"the second derivative of the {norm} needs all singular values, and a "
        f"{type(A).__name__} of shape {A.shape} is too large to be formed as an array"
    )
