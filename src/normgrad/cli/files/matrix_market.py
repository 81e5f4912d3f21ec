"""Matrices in the Matrix Market format."""

import warnings
from pathlib import Path

from normgrad.cli.errors import needed
from normgrad.cli.files.content import Content
from normgrad.cli.files.sparse import check_size, content

__all__ = ["read_matrix_market"]


def read_matrix_market(path: Path, sparse: bool = False) -> Content:
    """Return the matrix in an .mtx file; `CommandError` if it is too large for an array.

    One that is stored by coordinates is made dense unless `sparse`.
    """
    io = needed("scipy.io")
    rows, columns, _, layout, *_ = io.mminfo(path)
    if not (sparse and layout == "coordinate"):
        check_size((rows, columns))
    with warnings.catch_warnings():
        # (of SciPy 1.18 and newer, that it will be an array and no matrix: both will do)
        warnings.simplefilter("ignore", DeprecationWarning)
        matrix = io.mmread(path)
    return content(matrix, sparse)
