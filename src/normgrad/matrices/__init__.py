"""What a matrix is: an embedding of its parameters, one file for each type."""

from normgrad.matrices.base import Embedding, Matrix
from normgrad.matrices.blocks import BlockDiagonal, BlockMatrix, Diagonal
from normgrad.matrices.foreign import as_matrix
from normgrad.matrices.hermitian import PSD, Hermitian, HermitianMatrix
from normgrad.matrices.kronecker import Kronecker
from normgrad.matrices.low_rank import LowRank
from normgrad.matrices.recognition import first_not_hermitian, first_off_diagonal
from normgrad.matrices.sparse import Sparse
from normgrad.matrices.sums import Dense, Sum, Transpose

__all__ = [
    "PSD",
    "BlockDiagonal",
    "BlockMatrix",
    "Dense",
    "Diagonal",
    "Embedding",
    "Hermitian",
    "HermitianMatrix",
    "Kronecker",
    "LowRank",
    "Matrix",
    "Sparse",
    "Sum",
    "Transpose",
    "as_matrix",
    "first_not_hermitian",
    "first_off_diagonal",
]
