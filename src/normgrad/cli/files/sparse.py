"""Sparse matrices of SciPy, as they are or made dense."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from normgrad.cli.errors import CommandError, needed
from normgrad.cli.files.content import Content

__all__ = ["LARGEST", "check_size", "content", "read_sparse"]

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


def content(matrix: Any, keep: bool) -> Content:
    """Return a matrix of scipy.sparse, or an array, as it is; made dense unless `keep`."""
    if not hasattr(matrix, "toarray"):
        return Content(np.asarray(matrix))
    if hasattr(matrix, "check_format"):
        matrix.check_format()  # indices out of bounds would be written to memory
    if keep:
        return Content(matrix, "this is a sparse matrix")
    check_size(matrix.shape)
    return Content(np.asarray(matrix.toarray()), "this is a sparse matrix, here made dense")


def read_sparse(path: Path, keep: bool) -> Content:
    """Return the matrix that scipy.sparse.save_npz wrote."""
    return content(needed("scipy.sparse").load_npz(path), keep)
