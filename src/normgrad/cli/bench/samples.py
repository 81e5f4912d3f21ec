"""Matrices to measure at, some with the exact gradient by construction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normgrad.cli.bench.rows import ORDS, Row
from normgrad.cli.demo.peers import PEERS
from normgrad.norms import resolve

__all__ = ["SAMPLES", "Sample", "sample_of"]

_SEED = 20260101
_REFLECTIONS = 4
_RANK = 20
_EXACT = 512
"""For a float32 matrix whose smaller side is at most that, an SVD in float64 is exact enough."""


@dataclass(frozen=True)
class Sample:
    """A matrix or a batch.

    Parameters
    ----------
    x : (..., m, n) array
    gradient : (m, n) array, optional
        The exact one of the row's norm, but for the rounding of x.
    """

    x: NDArray[Any]
    gradient: NDArray[Any] | None = None


def _gaussian(row: Row, rng: np.random.Generator) -> Sample:
    x = rng.standard_normal(row.shape, dtype=np.dtype(row.dtype).type)
    if row.dtype == "float32" and len(row.shape) == 2 and min(row.shape) <= _EXACT:
        pair = PEERS["NumPy"](x.astype(np.float64), resolve(ORDS[row.norm]))
        return Sample(x, pair()[1] if pair is not None else None)
    return Sample(x)


def _decaying(row: Row, rng: np.random.Generator) -> Sample:
    """s_i = i^(-1/2)."""
    return _with_top(np.arange(1, min(row.shape) + 1) ** -0.5, 1, row, rng)


def _double_tie(row: Row, rng: np.random.Generator) -> Sample:
    """s_1 = s_2 = 1, the others as in `_decaying`."""
    s = np.arange(1, min(row.shape) + 1) ** -0.5
    s[1] = s[0]
    return _with_top(s, 2, row, rng)


def _with_top(s: NDArray[Any], r: int, row: Row, rng: np.random.Generator) -> Sample:
    """U diag(s) V^T; the gradient of the spectral norm is that of the r greatest, tied."""
    n = len(s)
    left, right = ([rng.standard_normal(n) for _ in range(_REFLECTIONS)] for _ in range(2))
    x = _reflect(right, _reflect(left, np.diag(s)).T).T
    U, V = (_reflect(vectors, np.eye(n, r)) for vectors in (left, right))
    return Sample(np.ascontiguousarray(x, dtype=row.dtype), (U / r) @ V.T)


def _reflect(vectors: Sequence[NDArray[Any]], x: NDArray[Any]) -> NDArray[Any]:
    """Return x after the Householder reflections along the vectors, an orthogonal matrix."""
    for w in vectors:
        x = x - np.outer(2 / (w @ w) * w, w @ x)
    return x


def _low_rank(row: Row, rng: np.random.Generator) -> Sample:
    return _polar(rng.uniform(1, 2, _RANK), row, rng)


def _conditioned(row: Row, rng: np.random.Generator) -> Sample:
    return _polar(np.logspace(0, -10, min(row.shape)), row, rng)


def _polar(s: NDArray[Any], row: Row, rng: np.random.Generator) -> Sample:
    """U diag(s) V^T of thin U and V; the gradient of the nuclear norm is U V^T."""
    U, V = (np.linalg.qr(rng.standard_normal((m, len(s))))[0] for m in row.shape)
    return Sample(((U * s) @ V.T).astype(row.dtype), U @ V.T)


SAMPLES: dict[str, Callable[[Row, np.random.Generator], Sample]] = {
    "": _gaussian,
    "decaying": _decaying,
    "double tie": _double_tie,
    f"rank {_RANK}": _low_rank,
    "condition 1e10": _conditioned,
}


def sample_of(row: Row) -> Sample:
    """Return the matrix of a row, always the same."""
    return SAMPLES[row.matrix](row, np.random.default_rng(_SEED))
