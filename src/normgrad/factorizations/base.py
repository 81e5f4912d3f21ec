"""What a factorization gives: singular triplets, all of them or the top few."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

from normgrad.arithmetic import (
    Array,
    adjoint,
    identity,
    integers,
    is_complex,
    namespace,
    read_integer,
    seen,
    times,
)

__all__ = [
    "Columns",
    "Coordinates",
    "Demand",
    "Factorization",
    "Frame",
    "Image",
    "Outcome",
    "Spectrum",
    "Verdict",
    "far_from_square",
]


_FEW = 64
"""Of so many triplets all are multiplied, which is less than to see which need not be."""


class Frame(ABC):
    """An m x k matrix Q with orthonormal columns, known by what it does."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Return (m, k)."""

    @abstractmethod
    def expand(self, X: Array) -> Array:
        """Return ``Q X``, (..., m, p) from (..., k, p)."""

    @abstractmethod
    def coefficients(self, X: Array) -> Array:
        """Return ``Q^H X``, (..., k, p) from (..., m, p)."""

    @abstractmethod
    def expand_right(self, X: Array) -> Array:
        """Return ``X Q^H``, (..., p, m) from (..., p, k)."""

    @abstractmethod
    def coefficients_right(self, X: Array) -> Array:
        """Return ``X Q``, (..., p, k) from (..., p, m)."""

    @abstractmethod
    def scaled(self, g: Array) -> Array:
        """Return ``Q diag(g)`` as an array (..., m, k)."""

    @abstractmethod
    def leading(self, r: int) -> "Frame":
        """Return the first r columns."""


@dataclass(frozen=True)
class Columns(Frame):
    """Orthonormal columns in an array (..., m, k)."""

    q: Array

    @property
    def shape(self) -> tuple[int, int]:
        return self.q.shape[-2], self.q.shape[-1]

    def expand(self, X: Array) -> Array:
        return self.q @ X

    def coefficients(self, X: Array) -> Array:
        return adjoint(self.q) @ X

    def expand_right(self, X: Array) -> Array:
        return X @ adjoint(self.q)

    def coefficients_right(self, X: Array) -> Array:
        return X @ self.q

    def scaled(self, g: Array) -> Array:
        return self.q * g[..., None, :]

    def leading(self, r: int) -> "Columns":
        return Columns(self.q[..., :, :r])


@dataclass(frozen=True)
class Image(Frame):
    """The product ``A W`` of an array (..., m, n) and a small one (..., n, k), never formed.

    Parameters
    ----------
    a, w : array
        The columns of ``A W`` are orthonormal; those where W is zero count as absent. If w
        has a higher precision than a, so must have what is multiplied; products are rounded to
        that of a.
    """

    a: Array
    w: Array

    @property
    def shape(self) -> tuple[int, int]:
        return self.a.shape[-2], self.w.shape[-1]

    def expand(self, X: Array) -> Array:
        return times(self.a, self.w @ X)

    def coefficients(self, X: Array) -> Array:
        return adjoint(self.coefficients_right(adjoint(X)))

    def expand_right(self, X: Array) -> Array:
        return adjoint(self.expand(adjoint(X)))

    def coefficients_right(self, X: Array) -> Array:
        return (X @ self.a) @ self.w

    def scaled(self, g: Array) -> Array:
        return times(self.a, self.w * g[..., None, :])

    def leading(self, r: int) -> "Image":
        return Image(self.a, self.w[..., :r])


@dataclass(frozen=True)
class Coordinates(Frame):
    """Unit vectors of C^m, each times a phase: column j is ``phase_j e_i`` with ``i = order_j``.

    Multiplication gathers or scatters rows; its only arithmetic is with the phases.

    Parameters
    ----------
    order : (..., k) integer array
        Distinct within a matrix, below `rows`.
    phase : (..., k) array
        Of modulus 1.
    rows : int
    """

    order: Array
    phase: Array
    rows: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, self.order.shape[-1]

    def expand(self, X: Array) -> Array:
        # row i of Q X is row j of phase * X where order_j = i, and 0 where there is no such j
        xp = namespace(X)
        every = integers(self.rows, self.order)
        hit = xp.astype(every[:, None] == self.order[..., None, :], xp.int8)
        reached = xp.max(hit, axis=-1)
        rows = _take_rows(self.phase[..., :, None] * X, xp.argmax(hit, axis=-1))
        return rows * xp.astype(reached, rows.dtype)[..., None]

    def coefficients(self, X: Array) -> Array:
        phase = namespace(X).conj(self.phase) if is_complex(self.phase) else self.phase
        return phase[..., :, None] * _take_rows(X, self.order)

    def expand_right(self, X: Array) -> Array:
        return adjoint(self.expand(adjoint(X)))

    def coefficients_right(self, X: Array) -> Array:
        return adjoint(self.coefficients(adjoint(X)))

    def scaled(self, g: Array) -> Array:
        return self.expand(g[..., None] * identity(g.shape[-1], g))

    def leading(self, r: int) -> "Coordinates":
        return Coordinates(self.order[..., :r], self.phase[..., :r], self.rows)


def _take_rows(X: Array, index: Array) -> Array:
    """Return the rows of each matrix X that the index of its matrix names."""
    xp = namespace(X)
    batch = (1,) * (X.ndim - 1 - index.ndim) + tuple(index.shape)
    return xp.take_along_axis(X, xp.reshape(index, batch)[..., None], axis=-2)


class Spectrum(NamedTuple):
    """Singular triplets, ``A = U diag(s) V^H`` if `complete`, else the leading ones.

    Parameters
    ----------
    u, v : Frame or None
        The left (m x k) and right (n x k) singular vectors; None where none were wanted.
    s : (..., k) array
        Descending.
    complete : bool
        Whether there are all min(m, n) of them, those of zeros too. The others, if not,
        count as zero, or do not matter to the norm.
    defect : (..., k, k) array or None
        ``U^H U - I``, with an exactly zero diagonal, where U is orthonormal only to about
        the root of the working precision: ``A = U diag(s) V^H`` still holds, and the lift
        has a term of first order for it. It is that of V where ``m < n``.
    """

    u: Any
    s: Array
    v: Any
    complete: bool = True
    defect: Array | None = None

    def lift(self, g: Array) -> Array:
        """Return ``U diag(g) V^H``, from the triplets up to the last nonzero g."""
        if g.shape[-1] > _FEW:
            used = _number_used(g)
            if used < g.shape[-1]:
                return self.leading(used).lift(g[..., :used])
        if self.u.shape[0] < self.v.shape[0]:  # scale the smaller of the two
            return self.v.expand_right(self.u.scaled(g))
        return self.u.expand(adjoint(self.v.scaled(g)))

    def adjoint(self) -> "Spectrum":
        """Return the triplets of the adjoint matrix."""
        return self._replace(u=self.v, v=self.u)

    def leading(self, r: int) -> "Spectrum":
        """Return the first r triplets."""
        if r >= self.s.shape[-1]:
            return self
        defect = None if self.defect is None else self.defect[..., :r, :r]
        return Spectrum(self.u.leading(r), self.s[..., :r], self.v.leading(r), False, defect)


def _number_used(g: Array) -> int:
    """Return the position after the last nonzero g in a batch.

    All of them, if there is none, or if it can not be read.
    """
    xp, k = namespace(g), g.shape[-1]
    if seen(xp.all(g[..., -1] != 0)):
        return k
    used = xp.any(xp.reshape(g, (-1, k)) != 0, axis=0)
    unused = read_integer(xp.argmax(xp.flip(xp.astype(used, xp.int8))))
    return k - (unused or 0)


class Demand(NamedTuple):
    """What of a singular value decomposition is wanted.

    Parameters
    ----------
    triplets : int
        The norm depends on so many leading singular values, and on those tied with the last.
    tie, rank : float
        The sizes, relative to the largest singular value, of a gap that counts as a tie, and
        of a singular value that counts as zero.
    vectors : bool
        Whether the singular vectors are wanted.
    complete : bool
        Whether all min(m, n) triplets are wanted, whatever the norm depends on.
    named : bool
        Whether the factorization was named by the user, who thereby allows it an error of
        the size of the tolerance `rank`.
    """

    triplets: int
    tie: float
    rank: float
    vectors: bool = True
    complete: bool = False
    named: bool = False

    def all_of(self, A: Array) -> bool:
        """Whether all triplets of A are wanted (those of zeros only if `complete`)."""
        return self.complete or self.triplets >= min(A.shape[-2:])


class Verdict(NamedTuple):
    """Whether a factorization is the one to use, and why (not)."""

    accepted: bool
    reason: str


class Outcome(NamedTuple):
    """What a factorization returns.

    Parameters
    ----------
    spectrum : Spectrum or None
        None where the factorization gave up on all matrices.
    holds : (...) boolean array, or bool for all matrices
        Whether the triplets passed the factorization's own test; if not, another
        factorization is to be used.
    reason : str
        What the test found.
    """

    spectrum: Any
    holds: Any
    reason: str

    def adjoint(self) -> "Outcome":
        """Return the outcome for the adjoint matrix."""
        spectrum = self.spectrum
        return self._replace(spectrum=None if spectrum is None else spectrum.adjoint())


class Factorization(ABC):
    """One way to have singular triplets. It knows nothing of gradients or engines.

    The matrices it gets, (..., m, n) with ``min(m, n) > 0``, are finite, and scaled so that
    nothing over- or underflows.
    """

    name: str
    """What ``method=`` calls it."""

    certain: bool = False
    """Whether it succeeds at every matrix that it accepts."""

    batches: bool = True
    """Whether it takes leading axes; else it gets one matrix, (m, n), at a time."""

    @abstractmethod
    def verdict(self, A: Array, demand: Demand) -> Verdict:
        """Decide, cheaply against the factorization itself, whether to try it.

        The entries of A may be read only if they are known: see
        `normgrad.arithmetic.is_traced`.
        """

    @abstractmethod
    def factorize(self, A: Array, demand: Demand) -> Outcome:
        """Return singular triplets, and whether they are as accurate as those of an SVD."""


def far_from_square(m: int, n: int) -> bool:
    """Whether an m x n matrix is so tall or wide that its smaller side is to be worked on."""
    return max(m, n) >= 4 * min(m, n)
