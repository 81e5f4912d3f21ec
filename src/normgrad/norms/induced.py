"""The norms induced by the vector 1 and inf norms, and the minima that NumPy has beside them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, final

from normgrad.arithmetic import (
    Array,
    absolute_sum,
    branch,
    divide,
    exponent,
    is_complex,
    is_jax,
    is_readable,
    is_torch,
    largest,
    namespace,
    phase,
    phase_derivative,
    seen,
    shift,
)
from normgrad.norms.base import EntrywiseNorm, EntrywiseProximal, Norm, no_ball
from normgrad.norms.line_balls import common_threshold, line_threshold

__all__ = ["AbsoluteSum", "SumOfLargest"]

_BELOW = -2000
"""An exponent below all others, for lines of zeros."""


def _scaled_lines(A: Array, axis: int) -> tuple[Array, Array]:
    """Return the lines of A along an axis, as rows, over ``2**e``, and e, for each, (..., lines).

    Lines are scaled one by one: which is the smallest, and which entries of one are the largest,
    does not depend on how large others are.
    """
    lines = A if axis == -1 else A.mT
    e = exponent(largest(lines[..., None, :]))
    return shift(lines, -e), e


def _are_exact(sums: Array, A: Array) -> Array:
    """Whether all sums, of moduli, are in range: none overflowed, or lost bits below the range."""
    xp, finfo = namespace(sums), namespace(sums).finfo(sums.dtype)
    below_max = sums <= finfo.max
    if not is_complex(A) and not is_jax(A):
        return xp.all(below_max)  # subnormal numbers are added without an error
    normal = sums >= finfo.smallest_normal / finfo.eps
    if not is_jax(A):
        normal |= sums == 0  # (XLA may have flushed it to 0)
    return xp.all(below_max & normal)


def _are_alone(tied: Array) -> Array:
    """Whether no line shares the weight of its matrix, which then is 1, with another one."""
    xp = namespace(tied)
    return xp.all(xp.count_nonzero(tied, axis=-1) <= 1)


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

    @property
    def convex(self) -> bool:  # type: ignore[override]
        """Whether it is a norm."""
        return self.largest

    def __str__(self) -> str:
        extreme = "largest" if self.largest else "smallest"
        return f"{extreme} absolute {'column' if self.axis == -2 else 'row'} sum"

    def _other(self) -> int:
        return -3 - self.axis

    def of_entries(self, A: Array) -> Array:
        if 0 in A.shape[-2:]:
            return namespace(A).sum(namespace(A).abs(A), axis=(-2, -1))
        return self._of_sums(*self._summed(A))

    def _of_sums(self, sums: Array, e: Array | None) -> Array:
        value = self._extreme(sums)
        return value if e is None else shift(value, e)

    def _extreme(self, sums: Array) -> Array:
        xp = namespace(sums)
        return (xp.max if self.largest else xp.min)(sums, axis=-1)

    def sums(self, A: Array) -> Array:
        """Return the sums of the lines; where they need it, all of a matrix over a power of two."""
        return self._summed(A)[0]

    def _summed(self, A: Array) -> tuple[Array, Array | None]:
        """Return the sums, and the exponent of that power for each matrix; None if it is 0."""
        sums = absolute_sum(A, self.axis)
        exact = _are_exact(sums, A)
        if seen(exact):
            return sums, None

        def as_they_are(A: Array) -> tuple[Array, Array]:
            xp = namespace(A)
            return sums, xp.astype(xp.zeros_like(sums[..., 0]), xp.int32)

        common: tuple[Array, Array] = branch(exact, as_they_are, self._scaled_sums, A)
        return common

    def _scaled_sums(self, A: Array) -> tuple[Array, Array]:
        """Return the sums of the lines over ``2**e``, and e; the extreme one is then in range.

        NaN and inf belong to the whole matrix, not to their line alone.
        """
        xp = namespace(A)
        lines, e = _scaled_lines(A, self.axis)
        sums = absolute_sum(lines, -1)
        e = xp.where(sums == 0, _BELOW, e)
        top, common = xp.max(sums, axis=-1, keepdims=True), self._extreme(e)
        return xp.where(xp.isfinite(top), shift(sums, e - common[..., None]), top), common

    def tied(self, sums: Array, value: Array, tie: float) -> Array:
        """Return which sums count as equal to the value."""
        slack = tie * namespace(sums).abs(value)
        return sums >= value - slack if self.largest else sums <= value + slack

    def _shared(self, share: Array, A: Array, axis: int) -> Array:
        """Return the share of lines along an axis over their number of nonzeros, or as it is."""
        if not self.largest:
            return share
        xp = namespace(A)
        if is_torch(A) and A.shape[axis] > 1:  # no temporary of the size of A
            # (for a single complex entry PyTorch warns of the imaginary part that it drops)
            nonzeros = xp.linalg.vector_norm(A, axis=axis, keepdims=True, ord=0)
        else:
            A = phase(A) if is_jax(A) else A  # XLA takes subnormal numbers for zero
            nonzeros = xp.count_nonzero(A, axis=axis, keepdims=True)
        return divide(share, xp.astype(nonzeros, share.dtype))

    def _weights(self, A: Array, sums: Array, tie: float) -> Array:
        """Return the weight of each entry's line, with the axes of `A`, given their sums."""
        xp = namespace(A)
        tied = self.tied(sums, self._extreme(sums)[..., None], tie)
        share = xp.expand_dims(xp.astype(tied, sums.dtype), axis=self.axis)
        share = branch(
            _are_alone(tied), lambda A: share, lambda A: self._shared(share, A, self.axis), A
        )
        return divide(share, xp.sum(share, axis=self._other(), keepdims=True))

    def gradient(self, A: Array, value: Array, tie: float) -> Array:
        if 0 in A.shape[-2:]:
            return namespace(A).zeros_like(A)
        return self._gradient(A, self.sums(A), tie)

    def with_gradient(self, A: Array, tie: float) -> tuple[Array, Callable[[], Array]]:
        if 0 in A.shape[-2:]:
            return super().with_gradient(A, tie)
        sums, e = self._summed(A)
        return self._of_sums(sums, e), lambda: self._gradient(A, sums, tie)

    def _gradient(self, A: Array, sums: Array, tie: float) -> Array:
        """Return the gradient, given the sums of the lines, over any power of two."""
        if is_readable(A) and not is_jax(A):
            return self._in_few_lines(A, sums, tie)
        weights = self._weights(A, sums, tie)
        G = phase(A)
        G *= weights  # in its own memory, where the library has such
        return G

    def _in_few_lines(self, A: Array, sums: Array, tie: float) -> Array:
        """Return the gradient, whose entries are zero but in the extreme lines: of those alone."""
        xp = namespace(A)
        G = xp.zeros_like(A)
        rows, found = (A.mT, G.mT) if self.axis == -2 else (A, G)
        tied = self.tied(sums, self._extreme(sums)[..., None], tie)
        lines = xp.nonzero(tied)
        part = phase(rows[lines])
        if not seen(_are_alone(tied)):
            share = xp.zeros_like(sums)[..., None]
            share[lines] = self._shared(xp.ones_like(sums[lines][..., None]), part, -1)
            part *= divide(share, xp.sum(share, axis=-2, keepdims=True))[lines]
        found[lines] = part
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
        if not is_complex(A) or 0 in A.shape[-2:]:
            return namespace(A).zeros_like(E)
        return self._weights(A, self.sums(A), tie) * phase_derivative(A, E)


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
    squares: ClassVar[bool] = False

    def __str__(self) -> str:
        return f"sum of the largest entries of {'columns' if self.axis == -2 else 'rows'}"

    def of_entries(self, A: Array) -> Array:
        xp = namespace(A)
        if 0 in A.shape[-2:]:
            return xp.sum(xp.abs(A), axis=(-2, -1))

        def scaled(A: Array) -> Array:
            lines, e = _scaled_lines(A, self.axis)
            top = xp.max(xp.abs(lines), axis=-1)
            e = xp.where(top == 0, _BELOW, e)
            common = xp.max(e, axis=-1)
            return shift(xp.sum(shift(top, e - common[..., None]), axis=-1), common)

        top = xp.max(xp.abs(A), axis=self.axis)
        value: Array = branch(_are_exact(top, A), lambda A: xp.sum(top, axis=-1), scaled, A)
        return value

    def _shares(self, A: Array, tie: float) -> Array:
        xp = namespace(A)
        size = xp.abs(_scaled_lines(A, self.axis)[0])
        top = xp.max(size, axis=-1, keepdims=True)
        share = xp.astype((size >= top * (1 - tie)) & (size > 0), size.dtype)
        share = divide(share, xp.sum(share, axis=-1, keepdims=True))
        return share if self.axis == -1 else share.mT

    def gradient(self, A: Array, value: Array, tie: float) -> Array:
        if 0 in A.shape[-2:]:
            return namespace(A).zeros_like(A)
        return phase(A) * self._shares(A, tie)

    def hessian(self, A: Array, value: Array, G: Array, E: Array, tie: float) -> Array:
        if not is_complex(A) or 0 in A.shape[-2:]:
            return namespace(A).zeros_like(E)
        return self._shares(A, tie) * phase_derivative(A, E)

    def dual(self) -> Norm:
        return AbsoluteSum(self.axis)

    def projection_entries(self, A: Array, radius: Array) -> EntrywiseProximal:
        return AbsoluteSum(self.axis).proximal_entries(A, radius).complement(A)
