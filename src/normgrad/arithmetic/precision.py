"""Single and double precision, and random numbers of either."""

import sys

import numpy as np

from normgrad.arithmetic.namespace import (
    Array,
    device,
    is_complex,
    is_jax,
    is_torch,
    namespace,
)

__all__ = [
    "double",
    "gaussian",
    "has_double",
    "is_single",
    "like",
    "promoted",
    "row_blocks",
    "single",
    "times",
]

_BLOCK = 2**18
"""So many entries are multiplied in double precision at a time: few enough for a cache."""


def is_single(x: Array) -> bool:
    """Whether `x` has single precision, real or complex."""
    return bool(namespace(x).finfo(x.dtype).bits == 32)


def has_double(x: Array) -> bool:
    """Whether the library of `x` has double precision, which JAX has only where enabled."""
    return not is_jax(x) or bool(sys.modules["jax"].config.jax_enable_x64)


def double(x: Array) -> Array:
    """Return `x` in double precision."""
    xp = namespace(x)
    return xp.astype(x, xp.complex128 if is_complex(x) else xp.float64)


def single(x: Array) -> Array:
    """Return `x` in single precision."""
    xp = namespace(x)
    return xp.astype(x, xp.complex64 if is_complex(x) else xp.float32)


def like(x: Array, y: Array) -> Array:
    """Return `x` in the precision of `y`; for a complex `x`, y must be complex."""
    to = y.dtype if is_complex(x) or not is_complex(y) else y.real.dtype
    return x if x.dtype == to else namespace(x).astype(x, to)


def promoted(arrays: tuple[Array, ...]) -> tuple[Array, ...]:
    """Return tensors of PyTorch in the dtype that holds them all; other libraries promote."""
    if len({x.dtype for x in arrays}) == 1 or not all(map(is_torch, arrays)):
        return arrays
    xp = namespace(arrays[0])
    to = xp.result_type(*arrays)
    return tuple(xp.astype(x, to, copy=False) for x in arrays)


def row_blocks(A: Array) -> list[Array]:
    """Return A in blocks of rows; JAX gets it whole, and fuses the conversion."""
    m, n = A.shape[-2:]
    rows = max(_BLOCK // n, n)
    if m <= 2 * rows or is_jax(A):
        return [A]
    return [A[..., start : start + rows, :] for start in range(0, m, rows)]


def times(A: Array, M: Array) -> Array:
    """Return ``A M``, taken in the precision of M and rounded to that of A."""
    if A.dtype == M.dtype or not is_single(A):
        return A @ M
    blocks = [like(double(B) @ M, A) for B in row_blocks(A)]
    return blocks[0] if len(blocks) == 1 else namespace(A).concat(blocks, axis=-2)


def gaussian(shape: tuple[int, ...], x: Array, seed: int = 0) -> Array:
    """Return standard normal numbers of the dtype and place of `x`: for a seed, the same always."""
    if is_complex(x):
        return gaussian(shape, x.real, seed) + 1j * gaussian(shape, x.real, seed + 1)
    if is_jax(x):
        random = sys.modules["jax"].random
        return random.normal(random.key(seed), shape, x.dtype)
    if is_torch(x):
        torch = sys.modules["torch"]
        generator = torch.Generator(device(x)).manual_seed(seed)
        return torch.randn(shape, dtype=x.dtype, device=device(x), generator=generator)
    numbers = np.random.default_rng(seed).standard_normal(shape)
    xp = namespace(x)
    return xp.asarray(numbers, dtype=x.dtype, device=device(x))
