"""Kernels applied at each point of a grid, and what they see there."""

import itertools
import math
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from normgrad.arithmetic.namespace import Array, device, is_complex, is_torch, namespace

__all__ = ["around", "correlation", "windows"]

_AT_ONCE = 2**22
"""So many numbers are gathered at once."""

Rims = tuple[tuple[int, int], ...]
"""By how much a grid is enlarged along each axis: before, and after."""


def correlation(x: Array, kernel: Array, rims: Rims, periodic: bool) -> Array:
    """Return ``y_{o, p} = sum_{i, t} K_{o, i, t} x_{i, p + t - before}``, (..., c_out * points, k).

    Parameters
    ----------
    x : (..., c_in, *sizes, k) array
    kernel : (..., c_out, c_in, *taps) array
    rims : pairs of int
        How far around the grid x goes on, for each axis.
    periodic : bool
        Whether it goes on as it is on the other side, or with zeros.
    """
    axes = len(rims)
    if is_torch(x) and x.is_cpu and x.ndim == kernel.ndim == axes + 2 and not is_complex(x):
        # (not so on GPUs, where PyTorch allows convolutions a precision of 1e-3)
        functional = sys.modules["torch"].nn.functional
        convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[axes - 1]
        if periodic or any(before != after for before, after in rims):
            images = around(x, rims, periodic).movedim(-1, 0)
            return convolve(images, kernel).flatten(1).mT
        padding = tuple(before for before, _ in rims)
        return convolve(x.movedim(-1, 0), kernel, padding=padding).flatten(1).mT
    xp, taps = namespace(x), tuple(kernel.shape[-axes:])
    total: Any = 0
    kernel = xp.reshape(kernel, (*kernel.shape[:-axes], -1))
    for part, seen in windows(around(x, rims, periodic), taps):
        K = kernel[..., part]
        total = total + xp.reshape(K, (*K.shape[:-2], -1)) @ seen
    return xp.reshape(total, (*total.shape[:-2], -1, x.shape[-1]))


def around(x: Array, rims: Rims, periodic: bool) -> Array:
    """Return x, (..., *sizes, k), with what is around the grid."""
    xp = namespace(x)
    for axis, (before, after) in enumerate(rims, start=-len(rims) - 1):
        size = x.shape[axis]
        if periodic and (before or after):
            at = np.arange(-before, size + after) % size
            x = xp.take(x, xp.asarray(at, device=device(x)), axis=axis)
        elif before or after:
            shape, zeros = list(x.shape), []
            for rim in (before, after):
                shape[axis] = rim
                zeros.append(xp.zeros(tuple(shape), dtype=x.dtype, device=device(x)))
            x = xp.concat([zeros[0], x, zeros[1]], axis=axis)
    return x


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
