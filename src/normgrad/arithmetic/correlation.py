"""Kernels applied at each point of a grid, and what they see there."""

import itertools
import math
import sys
from collections.abc import Iterator
from typing import Any

from normgrad.arithmetic.namespace import Array, is_complex, is_torch, namespace

__all__ = ["correlation", "windows"]

_AT_ONCE = 2**22
"""So many numbers are gathered at once."""


def correlation(x: Array, kernel: Array, axes: int) -> Array:
    """Return ``y_{o, p} = sum_{i, t} K_{o, i, t} x_{i, p + t}``, (..., c_out * points, k).

    Parameters
    ----------
    x : (..., c_in, *sizes, k) array
    kernel : (..., c_out, c_in, *taps) array
    axes : int
        How many sizes and taps there are.
    """
    if is_torch(x) and x.is_cpu and x.ndim == kernel.ndim == axes + 2 and not is_complex(x):
        # (not so on GPUs, where PyTorch allows convolutions a precision of 1e-3)
        functional = sys.modules["torch"].nn.functional
        convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[axes - 1]
        return convolve(x.movedim(-1, 0), kernel).flatten(1).mT
    xp, taps = namespace(x), tuple(kernel.shape[-axes:])
    total: Any = 0
    kernel = xp.reshape(kernel, (*kernel.shape[:-axes], -1))
    for part, seen in windows(x, taps):
        K = kernel[..., part]
        total = total + xp.reshape(K, (*K.shape[:-2], -1)) @ seen
    return xp.reshape(total, (*total.shape[:-2], -1, x.shape[-1]))


def windows(x: Array, taps: tuple[int, ...]) -> Iterator[tuple[slice, Array]]:
    """Yield some taps, in order, and x as they see it: (..., c * taps, points * k)."""
    xp, d = namespace(x), len(taps)
    sizes = x.shape[-d - 1 : -1]
    points = [size - t + 1 for size, t in zip(sizes, taps, strict=True)]
    corners = list(itertools.product(*map(range, taps)))
    at_once = max(_AT_ONCE // max(math.prod(x.shape), 1), 1)
    for first in range(0, len(corners), at_once):
        part = slice(first, first + at_once)
        seen: Any = []
        for corner in corners[part]:
            window = (slice(t, t + n) for t, n in zip(corner, points, strict=True))
            seen.append(x[(..., *window, slice(None))])
        seen = xp.stack(seen, axis=-d - 2)
        yield part, xp.reshape(seen, (*seen.shape[: -d - 3], -1, math.prod(points) * x.shape[-1]))
