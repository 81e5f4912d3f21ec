"""Layers, and the matrices that they are, from what they do to unit vectors."""

from typing import Any

import numpy as np
import torch
from torch import nn


def matrix_of(layer: Any, *shape: int) -> Any:
    """Return the matrix of the linear part of a layer for inputs of a shape."""
    n = int(np.prod(shape))
    dtype = next(layer.parameters()).dtype
    with torch.no_grad():
        units = torch.eye(n, dtype=dtype).reshape(n, *shape)
        constant = layer(torch.zeros(1, *shape, dtype=dtype))
        return (layer(units) - constant).reshape(n, -1).T.numpy()


def norm_of(layer: Any, *shape: int) -> float:
    return float(np.linalg.norm(matrix_of(layer, *shape), 2))


def frequently(*make: Any) -> Any:
    """Return a chain in double precision, always with the same weights."""
    torch.manual_seed(0)
    return nn.Sequential(*(m() for m in make)).double()
