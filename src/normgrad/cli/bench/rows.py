"""The table of what is measured: one record a row."""

import math
from dataclasses import dataclass, replace
from typing import Any

from normgrad.norms import KyFan, Schatten

__all__ = ["ORDS", "ROWS", "Row", "level"]

ORDS: dict[str, Any] = {
    "Frobenius": "fro",
    "induced 1": 1,
    "induced inf": math.inf,
    "spectral": 2,
    "nuclear": "nuc",
    "Schatten 3": Schatten(3),
    "Ky Fan 5": KyFan(5),
}
"""Norm by name, as the libraries are asked for it."""

_QUICK = 2**18
"""``--quick`` has as they are the rows of at most so many entries."""

_SMALL, _NARROW = 2**12, 64
"""Entries of a matrix, and its smaller side, below which products tell nothing."""


@dataclass(frozen=True)
class Row:
    """One comparison.

    Parameters
    ----------
    norm : str
        A name in `ORDS`.
    shape : tuple of int
        The last two are of the matrix, those before of the batch.
    matrix : str
        A name in `normgrad.cli.bench.samples.SAMPLES`; "" has Gaussian entries.
    dtype : str
    library : str
        The peer.
    call : str
        "" is value and gradient, "memory" the peak memory of these; or another call of
        `normgrad.cli.bench.peers.CALLS`.
    quick : tuple of int, optional
        The shape for ``--quick``, if it is too large as it is.
    full : bool
        Whether it is for ``--full`` alone.
    """

    norm: str
    shape: tuple[int, ...]
    matrix: str = ""
    dtype: str = "float64"
    library: str = "PyTorch"
    call: str = ""
    quick: tuple[int, ...] | None = None
    full: bool = False

    @property
    def name(self) -> str:
        """Return what it is called in the table and by ``--only``."""
        *batch, m, n = self.shape
        size = f"{m}" if m == n and not batch else f"{m} x {n}"
        size = " x ".join(map(str, batch)) + f" of {size}" if batch else size
        words = " ".join(word for word in (self.norm, size, self.matrix, self.dtype) if word)
        return f"{words}, {self.call}" if self.call else words

    @property
    def unit(self) -> str:
        """Return what its time is counted in, besides seconds.

        "products" of the matrix with a square one of its smaller side; "passes" that read the
        matrix, for norms by its entries and for small matrices; "" for a single small matrix,
        whose time is the overhead of a call.
        """
        if math.prod(self.shape) < _SMALL:
            return ""
        by_entries = self.norm in ("Frobenius", "induced 1", "induced inf")
        return "passes" if by_entries or min(self.shape[-2:]) < _NARROW else "products"


_DTYPES = ("float64", "float32")
_TALL, _WIDE, _THIN = (20000, 200), (200, 20000), (100000, 64)

ROWS: tuple[Row, ...] = (
    *(Row("spectral", (n, n), dtype=t) for n in (128, 512, 1024, 2048) for t in _DTYPES),
    *(Row("spectral", (4096, 4096), dtype=t, full=True) for t in _DTYPES),
    *(Row("spectral", (2048, 2048), "decaying", t, quick=(256, 256)) for t in _DTYPES),
    *(Row("spectral", (2048, 2048), "double tie", t, quick=(256, 256)) for t in _DTYPES),
    *(Row("nuclear", (n, n)) for n in (128, 512, 1024, 2048)),
    Row("nuclear", (1024, 1024), dtype="float32", quick=(256, 256)),
    Row("nuclear", (2000, 2000), "rank 20", quick=(500, 500)),
    Row("nuclear", _TALL, dtype="float32", quick=(2000, 100)),
    Row("nuclear", _WIDE, dtype="float32", quick=(100, 2000)),
    Row("nuclear", _THIN, dtype="float32", quick=(4000, 64)),
    Row("nuclear", _TALL, quick=(2000, 100)),
    Row("nuclear", _TALL, "condition 1e10", quick=(2000, 100)),
    Row("Frobenius", (4096, 4096), quick=(512, 512)),
    Row("induced 1", (3000, 3000), quick=(512, 512)),
    Row("induced inf", (3000, 3000), quick=(512, 512)),
    Row("Schatten 3", (512, 512), quick=(256, 256)),
    Row("Ky Fan 5", (512, 512), quick=(256, 256)),
    *(Row("nuclear", (10000, n, n)) for n in (2, 3, 4)),
    Row("nuclear", (1000, 32, 32), quick=(100, 32, 32)),
    *(Row(norm, (4, 4)) for norm in ("Frobenius", "nuclear", "spectral")),
    Row("nuclear", (512, 512), call="value", quick=(256, 256)),
    Row("nuclear", (512, 512), call="prox", quick=(256, 256)),
    Row("nuclear", (256, 256), call="Hessian product again"),
    Row("nuclear", (256, 256), call="Hessian product again, from a graph"),
    *(Row("spectral", (n, n), library="JAX") for n in (128, 512, 2048)),
    Row("spectral", (2048, 2048), "decaying", "float32", library="JAX", quick=(256, 256)),
    *(Row("nuclear", (n, n), library="JAX") for n in (128, 512)),
    Row("nuclear", _TALL, library="JAX", quick=(2000, 100)),
    Row("spectral", (2048, 2048), library="NumPy", quick=(256, 256)),
    Row("spectral", (2048, 2048), library="SciPy", quick=(256, 256)),
    Row("nuclear", (512, 512), library="NumPy", quick=(256, 256)),
    Row("nuclear", (512, 512), library="autograd", quick=(256, 256)),
    Row("Frobenius", (512, 512), library="autograd"),
    *(Row("spectral", (n, n), call="memory") for n in (1024, 2048)),
    Row("spectral", (4096, 4096), dtype="float32", call="memory", full=True),
    *(Row("nuclear", (n, n), call="memory") for n in (512, 1024, 1500)),
    Row("nuclear", _TALL, dtype="float32", call="memory"),
)
"""In the order of the table. Everything but the sizes of ``--quick`` is said here."""


def level(quick: bool = False, full: bool = False) -> tuple[Row, ...]:
    """Return the rows of ``--quick`` (512 x 512 at most), of ``--full``, or those of neither."""
    if full:
        return ROWS
    if quick:
        small = (replace(row, shape=row.quick) if row.quick else row for row in ROWS)
        return tuple(row for row in small if math.prod(row.shape) <= _QUICK)
    return tuple(row for row in ROWS if not row.full)
