"""Matrix types of other libraries, such as sparse arrays."""

import sys
from typing import Any

import numpy as np

from normgrad.matrices.base import Matrix
from normgrad.matrices.foreign_jax import sparse_of_jax
from normgrad.matrices.foreign_scipy import sparse_of_scipy
from normgrad.matrices.foreign_torch import sparse_of_torch
from normgrad.matrices.operator import Operator

__all__ = ["as_matrix"]

_TABLE = {
    "scipy.sparse": sparse_of_scipy,
    "torch": sparse_of_torch,
    "jax.experimental.sparse": sparse_of_jax,
}
"""Library, and what makes a matrix type of its objects or None; none is imported here."""


def as_matrix(x: Any) -> Matrix | None:
    """Return x as a matrix type, or None if it is no matrix with structure."""
    if isinstance(x, Matrix):
        return x
    scipy = sys.modules.get("scipy.sparse.linalg")
    if scipy is not None and isinstance(x, scipy.LinearOperator):
        return Operator.of_columns(x.matmat, x.rmatmat, x.shape, x.dtype or np.float64)
    for library, convert in _TABLE.items():
        if library in sys.modules:
            matrix = convert(x)
            if matrix is not None:
                return matrix
    return None
