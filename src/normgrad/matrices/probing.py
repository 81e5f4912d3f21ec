"""What a user's function says of itself when it is called with a vector of zeros."""

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from normgrad.arithmetic import (
    Array,
    device,
    dtype_name,
    is_complex,
    largest,
    library_of,
    namespace,
    seen,
)
from normgrad.matrices.functions import LinearMap
from normgrad.matrices.trees import unflatten

__all__ = ["complex_of", "find_library", "name_of", "precision_of", "probed"]

_PRECISION = {"float16": "float32", "bfloat16": "float32", "complex32": "float32"}
_PRECISION |= {"float32": "float32", "complex64": "float32"}
_PRECISION |= {"float64": "float64", "complex128": "float64"}
_COMPLEX = {"float32": "complex64", "float64": "complex128"}


def name_of(dtype: Any) -> str:
    """Return the name of a dtype of any library, or of what NumPy takes for one."""
    text = dtype_name(dtype)
    return text if text in _PRECISION else np.dtype(dtype).name


def precision_of(dtype: Any) -> str:
    """Return the real dtype in which numbers of a dtype are computed with.

    Raises
    ------
    TypeError
        If they are not.
    """
    name = name_of(dtype)
    if name not in _PRECISION:
        raise TypeError(f"an Operator has real or complex numbers; got dtype {name}")
    return _PRECISION[name]


def complex_of(name: str) -> str:
    """Return the name of the complex dtype of the same precision."""
    return _COMPLEX.get(name, name)


def find_library(matvec: Callable[..., Any], n: int, dtype: Any) -> tuple[str, str]:
    """Return the library and dtype of vectors that a function without parameters takes.

    Raises
    ------
    TypeError
        If none is found.
    """
    first = None
    for library, name in _candidates(dtype):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                y = matvec(_zeros(library, n, name))
            namespace(y)
        except Exception as error:
            first = error if first is None else first
            continue
        return library_of(y), name
    raise TypeError(
        f"matvec, which has no params, took a vector of {n} zeros of no library that is imported. "
        "Give dtype, as in dtype=torch.float64; or what it depends on as params. "
        f"First it raised {type(first).__name__}: {first}"
    ) from first


def _candidates(dtype: Any) -> Iterator[tuple[str, str]]:
    of_torch = type(dtype).__module__ == "torch"
    for library in ("torch",) if of_torch else ("numpy", "torch", "jax"):
        if library in sys.modules:
            if dtype is not None:
                yield library, name_of(dtype)
                continue
            names = ["float64"]
            if library == "torch":  # (its functions take no vectors of another dtype)
                default = name_of(sys.modules["torch"].get_default_dtype())
                names = [default, "float64", "float32", "complex128", "complex64"]
            if library == "jax":
                names = [sys.modules["jax"].numpy.result_type(float).name]
            yield from ((library, name) for name in names)


def _zeros(library: str, n: int, name: str) -> Array:
    xp = {"torch": "torch", "jax": "jax.numpy"}.get(library)
    return np.zeros(n, name) if xp is None else _zeros_in(sys.modules[xp], n, name)


def _zeros_in(xp: Any, n: int, name: str) -> Array:
    return xp.zeros(n, dtype=getattr(xp, name))


def probed(of: LinearMap, name: str, leaves: Sequence[Array]) -> str:
    """Call ``matvec`` with zeros of a dtype, check what it returns, and return its dtype.

    Raises
    ------
    TypeError, ValueError
        If that is no vector of the length and dtype expected; if it depends on what is
        differentiated and is not among the parameters; if the function is not linear.
    """
    m, n = of.shape
    leaves = _in_precision(leaves, precision_of(name))

    def f(v: Array, *leaves: Array) -> Array:
        try:
            return of.matvec(v, *unflatten(of.structure, leaves))
        except Exception as error:
            error.add_note(
                f"(raised by matvec, which was given a vector of {n} zeros of {name} to check it, "
                f"as shape {of.shape} says)"
            )
            raise

    try:
        y = _CALLS[of.library](f, n, name, leaves)
    except (RuntimeError, TypeError):
        if name == complex_of(name):
            raise
        try:  # a complex function, of a library that does not promote
            y, name = _CALLS[of.library](f, n, complex_of(name), leaves), complex_of(name)
        except Exception as error:
            first = error.__context__
            raise error if first is None else first from None
    if tuple(y.shape) != (m,):
        raise ValueError(
            f"matvec must return a vector of shape ({m},) for one of shape ({n},), because the "
            f"operator has shape {of.shape}; got shape {tuple(y.shape)}"
        )
    got = name_of(y.dtype)
    if got not in (name, complex_of(name)):
        raise TypeError(
            f"matvec must return a vector of the dtype that it gets, {name}, or its complex one; "
            f"got {got}. Convert what it closes over"
        )
    # (complex for real vectors: it must take complex ones)
    return got if got == name else probed(of, got, leaves)


def _in_precision(leaves: Sequence[Array], name: str) -> list[Array]:
    """Return parameters as the functions get them."""
    cast = []
    for p in leaves:
        if library_of(p) != "autograd" and name_of(p.dtype) not in (name, complex_of(name)):
            xp = namespace(p)
            p = xp.astype(p, getattr(xp, complex_of(name) if is_complex(p) else name))
        cast.append(p)
    return cast


def _call_numpy(f: Any, n: int, name: str, leaves: Sequence[Array]) -> Array:
    return _linear(_kind(f(np.zeros(n, name), *leaves), "numpy"))


def _call_autograd(f: Any, n: int, name: str, leaves: Sequence[Array]) -> Array:
    y = f(np.zeros(n, name), *map(sys.modules["autograd.tracer"].getval, leaves))
    if library_of(y) == "autograd":
        _hidden("a value that autograd traces")
    return _linear(_kind(y, "numpy"))


def _call_torch(f: Any, n: int, name: str, leaves: Sequence[Array]) -> Array:
    torch = sys.modules["torch"]
    unpack = torch.autograd.forward_ad.unpack_dual
    place = device(leaves[0]) if leaves else None
    v = torch.zeros(n, dtype=getattr(torch, name), device=place)
    y = _kind(f(v, *(unpack(p).primal.detach() for p in leaves)), "torch")
    if y.requires_grad or unpack(y).tangent is not None:
        _hidden("a tensor that is differentiated")
    return _linear(y)


def _call_jax(f: Any, n: int, name: str, leaves: Sequence[Array]) -> Any:
    jax = sys.modules["jax"]
    like = [jax.ShapeDtypeStruct(p.shape, p.dtype) for p in leaves]
    made, y = jax.make_jaxpr(f, return_shape=True)(jax.ShapeDtypeStruct((n,), name), *like)
    # (what jit alone traces may be closed over; differentiating it, JAX itself refuses)
    traced = (type(c) for c in made.consts if isinstance(c, jax.core.Tracer))
    if any(kind.__name__ != "DynamicJaxprTracer" for kind in traced):
        _hidden("a value that JAX differentiates or maps over")
    return y if hasattr(y, "shape") else _kind(y, "jax")


_CALLS = {
    "numpy": _call_numpy,
    "autograd": _call_autograd,
    "torch": _call_torch,
    "jax": _call_jax,
}


def _kind(y: Any, library: str) -> Array:
    module = type(y).__module__.split(".")[0]
    if not hasattr(y, "dtype") or {"jaxlib": "jax"}.get(module, module) not in (library, "torch"):
        kind = f"{type(y).__module__}.{type(y).__qualname__}"
        raise TypeError(f"matvec must return an array of {library}, like its vector; got {kind}")
    return y


def _linear(y: Array) -> Array:
    if y.ndim == 1 and y.shape[0] and seen(largest(y[:, None]) > 0):
        raise ValueError(
            "matvec is not linear: it maps zeros to a vector with an entry of size "
            f"{float(largest(y[:, None])):.3g}. Take matvec(v) - matvec(0) instead"
        )
    return y


def _hidden(what: str) -> NoReturn:
    raise ValueError(
        f"matvec depends on {what} and is not in params: the gradient would not reach it. Pass it "
        "in params, as in Operator(lambda v, t: ..., shape, params=(t,)). If its gradient is not "
        "wanted, detach it (t.detach(), net.requires_grad_(False), jax.lax.stop_gradient outside "
        "of what is traced)"
    )
