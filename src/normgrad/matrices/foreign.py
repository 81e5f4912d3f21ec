"""Matrix types of other libraries, such as sparse arrays."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from normgrad.arithmetic import Array
from normgrad.matrices.base import Matrix
from normgrad.matrices.foreign_jax import sparse_of_jax
from normgrad.matrices.foreign_scipy import sparse_of_scipy
from normgrad.matrices.foreign_torch import sparse_of_torch
from normgrad.matrices.operator import Operator

__all__ = ["as_matrix"]


def _operator_of_scipy(x: Any) -> Matrix | None:
    if not isinstance(x, sys.modules["scipy.sparse.linalg"].LinearOperator):
        return None
    forth, back = _columns(x.matvec, x.matmat), _columns(x.rmatvec, x.rmatmat)
    return Operator.of_columns(forth, back, x.shape, x.dtype or np.float64)


def _columns(vector: Callable[..., Any], block: Callable[..., Any]) -> Callable[..., Array]:
    def product(V: Array) -> Array:
        if V.shape[1] > 1:
            try:
                return block(V)
            except Exception:  # SciPy calls functions with (n, 1), which not all of them take
                pass
        try:
            return np.stack([vector(v) for v in V.T], axis=1)
        except NotImplementedError as error:
            raise NotImplementedError(
                f"{error}: this norm needs products with the adjoint, too; make the operator as "
                "scipy.sparse.linalg.LinearOperator(shape, matvec, rmatvec=...)"
            ) from None

    return product


_TABLE = {
    "scipy.sparse": sparse_of_scipy,
    "scipy.sparse.linalg": _operator_of_scipy,
    "torch": sparse_of_torch,
    "jax.experimental.sparse": sparse_of_jax,
}
"""Library, and what makes a matrix type of its objects or None; none is imported here."""


def as_matrix(x: Any) -> Matrix | None:
    """Return x as a matrix type, or None if it is no matrix with structure."""
    if isinstance(x, Matrix):
        return x
    for library, convert in _TABLE.items():
        if library in sys.modules:
            matrix = convert(x)
            if matrix is not None:
                return matrix
    return None
