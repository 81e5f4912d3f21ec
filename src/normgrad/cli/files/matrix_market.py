"""Matrices in the Matrix Market format, sparse ones made dense."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normgrad.cli.errors import CommandError, needed

__all__ = ["LARGEST", "read_matrix_market"]

LARGEST = 2**27
"""The most entries that a matrix may have once dense: 1 GiB in float64."""


def read_matrix_market(path: Path) -> NDArray[Any]:
    """Return the matrix in an .mtx file, dense.

    Raises
    ------
    CommandError
        If it would have more than `LARGEST` entries.
    """
    io = needed("scipy.io")
    rows, columns, *_ = io.mminfo(path)
    if rows * columns > LARGEST:
        raise CommandError(
            f"its {rows} x {columns} entries would take {8 * rows * columns / 2**30:.3g} GiB when "
            f"dense; the limit is {8 * LARGEST / 2**30:.0f} GiB, so take a part of the matrix"
        )
    matrix = io.mmread(path)
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix)
