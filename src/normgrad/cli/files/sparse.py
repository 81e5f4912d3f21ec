"""Sparse matrices, made dense."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from normgrad.cli.errors import CommandError, needed
from normgrad.cli.files.content import Content

__all__ = ["LARGEST", "check_size", "dense", "read_sparse"]

LARGEST = 2**27
"""The most entries that a matrix may have once dense: 1 GiB in float64."""


def check_size(shape: Iterable[int]) -> None:
    """Raise `CommandError` if a matrix of this shape would have more than `LARGEST` entries."""
    sizes = [int(size) for size in shape]
    if math.prod(sizes) > LARGEST:
        raise CommandError(
            f"its {' x '.join(map(str, sizes))} entries would take "
            f"{8 * math.prod(sizes) / 2**30:.3g} GiB when dense; the limit is "
            f"{8 * LARGEST / 2**30:.0f} GiB, so take a part of the matrix"
        )


def dense(matrix: Any) -> Content:
    """Return a matrix of scipy.sparse as an array; an array as it is."""
    if not hasattr(matrix, "toarray"):
        return Content(np.asarray(matrix))
    if hasattr(matrix, "check_format"):
        matrix.check_format()  # indices out of bounds would be written to memory
    return Content(np.asarray(matrix.toarray()), "this is a sparse matrix, here made dense")


def read_sparse(path: Path) -> Content:
    """Return the matrix that scipy.sparse.save_npz wrote; call `check_size` before."""
    return dense(needed("scipy.sparse").load_npz(path))
