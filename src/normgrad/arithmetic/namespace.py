"""Which library an array belongs to, and when its entries may be looked at.

``xp`` is who does arithmetic (the Python Array API standard); who differentiates is
the business of `normgrad.engines`.
"""

import sys
from collections.abc import Callable
from typing import Any

import array_api_compat
import array_api_compat.numpy as numpy_namespace
import numpy as np

from normgrad.arithmetic import traced

__all__ = [
    "Array",
    "adjoint",
    "branch",
    "device",
    "divide",
    "each_matrix",
    "identity",
    "integers",
    "is_compiling",
    "is_complex",
    "is_jax",
    "is_readable",
    "is_recorded",
    "is_torch",
    "is_traced",
    "machine_epsilon",
    "namespace",
    "read_booleans",
    "read_integer",
    "seen",
    "sometimes",
]

Array = Any
"""An array of any library that follows the Python Array API standard."""


_namespaces: dict[type, Any] = {}


def namespace(x: Array) -> Any:
    """Return the Array API namespace of `x`, which its type decides."""
    xp = _namespaces.get(type(x))
    if xp is None:
        numpy = isinstance(x, (np.ndarray, np.generic))
        xp = numpy_namespace if numpy else array_api_compat.array_namespace(x)
        _namespaces[type(x)] = xp
    return xp


def is_torch(x: Array) -> bool:
    """Whether `x` is a PyTorch tensor; never imports PyTorch."""
    return bool(namespace(x).__name__ == "array_api_compat.torch")


def is_jax(x: Array) -> bool:
    """Whether `x` is a JAX array or tracer; never imports JAX."""
    return bool(namespace(x).__name__ == "jax.numpy")


def is_traced(x: Array) -> bool:
    """Whether the entries of `x` are unknown while Python runs, as under ``jax.jit``."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(x, jax.core.Tracer)


def is_compiling() -> bool:
    """Whether torch.compile is reading this very call."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.compiler.is_compiling()


def is_recorded(x: Array) -> bool:
    """Whether PyTorch follows the calls for `x`, by a compiler, a trace, or as `make_fx` does."""
    if not is_torch(x):
        return False
    torch = sys.modules["torch"]
    if torch.compiler.is_compiling():  # (which does not take the questions below)
        return True
    core = torch._C
    return core._get_tracing_state() is not None or core._len_torch_dispatch_stack() > 0


def is_readable(x: Array) -> bool:
    """Whether Python may branch on the entries of `x` at no cost: known, and in host memory.

    Reading one number from a GPU stalls its queue, so what is cheap there is to compute
    both sides and select.
    """
    if isinstance(x, np.ndarray):
        return True
    if is_torch(x):
        return bool(x.is_cpu) and not is_recorded(x)
    if is_jax(x):
        return not is_traced(x) and all(device.platform == "cpu" for device in x.devices())
    return str(getattr(x, "device", "cpu")) == "cpu"


def seen(condition: Array) -> bool | None:
    """Return the truth of a 0-d boolean array, or None where it cannot be read cheaply.

    It cannot under tracing, on a GPU, and under the vmap that PyTorch uses for
    ``torch.autograd.grad(..., is_grads_batched=True)``.
    """
    return _read(bool, condition)


def read_integer(x: Array) -> int | None:
    """Return a 0-d integer array as a number, or None where it cannot be read cheaply."""
    return _read(int, x)


def read_booleans(x: Array) -> list[bool] | None:
    """Return the entries of a boolean array in order, or None where they cannot be read cheaply."""
    return _read(lambda x: namespace(x).reshape(x, (-1,)).tolist(), x)


def _read(kind: Callable[[Array], Any], x: Array) -> Any:
    if not is_readable(x):
        return None
    try:
        return kind(x)
    except RuntimeError:
        return None


def sometimes(needed: Array, f: Callable[..., Array], x: Array) -> Array:
    """Return ``f(x)``, or `x` itself where it can be seen that nothing is `needed`.

    `f` must leave alone what is not needed.
    """
    return x if seen(namespace(needed).any(needed)) is False else f(x)


def branch(
    condition: Array, quick: Callable[..., Any], general: Callable[..., Any], x: Array
) -> Any:
    """Return ``quick(x)`` if the 0-d boolean `condition` holds, else ``general(x)``.

    Only one is evaluated. `general` must be right in both cases: it is taken where the
    condition cannot be read cheaply.
    """
    if is_traced(condition):
        return traced.cond(condition, quick, general, x)
    return quick(x) if seen(condition) else general(x)


def each_matrix(f: Callable[..., Any], A: Array, *beside: Array) -> Any:
    """Return the results of `f`, arrays or a tuple of arrays, stacked over the leading axes of A.

    One matrix after the other: for what is long, or takes another course, at each. `f` takes
    besides what belongs to its matrix in arrays that have these axes, too.
    """
    batch = tuple(A.shape[:-2])
    xp = namespace(A)
    stacks = [xp.reshape(x, (-1, *x.shape[len(batch) :])) for x in (A, *beside)]

    def unflat(x: Array) -> Array:
        return xp.reshape(x, (*batch, *x.shape[1:]))

    if is_traced(A):
        results = sys.modules["jax"].lax.map(lambda each: f(*each), tuple(stacks))
    else:
        results = [f(*(x[i] for x in stacks)) for i in range(stacks[0].shape[0])]
        if isinstance(results[0], tuple):
            results = tuple(map(xp.stack, zip(*results, strict=True)))
        else:
            results = xp.stack(results)
    return tuple(map(unflat, results)) if isinstance(results, tuple) else unflat(results)


def divide(a: Array, b: Array, otherwise: Array | float = 0.0) -> Array:
    """Return ``a / b``, and `otherwise` where ``b`` is exactly zero. No denominator is altered."""
    xp = namespace(b)
    zero = b == 0
    return xp.where(zero, otherwise, a / xp.where(zero, xp.ones_like(b), b))


_complex: dict[Any, bool] = {}


def is_complex(x: Array) -> bool:
    """Whether `x` has a complex floating dtype."""
    known = _complex.get(x.dtype)
    if known is None:
        known = _complex[x.dtype] = bool(namespace(x).isdtype(x.dtype, "complex floating"))
    return known


def identity(k: int, like: Array) -> Array:
    """Return the k x k identity with the dtype and place of `like`."""
    return namespace(like).eye(k, dtype=like.dtype, device=device(like))


def integers(k: int, like: Array) -> Array:
    """Return 0, ..., k - 1 with the dtype and place of `like`."""
    return namespace(like).arange(k, dtype=like.dtype, device=device(like))


_epsilons: dict[Any, float] = {}


def machine_epsilon(x: Array) -> float:
    """Return the unit of relative spacing of the (real part of the) dtype of `x`."""
    epsilon = _epsilons.get(x.dtype)
    if epsilon is None:
        epsilon = _epsilons[x.dtype] = float(namespace(x).finfo(x.dtype).eps)
    return epsilon


def device(x: Array) -> Any:
    """Return where `x` is, for a new array beside it; None if JAX has it on several devices.

    How it is laid out there is for its own shape alone, and JAX brings a new array to it.
    """
    place = array_api_compat.device(x)
    spread = is_jax(x) and isinstance(place, sys.modules["jax"].sharding.Sharding)
    return None if spread else place


def adjoint(x: Array) -> Array:
    """Return the conjugate transpose ``x^H`` of each matrix."""
    return namespace(x).conj(x.mT) if is_complex(x) else x.mT
