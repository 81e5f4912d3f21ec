"""Matrix norms whose gradients are right, fast and the same in NumPy, autograd, PyTorch and JAX."""

from normgrad import compat, testing
from normgrad._api import explain, grad, hvp, linearize, matrix_norm, value_and_grad
from normgrad._convex import dual_norm, lmo, project, prox
from normgrad._explain import Explanation
from normgrad._named import (
    frobenius_norm,
    ky_fan_norm,
    nuclear_norm,
    schatten_norm,
    spectral_norm,
)
from normgrad._polar import polar
from normgrad._subdifferential import (
    in_subdifferential,
    singular_value_threshold,
    subgradient_distance,
)
from normgrad._track import track
from normgrad.engines import OrderError
from normgrad.matrices import (
    PSD,
    BlockDiagonal,
    Convolution1d,
    Convolution2d,
    Diagonal,
    Hermitian,
    Kronecker,
    LowRank,
    Matrix,
    Operator,
    Sparse,
    Sum,
)
from normgrad.norms import (
    Frobenius,
    HuberNuclear,
    KyFan,
    Nuclear,
    Schatten,
    Spectral,
    SpectralFunction,
    Squared,
    WeightedNuclear,
)

__version__ = "0.1.0"

__all__ = [
    "PSD",
    "BlockDiagonal",
    "Convolution1d",
    "Convolution2d",
    "Diagonal",
    "Explanation",
    "Frobenius",
    "Hermitian",
    "HuberNuclear",
    "Kronecker",
    "KyFan",
    "LowRank",
    "Matrix",
    "Nuclear",
    "Operator",
    "OrderError",
    "Schatten",
    "Sparse",
    "Spectral",
    "SpectralFunction",
    "Squared",
    "Sum",
    "WeightedNuclear",
    "compat",
    "dual_norm",
    "explain",
    "frobenius_norm",
    "grad",
    "hvp",
    "in_subdifferential",
    "ky_fan_norm",
    "linearize",
    "lmo",
    "matrix_norm",
    "nuclear_norm",
    "polar",
    "project",
    "prox",
    "schatten_norm",
    "singular_value_threshold",
    "spectral_norm",
    "subgradient_distance",
    "testing",
    "track",
    "value_and_grad",
]
