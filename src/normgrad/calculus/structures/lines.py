"""The absolute sums of columns and rows of a sparse matrix, from its stored values.

The formulas are those of `normgrad.norms.AbsoluteSum`; a line is a column or a row.
"""

from typing import ClassVar, NamedTuple, final

from normgrad.arithmetic import (
    Array,
    divide,
    is_complex,
    namespace,
    phase,
    phase_derivative,
    sums_at,
)
from normgrad.calculus.structures.base import Parts, State, Structure, tolerances_at
from normgrad.factorizations import Verdict
from normgrad.matrices import Matrix, Sparse
from normgrad.norms import AbsoluteSum, Norm

__all__ = ["Lines"]


@final
class Lines(Structure):
    """One pass over the stored values; a line without any has the sum 0."""

    name: ClassVar = "none"
    norm: AbsoluteSum

    @classmethod
    def verdict(cls, A: Matrix, norm: Norm) -> Verdict:
        if not isinstance(norm, AbsoluteSum):
            return Verdict(False, "the norm is no sum over a column or row")
        if not isinstance(A, Sparse):
            return Verdict(False, "its entries are not stored one by one")
        return Verdict(True, "the norm is a sum over stored values: one pass, no factorization")

    def _line(self, A: Matrix) -> tuple[Array, int]:
        """Return the line of each value, and how many lines there are."""
        pattern = A.static
        if self.norm.axis == -2:
            return pattern.columns, pattern.shape[1]  # type: ignore[attr-defined]
        return pattern.rows, pattern.shape[0]  # type: ignore[attr-defined]

    def _extreme(self, A: Matrix) -> tuple[Array, Array]:
        """Return all sums, and the largest or smallest."""
        (values,) = A.parameters
        xp = namespace(values)
        sums = sums_at(xp.abs(values), *self._line(A))
        return sums, (xp.max if self.norm.largest else xp.min)(sums, axis=-1)

    def value(self, A: Matrix) -> Array:
        return self._extreme(A)[1]

    def value_and_gradient(self, A: Matrix) -> tuple[Array, Parts]:
        value, weights = self._weights(A)
        return value, (weights * phase(A.parameters[0]),)

    def _weights(self, A: Matrix) -> tuple[Array, Array]:
        """Return the value, and the weight of each stored value's line."""
        (values,) = A.parameters
        xp = namespace(values)
        index, count = self._line(A)
        sums, value = self._extreme(A)
        tied = self.norm.tied(sums, value[..., None], tolerances_at(self.norm, A).tie)
        share = xp.astype(tied, sums.dtype)
        if self.norm.largest:
            nonzero = xp.astype(phase(values) != 0, sums.dtype)
            share = divide(share, sums_at(nonzero, index, count))
        share = divide(share, xp.sum(share, axis=-1, keepdims=True))
        return value, share[..., index]

    def derivative(self, A: Matrix) -> State:
        return _State(self._weights(A)[1])


class _State(NamedTuple):
    weights: Array

    def apply(self, A: Matrix, direction: Matrix) -> Parts:
        (values,), (E,) = A.parameters, direction.parameters
        if not is_complex(values):
            return (namespace(E).zeros_like(E),)
        return (self.weights * phase_derivative(values, E),)
