"""Matrix types of other libraries, such as sparse arrays."""

import sys
from typing import Any

import numpy as np

from normgrad.matrices.base import Matrix
from normgrad.matrices.operator import Operator

__all__ = ["as_matrix"]


def as_matrix(x: Any) -> Matrix | None:
    """Return x as a matrix type, or None if it is no matrix with structure."""
    if isinstance(x, Matrix):
        return x
    scipy = sys.modules.get("scipy.sparse.linalg")
    if scipy is not None and isinstance(x, scipy.LinearOperator):
        return Operator.of_columns(x.matmat, x.rmatmat, x.shape, x.dtype or np.float64)
    return None
