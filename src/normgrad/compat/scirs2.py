"""The matrix norms under the names that scirs2-autograd has for them.

Each takes what `normgrad.matrix_norm` takes, but for ``ord``.

Examples
--------
>>> import numpy as np
>>> from normgrad.compat import scirs2
>>> A = np.array([[2.0, 0.0], [0.0, 5.0]])
>>> float(scirs2.nuclear_norm(A)), float(scirs2.norm2(A)), float(scirs2.norm1(A))
(7.0, 5.0, 5.0)
"""

import math
from typing import Any

from normgrad._api import matrix_norm
from normgrad._named import frobenius_norm, nuclear_norm, spectral_norm
from normgrad.arithmetic import Array

__all__ = [
    "frobenius_norm",
    "norm1",
    "norm2",
    "normfro",
    "norminf",
    "nuclear_norm",
    "spectral_norm",
]


def norm1(x: Any, **keywords: Any) -> Array:
    """Return the maximal absolute column sum; see `normgrad.matrix_norm` with ``ord=1``."""
    return matrix_norm(x, 1, **keywords)


def norm2(x: Any, **keywords: Any) -> Array:
    """Return the spectral norm; see `normgrad.spectral_norm`."""
    return matrix_norm(x, 2, **keywords)


def norminf(x: Any, **keywords: Any) -> Array:
    """Return the maximal absolute row sum; see `normgrad.matrix_norm` with ``ord=inf``."""
    return matrix_norm(x, math.inf, **keywords)


def normfro(x: Any, **keywords: Any) -> Array:
    """Return the Frobenius norm; see `normgrad.frobenius_norm`."""
    return matrix_norm(x, "fro", **keywords)
