"""One sparse matrix, for each library and format."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
import torch
from jax.experimental import sparse as jax_sparse

import normgrad

__all__ = [
    "COLUMNS",
    "FORMATS",
    "LAYOUTS",
    "NORMS",
    "ROWS",
    "SHAPE",
    "VALUES",
    "WARNINGS_OF_PYTORCH",
    "array_of",
    "bcoo_of",
    "scipy_of",
    "torch_of",
]

WARNINGS_OF_PYTORCH = pytest.mark.filterwarnings(
    "ignore:Sparse CS:UserWarning",
    "ignore:Sparse invariant checks:UserWarning",
    "ignore:.*torch.jit.script:DeprecationWarning",
)

NORMS = ["fro", "nuc", 2, -2, 1, -1, np.inf, -np.inf, normgrad.KyFan(2), normgrad.Schatten(3)]
FORMATS = ["csr", "csc", "coo", "bsr", "dia", "lil", "dok"]
LAYOUTS = {"coo": torch.sparse_coo, "csr": torch.sparse_csr, "csc": torch.sparse_csc}

ROWS = np.array([0, 0, 1, 3, 4, 4, 5])
COLUMNS = np.array([1, 3, 0, 3, 1, 4, 2])
VALUES = np.array([1.5, -2.0, 0.5, 3.0, -1.0, 0.25, 2.0])
SHAPE = (6, 5)


def array_of(values: Any = VALUES) -> Any:
    A = np.zeros(SHAPE, dtype=np.asarray(values).dtype)
    A[ROWS, COLUMNS] = values
    return A


def scipy_of(values: Any = VALUES, format: str = "csr") -> Any:
    return scipy.sparse.coo_array((values, (ROWS, COLUMNS)), shape=SHAPE).asformat(format)


def bcoo_of(values: Any = VALUES) -> Any:
    index = jnp.asarray(np.stack([ROWS, COLUMNS], axis=1))
    return jax_sparse.BCOO((jnp.asarray(values), index), shape=SHAPE)


def torch_of(values: Any, layout: str = "coo") -> Any:
    values = torch.as_tensor(values)
    x = torch.sparse_coo_tensor(torch.tensor(np.stack([ROWS, COLUMNS])), values, SHAPE)
    return x.to_sparse(layout=LAYOUTS[layout]) if layout != "coo" else x
