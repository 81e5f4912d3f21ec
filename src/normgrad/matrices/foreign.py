"""Matrix types of other libraries, such as sparse arrays."""

from typing import Any

from normgrad.matrices.base import Matrix

__all__ = ["as_matrix"]


def as_matrix(x: Any) -> Matrix | None:
    """Return x as a matrix type, or None if it is no matrix with structure."""
    return x if isinstance(x, Matrix) else None
