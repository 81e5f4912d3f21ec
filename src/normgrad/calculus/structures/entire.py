"""A structured matrix taken as an array: for every norm, up to a moderate size."""

import math
from typing import Any, ClassVar, NamedTuple, final

from normgrad.arithmetic import Array, identity
from normgrad.calculus.by_entries import NormByEntries
from normgrad.calculus.by_singular_values import NormBySingularValues
from normgrad.calculus.structures.base import Parts, Structure
from normgrad.factorizations import Verdict
from normgrad.matrices import HermitianMatrix, Matrix
from normgrad.norms import EntrywiseNorm, Norm

__all__ = ["MOST_ENTRIES", "Eigenvalues", "Entire"]

MOST_ENTRIES = 2**25
"""So many entries are formed at most: 256 MiB in double precision."""


class _ByArray(Structure):
    """From the array of all entries, whose gradient is pulled back."""

    def rule(self) -> Any:
        """Return the rule for the array."""
        if isinstance(self.norm, EntrywiseNorm):
            return NormByEntries(self.norm)
        return NormBySingularValues(self.norm)

    def value(self, A: Matrix) -> Array:
        value: Array = self.rule().value(A.dense())
        return value

    def value_and_gradient(self, A: Matrix) -> tuple[Array, Parts]:
        value, G = self.rule().value_and_gradient(A.dense())
        return value, A.pull_dense(G)

    def derivative(self, A: Matrix) -> "_State":
        _, G, D = self.rule().linearized(A.dense())
        return _State(D, G)


class _State(NamedTuple):
    D: Any
    G: Array

    def apply(self, A: Matrix, direction: Matrix) -> Parts:
        parts = A.pull_dense(self.D(A.push_dense(direction)))
        change = A.pull_derivative(direction, self.G, identity(A.shape[-1], self.G))
        return parts if change is None else tuple(a + b for a, b in zip(parts, change, strict=True))


@final
class Entire(_ByArray):
    """By the factorizations of arrays."""

    name: ClassVar = "dense"

    @classmethod
    def verdict(cls, A: Matrix, norm: Norm) -> Verdict:
        m, n = A.shape[-2:]
        entries = math.prod(A.shape)
        if entries > MOST_ENTRIES:
            return Verdict(
                False, f"as an array it would have {entries:.3g} entries; the limit is 2**25"
            )
        return Verdict(True, f"it is small enough to be formed, as an array of {m} x {n}")


@final
class Eigenvalues(_ByArray):
    """By the eigenvalues of a Hermitian matrix."""

    name: ClassVar = "hermitian"

    @classmethod
    def verdict(cls, A: Matrix, norm: Norm) -> Verdict:
        if isinstance(A, HermitianMatrix):
            return Verdict(True, "it is Hermitian by the caller's promise")
        return Verdict(False, "it is not known to be Hermitian")

    def rule(self) -> Any:
        if isinstance(self.norm, EntrywiseNorm):
            return NormByEntries(self.norm)
        return NormBySingularValues(self.norm, "hermitian", verified=True)
