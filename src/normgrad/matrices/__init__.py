"""What a matrix is: an embedding of its parameters, one file for each type."""

from normgrad.matrices.base import Matrix
from normgrad.matrices.blocks import BlockDiagonal, BlockMatrix, Diagonal
from normgrad.matrices.convolution import Convolution, Convolution1d, Convolution2d
from normgrad.matrices.dense import Dense
from normgrad.matrices.embedding import Embedding
from normgrad.matrices.fixed import Fixed
from normgrad.matrices.foreign import as_matrix
from normgrad.matrices.hermitian import PSD, Hermitian, HermitianMatrix
from normgrad.matrices.kronecker import Kronecker
from normgrad.matrices.low_rank import LowRank
from normgrad.matrices.operator import Operator
from normgrad.matrices.recognition import first_not_hermitian, first_off_diagonal
from normgrad.matrices.sparse import Sparse
from normgrad.matrices.sums import Sum, Transpose

__all__ = [
    "PSD",
    "BlockDiagonal",
    "BlockMatrix",
    "Convolution",
    "Convolution1d",
    "Convolution2d",
    "Dense",
    "Diagonal",
    "Embedding",
    "Fixed",
    "Hermitian",
    "HermitianMatrix",
    "Kronecker",
    "LowRank",
    "Matrix",
    "Operator",
    "Sparse",
    "Sum",
    "Transpose",
    "as_matrix",
    "first_not_hermitian",
    "first_off_diagonal",
]
