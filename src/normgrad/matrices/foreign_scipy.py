"""Sparse arrays and matrices of SciPy."""

import sys
from typing import Any

import numpy as np

from normgrad.arithmetic import Array
from normgrad.matrices.pattern import Pattern
from normgrad.matrices.sparse import Sparse

__all__ = ["sparse_of_scipy"]


def sparse_of_scipy(x: Any) -> Sparse | None:
    """Return a sparse array or matrix of SciPy, of any format, as `Sparse`; None for others.

    Its pattern are the stored positions, also of zeros, row by row; duplicates are added up.
    Those of format dia are the stored diagonals, of format bsr the stored blocks.
    """
    sparse = sys.modules["scipy.sparse"]
    if not sparse.issparse(x):
        return None
    if x.ndim != 2:
        raise ValueError(
            f"a matrix norm needs two axes; got a sparse array of shape {tuple(x.shape)}. For "
            "vectors use the library's own norm"
        )
    csr = _of_diagonals(x) if x.format == "dia" else sparse.csr_array(x)
    if not csr.has_canonical_format:
        csr = csr.copy()  # what was given may share its memory
        csr.sum_duplicates()
    rows = np.repeat(np.arange(csr.shape[0]), np.diff(csr.indptr))
    give = _Give(type(x), x.format, _details(x))
    pattern = Pattern(
        rows, csr.indices.astype(np.int64, copy=False), csr.shape, kind="scipy", give=give
    )
    return Sparse.build((csr.data,), pattern)


def _of_diagonals(x: Any) -> Any:
    """Return the stored diagonals as a csr array; SciPy's own conversion drops their zeros."""
    m, n = x.shape
    columns = np.broadcast_to(np.arange(x.data.shape[1]), x.data.shape)
    rows = columns - x.offsets[:, None]
    inside = (rows >= 0) & (rows < m) & (columns < n)
    index = (rows[inside], columns[inside])
    return sys.modules["scipy.sparse"].coo_array((x.data[inside], index), shape=(m, n)).tocsr()


def _details(x: Any) -> Any:
    if x.format == "dia":
        return x.offsets, x.data.shape
    return x.blocksize if x.format == "bsr" else None


class _Give:
    """Makes an object of the class and format of the one given."""

    def __init__(self, kind: type, format: str, details: Any) -> None:
        self.kind, self.format, self.details = kind, format, details

    def __call__(self, pattern: Pattern, values: Array) -> Any:
        values = np.asarray(values)
        index = (pattern.rows, pattern.columns)
        if self.format == "dia":
            offsets, shape = self.details
            data = np.zeros(shape, dtype=values.dtype)
            order = np.argsort(offsets)
            line = np.searchsorted(offsets, pattern.columns - pattern.rows, sorter=order)
            data[order[line], pattern.columns] = values
            return self.kind((data, offsets), shape=pattern.shape)
        coo = sys.modules["scipy.sparse"].coo_array((values, index), shape=pattern.shape)
        if self.format == "bsr":
            return self.kind(coo.tobsr(self.details))
        return self.kind(coo.asformat(self.format))
