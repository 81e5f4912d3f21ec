"""Where the stored values of a sparse matrix are, and products that need nothing else."""

import sys
import warnings
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from normgrad.arithmetic import Array, conj, is_complex, is_torch, is_traced, namespace, sums_at

__all__ = ["Pattern"]

_AT_ONCE = 2**22
"""So many entries beside the matrix are held at most, or one for each stored value."""

Product = Callable[[Array], Array]


class Pattern:
    """The distinct positions of stored values, in any order.

    Two are equal if their positions are. Those whose indices are traced are equal if they were
    made of the same tracers.

    Parameters
    ----------
    rows, columns : (p,) integer arrays
        For PyTorch its own; else of NumPy, or traced by JAX: a position outside the matrix
        holds no entry.
    shape : pair of int
    kind : str
        Of what the user works with; patterns of different kinds are not equal.
    give : callable, optional
        Makes that of values.
    source : object
        Of which traced indices were made.
    """

    def __init__(
        self,
        rows: Array,
        columns: Array,
        shape: tuple[int, int],
        kind: str = "",
        give: Callable[["Pattern", Array], Any] | None = None,
        source: Any = None,
    ) -> None:
        self.rows, self.columns, self.shape = rows, columns, shape
        self.kind, self.give, self.source = kind, give, source

    def __hash__(self) -> int:
        return hash((self.kind, self.shape, None if self.rows is None else self.rows.shape))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Pattern) or hash(self) != hash(other):
            return False
        if self.rows is None:
            return True
        if is_traced(self.rows) or is_traced(other.rows):
            return self.source is not None and self.source is other.source
        pairs = ((self.rows, other.rows), (self.columns, other.columns))
        return all(type(a) is type(b) and bool((a == b).all()) for a, b in pairs)

    def with_indices(self, rows: Array, columns: Array) -> "Pattern":
        """Return this with other arrays for the indices, or with None."""
        return Pattern(rows, columns, self.shape, self.kind, self.give)

    @cached_property
    def transposed(self) -> "Pattern":
        """Return that of the transpose."""
        return Pattern(self.columns, self.rows, self.shape[::-1], source=self.source)

    def masked(self, x: Array) -> Array:
        """Return values with 0 at positions outside the matrix, which only tracers may have."""
        if not is_traced(self.rows):
            return x
        m, n = self.shape
        return namespace(x).where((self.rows < m) & (self.columns < n), x, 0)

    def at(self, G: Array) -> Array:
        """Return the entries of an array that are in the pattern, (..., p) from (..., m, n)."""
        return self.masked(G[..., self.rows, self.columns])

    def dense(self, values: Array) -> Array:
        """Return the array with these values, (..., m, n)."""
        m, n = self.shape
        flat = sums_at(values, self.rows * n + self.columns, m * n)
        return namespace(flat).reshape(flat, (*values.shape[:-1], m, n))

    def outer(self, left: Array, right: Array) -> Array:
        """Return the entries of ``left right^H`` that are in the pattern, (..., p)."""
        k, total = left.shape[-1], None
        step = max(1, _AT_ONCE // max(1, self.rows.shape[0]))
        for i in range(0, k, step):
            L, R = left[..., self.rows, i : i + step], right[..., self.columns, i : i + step]
            part = namespace(L).sum(L * conj(R), axis=-1)
            total = part if total is None else total + part
        return self.masked(total)

    def products(self, values: Array) -> tuple[Product, Product]:
        """Return ``V -> A V`` and ``U -> A^H U`` for these values."""
        if values.ndim == 1 and is_torch(values):
            forth, back = self._torch(values), self.transposed._torch(values)
        elif values.ndim == 1 and isinstance(values, np.ndarray) and "scipy.sparse" in sys.modules:
            A = self._scipy(values)
            forth, back = _two_axes(A), _two_axes(A.T)
        else:
            forth = lambda V: self._gathered(values, V)  # noqa: E731
            back = lambda U: self.transposed._gathered(values, U)  # noqa: E731
        if not is_complex(values):
            return forth, back
        return forth, lambda U: conj(back(conj(U)))

    def _scipy(self, values: Array) -> Any:
        coo = sys.modules["scipy.sparse"].coo_array
        return coo((values, (self.rows, self.columns)), shape=self.shape).tocsr()

    @cached_property
    def _order(self) -> Array:
        """Return the order of rows, and of columns in each."""
        xp = namespace(self.rows)
        order = xp.argsort(self.columns, stable=True)
        return order[xp.argsort(self.rows[order], stable=True)]

    @property
    def distinct(self) -> bool:
        """Whether no position occurs twice."""
        rows, columns = self.rows[self._order], self.columns[self._order]
        return not bool(((rows[1:] == rows[:-1]) & (columns[1:] == columns[:-1])).any())

    @cached_property
    def _compressed(self) -> tuple[Array, Array]:
        """Return where rows start in the order, and the columns; in PyTorch."""
        torch = sys.modules["torch"]
        counts = torch.bincount(self.rows, minlength=self.shape[0])
        return torch.cat([counts[:0].new_zeros(1), counts.cumsum(0)]), self.columns[self._order]

    def _torch(self, values: Array) -> Product:
        csr = sys.modules["torch"].sparse_csr_tensor
        with warnings.catch_warnings():  # PyTorch calls them a beta
            warnings.simplefilter("ignore", UserWarning)
            A = csr(*self._compressed, values[self._order], self.shape, check_invariants=False)
        return _two_axes(A)

    def _gathered(self, values: Array, V: Array) -> Array:
        """Return the product by picking rows of V, a few columns at once."""
        xp = namespace(values)
        k, size = V.shape[-1], max(1, self.rows.shape[0])
        step = max(1, _AT_ONCE // size)
        parts = [
            sums_at(
                values[..., None, :] * V.mT[..., i : i + step, :][..., self.columns],
                self.rows,
                self.shape[0],
            )
            for i in range(0, max(k, 1), step)
        ]
        return (parts[0] if len(parts) == 1 else xp.concat(parts, axis=-2)).mT


def _two_axes(A: Any) -> Product:
    """Return the product with A, which takes no batches, for batches."""

    def product(V: Array) -> Array:
        if V.ndim == 2:
            return A @ V
        xp = namespace(V)
        *batch, n, k = V.shape
        side = xp.reshape(xp.moveaxis(V, -2, 0), (n, -1))
        return xp.moveaxis(xp.reshape(A @ side, (A.shape[0], *batch, k)), 0, -2)

    return product
