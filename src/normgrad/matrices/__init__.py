"""What a matrix is. For now: dense arrays, and the structure recognised in them."""

from normgrad.matrices.recognition import first_off_diagonal

__all__ = ["first_off_diagonal"]
