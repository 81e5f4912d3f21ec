"""Which axes of an array are those of its matrices."""

import operator
from typing import Any

import numpy as np

__all__ = ["two_axes"]


def two_axes(axis: Any, ndim: int, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return `axis` as two distinct nonnegative integers."""
    if ndim < 2:
        raise ValueError(
            f"a matrix norm needs an array with at least 2 axes; got {ndim}, shape {shape}. "
            "For the norm of a vector use the library's own vector_norm"
        )
    try:
        first, second = axis
        pair = operator.index(first), operator.index(second)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(axis, str) else type(error)
        raise kind(
            f"axis must be a pair of integers, the rows' and the columns' axis; got {axis!r}"
        ) from None
    for i in pair:
        if not -ndim <= i < ndim:
            raise np.exceptions.AxisError(
                f"axis {i} is out of bounds for an array of shape {shape}, with {ndim} axes"
            )
    row, column = pair[0] % ndim, pair[1] % ndim
    if row == column:
        raise ValueError(
            f"the rows' and the columns' axis must differ; got axis={axis!r}, both axis {row} "
            f"of an array of shape {shape}"
        )
    return row, column
