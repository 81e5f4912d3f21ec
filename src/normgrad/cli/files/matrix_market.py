"""Matrices in the Matrix Market format, sparse ones made dense."""

from pathlib import Path

from normgrad.cli.errors import needed
from normgrad.cli.files.content import Content
from normgrad.cli.files.sparse import check_size, dense

__all__ = ["read_matrix_market"]


def read_matrix_market(path: Path) -> Content:
    """Return the matrix in an .mtx file, dense; `CommandError` if that would be too large."""
    io = needed("scipy.io")
    check_size(io.mminfo(path)[:2])
    return dense(io.mmread(path))
