"""What a factorization gives: singular triplets, all of them or the top few."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

from normgrad.arithmetic import Array, adjoint, identity, integers, is_complex, namespace

__all__ = ["Columns", "Coordinates", "Factorization", "Frame", "Spectrum", "Verdict"]


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
    u, v : Frame
        The left (m x k) and right (n x k) singular vectors.
    s : (..., k) array
        Descending.
    complete : bool
        Whether there are all min(m, n) of them.
    """

    u: Frame
    s: Array
    v: Frame
    complete: bool = True

    def leading(self, r: int) -> "Spectrum":
        """Return the first r triplets."""
        if r >= self.s.shape[-1]:
            return self
        return Spectrum(self.u.leading(r), self.s[..., :r], self.v.leading(r), complete=False)


class Verdict(NamedTuple):
    """Whether a factorization is the one to use, and why (not)."""

    accepted: bool
    reason: str


class Factorization(ABC):
    """One way to have singular triplets. It knows nothing of gradients or engines.

    The matrices it gets, (..., m, n) with ``min(m, n) > 0``, are finite, and scaled so that
    nothing over- or underflows.
    """

    name: str
    """What ``method=`` calls it."""

    @abstractmethod
    def verdict(self, A: Array, triplets: int) -> Verdict:
        """Decide, cheaply against the factorization itself, whether to use it.

        The norm depends on the leading `triplets` singular values. The entries of A may be
        read only if they are known: see `normgrad.arithmetic.is_traced`.
        """

    @abstractmethod
    def singular_values(self, A: Array) -> Array:
        """Return the singular values, descending, (..., k)."""

    @abstractmethod
    def factorize(self, A: Array) -> Spectrum:
        """Return the singular triplets."""
