"""A norm and its gradient as users of other libraries have them today."""

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normgrad.cli.errors import needed
from normgrad.norms import AbsoluteSum, Frobenius, KyFan, Norm, Nuclear, Schatten, Spectral

__all__ = ["PEERS", "Pair", "installed_peers"]

Pair = Callable[[], tuple[Any, Any]]
"""Computes a value and a gradient."""


def _numpy(x: NDArray[Any], norm: Norm) -> Pair | None:
    """By the formulas of the textbook, for matrices of full rank without ties."""

    def by_svd(weights: Callable[[NDArray[Any]], tuple[Any, NDArray[Any]]]) -> Pair:
        def pair() -> tuple[Any, Any]:
            u, s, vh = np.linalg.svd(x, full_matrices=False)
            value, w = weights(s)
            return value, (u[:, : len(w)] * w) @ vh[: len(w)]

        return pair

    def frobenius() -> tuple[Any, Any]:
        value = np.linalg.norm(x)
        return value, x / value

    def spectral() -> tuple[Any, Any]:
        u, s, vh = np.linalg.svd(x, full_matrices=False)
        return s[0], np.outer(u[:, 0], vh[0])

    def absolute_sum() -> tuple[Any, Any]:
        columns = isinstance(norm, AbsoluteSum) and norm.axis == -2
        sums = np.abs(x).sum(axis=0 if columns else 1)
        i = int(np.argmax(sums))
        gradient = np.zeros_like(x)
        line = (slice(None), i) if columns else (i, slice(None))
        gradient[line] = np.sign(x[line])
        return sums[i], gradient

    def schatten(s: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
        p = norm.p if isinstance(norm, Schatten) else 2.0
        value = (s**p).sum() ** (1 / p)
        return value, (s / value) ** (p - 1)

    def ky_fan(s: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
        k = norm.k if isinstance(norm, KyFan) else len(s)
        return s[:k].sum(), np.ones(k)

    table: dict[type[Norm], Pair] = {
        Frobenius: frobenius,
        Spectral: spectral,
        Nuclear: by_svd(lambda s: (s.sum(), np.ones_like(s))),
        Schatten: by_svd(schatten),
        KyFan: by_svd(ky_fan),
        AbsoluteSum: absolute_sum,
    }
    return table.get(type(norm))


def _ord(norm: Norm) -> Any:
    """Return the ``ord`` of torch.linalg.matrix_norm and jax.numpy.linalg.norm, or None."""
    if isinstance(norm, AbsoluteSum):
        return 1 if norm.axis == -2 else np.inf
    return {Frobenius: "fro", Spectral: 2, Nuclear: "nuc"}.get(type(norm))


def _torch(x: NDArray[Any], norm: Norm) -> Pair | None:
    """By torch.linalg.matrix_norm and backward."""
    ord = _ord(norm)
    if ord is None:
        return None
    torch = needed("torch")
    tensor = torch.tensor(x, requires_grad=True)

    def pair() -> tuple[Any, Any]:
        tensor.grad = None
        value = torch.linalg.matrix_norm(tensor, ord)
        value.backward()
        return value.detach(), tensor.grad

    return pair


def _jax(x: NDArray[Any], norm: Norm) -> Pair | None:
    """By jax.value_and_grad of jax.numpy.linalg.norm, compiled."""
    ord = _ord(norm)
    if ord is None:
        return None
    jax = needed("jax")
    jax.config.update("jax_enable_x64", True)
    array = jax.device_put(x, jax.devices("cpu")[0])
    compiled = jax.jit(jax.value_and_grad(lambda a: jax.numpy.linalg.norm(a, ord)))

    def pair() -> tuple[Any, Any]:
        value, gradient = jax.block_until_ready(compiled(array))
        return value, gradient

    return pair


PEERS: dict[str, Callable[[NDArray[Any], Norm], Pair | None]] = {
    "NumPy": _numpy,
    "PyTorch": _torch,
    "JAX": _jax,
}
"""Library, and how it has a norm: None if it has not."""

_MODULES = {"NumPy": "numpy", "PyTorch": "torch", "JAX": "jax"}


def installed_peers() -> tuple[str, ...]:
    """Return those of `PEERS` that are installed."""
    return tuple(name for name in PEERS if importlib.util.find_spec(_MODULES[name]) is not None)
