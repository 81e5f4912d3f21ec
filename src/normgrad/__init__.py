"""Matrix norms whose gradients are right, fast and the same in NumPy, autograd, PyTorch and JAX."""

from normgrad import compat, testing
from normgrad._api import explain, grad, hvp, linearize, matrix_norm, value_and_grad
from normgrad._convex import prox
from normgrad._explain import Explanation
from normgrad._named import (
    frobenius_norm,
    ky_fan_norm,
    nuclear_norm,
    schatten_norm,
    spectral_norm,
)
from normgrad._track import track
from normgrad.engines import OrderError
from normgrad.matrices import (
    PSD,
    BlockDiagonal,
    Diagonal,
    Hermitian,
    Kronecker,
    LowRank,
    Matrix,
    Sparse,
    Sum,
)
from normgrad.norms import Frobenius, KyFan, Nuclear, Schatten, Spectral

__version__ = "0.1.0"

__all__ = [
    "PSD",
    "BlockDiagonal",
    "Diagonal",
    "Explanation",
    "Frobenius",
    "Hermitian",
    "Kronecker",
    "KyFan",
    "LowRank",
    "Matrix",
    "Nuclear",
    "OrderError",
    "Schatten",
    "Sparse",
    "Spectral",
    "Sum",
    "compat",
    "explain",
    "frobenius_norm",
    "grad",
    "hvp",
    "ky_fan_norm",
    "linearize",
    "matrix_norm",
    "nuclear_norm",
    "prox",
    "schatten_norm",
    "spectral_norm",
    "testing",
    "track",
    "value_and_grad",
]
