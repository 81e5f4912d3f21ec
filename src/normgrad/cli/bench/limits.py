"""What the machine can do, for times to be held against."""

import importlib.util
import math
import os
import platform
from dataclasses import dataclass
from typing import Any

import numpy as np

from normgrad.cli.bench.rows import Row
from normgrad.cli.errors import needed
from normgrad.cli.timing import alternate

__all__ = ["Limits", "machine", "measure_limits"]

_ENTRIES = 2**24
"""Of the array that is copied: 128 MiB, more than caches hold."""

_DTYPES = ("float64", "float32")


@dataclass(frozen=True)
class Limits:
    """The best rates of NumPy and PyTorch.

    Parameters
    ----------
    flops : dict of str to float
        Operations a second in the product of two large matrices, by dtype.
    bandwidth : float
        Bytes a second, read or written, in a copy.
    """

    flops: dict[str, float]
    bandwidth: float

    def cost(self, row: Row, seconds: float) -> float:
        """Return a time in the row's unit."""
        if row.unit == "passes":
            return seconds * self.bandwidth / (math.prod(row.shape) * _itemsize(row.dtype))
        return seconds * self.flops[row.dtype] / (2 * math.prod(row.shape) * min(row.shape[-2:]))


def _itemsize(dtype: str) -> int:
    return np.dtype(dtype).itemsize


def measure_limits(size: int) -> Limits:
    """Measure them, the products with square matrices of that size."""
    flops = {}
    for dtype in _DTYPES:
        a = np.random.default_rng(0).standard_normal((size, size)).astype(dtype)
        calls = {"NumPy": lambda a=a: a @ a}
        if _has_torch():
            tensor = needed("torch").from_numpy(a)
            calls["PyTorch"] = lambda t=tensor: t @ t
        flops[dtype] = 2.0 * size**3 / _best(calls)
    source, target = np.ones(_ENTRIES), np.zeros(_ENTRIES)
    copies: dict[str, Any] = {"NumPy": lambda: np.copyto(target, source)}
    if _has_torch():
        torch = needed("torch")
        there, here = torch.from_numpy(target), torch.from_numpy(source)
        copies["PyTorch"] = lambda: there.copy_(here)
    return Limits(flops, 2.0 * source.nbytes / _best(copies))


def _has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def _best(calls: dict[str, Any]) -> float:
    return min(min(times) for times in alternate(calls, 5, sample=0.05, within=1.1).values())


def machine() -> dict[str, Any]:
    """Return what is known of the machine."""
    return {
        "system": platform.system(),
        "processor": platform.processor() or platform.machine(),
        "CPUs": os.cpu_count(),
        "Python": platform.python_version(),
    }
