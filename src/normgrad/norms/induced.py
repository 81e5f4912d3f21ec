"""The norms induced by the vector 1 and inf norms, and the minima that NumPy has beside them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, final

from normgrad.arithmetic import (
    Array,
    absolute_sum,
    divide,
    is_complex,
    is_jax,
    is_readable,
    is_torch,
    namespace,
    phase,
    phase_derivative,
)
from normgrad.norms.base import EntrywiseNorm, EntrywiseProximal, Norm, no_ball
from normgrad.norms.line_balls import common_threshold, line_threshold

__all__ = ["AbsoluteSum", "SumOfLargest"]


@final
@dataclass(frozen=True)
class AbsoluteSum(EntrywiseNorm):
    r"""The largest or smallest absolute sum of a column or of a row: ord 1, -1, inf, -inf.

    Parameters
    ----------
    axis : {-2, -1}
        -2 sums each column (ord 1, -1), -1 each row (ord inf, -inf).
    largest : bool
        The largest sum, which is a norm, or the smallest, which is not.
    tie_tol : float, optional
        Sums within ``tie_tol`` of the extreme one, relatively, count as equal to it. The
        default is ``8 sqrt(max(m, n)) eps``.

    Notes
    -----
    Differentiable where one sum is extreme and, for real matrices, its entries are not zero.
    G holds the signs (phases) of the extreme column; zero entries get 0. Tied columns share:
    the subgradient of least norm weighs each by 1/(its number of nonzeros). For the
    smallest sum, where no subgradient exists, they share evenly.
    For real matrices the second derivative is 0; for complex ones it is that of the absolute
    values, along the matrices with the same zeros and ties.
    """

    axis: int
    largest: bool = True
    tie_tol: float | None = None
    squares: ClassVar[bool] = False

    def __str__(self) -> str:
        extreme = "largest" if self.largest else "smallest"
        return f"{extreme} absolute {'column' if self.axis == -2 else 'row'} sum"

    def _other(self) -> int:
        return -3 - self.axis

    def of_entries(self, A: Array) -> Array:
        xp = namespace(A)
        if 0 in A.shape[-2:]:
            return xp.sum(xp.abs(A), axis=(-2, -1))
        sums = absolute_sum(A, self.axis)
        top = xp.max(sums, axis=-1)
        if self.largest:
            return top
        # NaN and inf belong to the whole matrix, not to their line alone
        return xp.where(xp.isfinite(top), xp.min(sums, axis=-1), top)

    def tied(self, sums: Array, value: Array, tie: float) -> Array:
        """Return which sums count as equal to the value."""
        slack = tie * namespace(sums).abs(value)
        return sums >= value - slack if self.largest else sums <= value + slack

    def _nonzeros(self, A: Array) -> Array:
        xp = namespace(A)
        if is_torch(A) and A.shape[self.axis] > 1:  # no temporary of the size of A
            return xp.linalg.vector_norm(A, axis=self.axis, keepdims=True, ord=0)
        A = phase(A) if is_jax(A) else A  # XLA takes subnormal numbers for zero
        return xp.count_nonzero(A, axis=self.axis, keepdims=True)

    def _weights(self, A: Array, value: Array, tie: float) -> Array:
        """Return the weight of each entry's line, with the axes of `A`."""
        xp = namespace(A)
        sums = xp.expand_dims(absolute_sum(A, self.axis), axis=self.axis)
        share = xp.astype(self.tied(sums, value[..., None, None], tie), sums.dtype)
        if self.largest:
            share = divide(share, xp.astype(self._nonzeros(A), sums.dtype))
        return divide(share, xp.sum(share, axis=self._other(), keepdims=True))

    def gradient(self, A: Array, value: Array, tie: float) -> Array:
        if A.ndim == 2 and is_readable(A) and not is_jax(A):
            return self._in_few_lines(A, value, tie)
        weights = self._weights(A, value, tie)
        G = phase(A)
        G *= weights  # in its own memory, where the library has such
        return G

    def _in_few_lines(self, A: Array, value: Array, tie: float) -> Array:
        """Return the gradient of one matrix, whose entries are zero but in the extreme lines."""
        xp = namespace(A)
        (lines,) = xp.nonzero(self.tied(absolute_sum(A, self.axis), value, tie))
        G = xp.zeros_like(A)
        index = (slice(None), lines) if self.axis == -2 else (lines, slice(None))
        part = phase(A[index])
        if lines.shape[0] > 1:
            part *= self._weights(A[index], value, tie)
        G[index] = part
        return G

    def dual(self) -> Norm:
        return SumOfLargest(self.axis) if self.largest else super().dual()

    def proximal_entries(self, A: Array, step: Array) -> EntrywiseProximal:
        return self._of_columns(common_threshold, A, step)

    def projection_entries(self, A: Array, radius: Array) -> EntrywiseProximal:
        return self._of_columns(line_threshold, A, radius)

    def _of_columns(
        self, f: Callable[[Array, Array], EntrywiseProximal], A: Array, t: Array
    ) -> EntrywiseProximal:
        if not self.largest:
            raise no_ball(self)
        return f(A, t) if self.axis == -2 else f(A.mT, t).transposed()

    def hessian(self, A: Array, value: Array, G: Array, E: Array, tie: float) -> Array:
        xp = namespace(A)
        if not is_complex(A):
            return xp.zeros_like(E)
        return self._weights(A, value, tie) * phase_derivative(A, E)


@final
@dataclass(frozen=True)
class SumOfLargest(EntrywiseNorm):
    """The sum over the columns (rows) of the largest modulus, dual to the largest absolute sum.

    Parameters
    ----------
    axis : {-2, -1}
        -2 takes the largest of each column, -1 of each row.
    tie_tol : float, optional
        Moduli within ``tie_tol`` of the largest of their line, relatively, count as equal to it.

    Notes
    -----
    G holds the phases of the largest entries; those tied in a line share it evenly.
    """

    axis: int
    tie_tol: float | None = None

    def __str__(self) -> str:
        return f"sum of the largest entries of {'columns' if self.axis == -2 else 'rows'}"

    def of_entries(self, A: Array) -> Array:
        xp = namespace(A)
        if 0 in A.shape[-2:]:
            return xp.sum(xp.abs(A), axis=(-2, -1))
        return xp.sum(xp.max(xp.abs(A), axis=self.axis), axis=-1)

    def _shares(self, A: Array, tie: float) -> Array:
        xp = namespace(A)
        size = xp.abs(A)
        top = xp.max(size, axis=self.axis, keepdims=True)
        share = xp.astype((size >= top * (1 - tie)) & (size > 0), size.dtype)
        return divide(share, xp.sum(share, axis=self.axis, keepdims=True))

    def gradient(self, A: Array, value: Array, tie: float) -> Array:
        return A if 0 in A.shape[-2:] else phase(A) * self._shares(A, tie)

    def hessian(self, A: Array, value: Array, G: Array, E: Array, tie: float) -> Array:
        if not is_complex(A):
            return namespace(A).zeros_like(E)
        return self._shares(A, tie) * phase_derivative(A, E)

    def dual(self) -> Norm:
        return AbsoluteSum(self.axis)

    def projection_entries(self, A: Array, radius: Array) -> EntrywiseProximal:
        return AbsoluteSum(self.axis).proximal_entries(A, radius).complement(A)
