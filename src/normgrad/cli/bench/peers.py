"""Ours and the peer's way to do what a row says, in the same harness."""

import importlib.metadata
import importlib.util
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import normgrad
from normgrad.cli.bench.rows import ORDS, Row
from normgrad.cli.demo.peers import PEERS
from normgrad.cli.errors import needed
from normgrad.norms import KyFan, Schatten, resolve

__all__ = ["CALLS", "MODULES", "Duel", "duel", "versions"]

_THRESHOLD = 10.0
"""Of the proximal map; it removes a part of the singular values of a Gaussian matrix."""


class Duel(NamedTuple):
    """Two functions that return the same: a gradient, a value, a matrix."""

    ours: Callable[[], Any]
    peer: Callable[[], Any]


def _torch_norm(ord: Any) -> Callable[[Any], Any]:
    """By torch.linalg.matrix_norm, and from torch.linalg.svdvals what it lacks."""
    linalg = needed("torch").linalg
    if isinstance(ord, Schatten):
        return lambda x: (linalg.svdvals(x) ** ord.p).sum(-1) ** (1 / ord.p)
    if isinstance(ord, KyFan):
        return lambda x: linalg.svdvals(x)[..., : ord.k].sum(-1)
    return lambda x: linalg.matrix_norm(x, ord)


def _torch_gradient(x: NDArray[Any], ord: Any) -> Duel:
    leaf = needed("torch").from_numpy(x).requires_grad_()

    def backward(norm: Callable[[Any], Any]) -> Callable[[], Any]:
        def step() -> Any:
            leaf.grad = None
            value = norm(leaf)
            (value.sum() if value.ndim else value).backward()
            return leaf.grad

        return step

    return Duel(backward(lambda a: normgrad.matrix_norm(a, ord)), backward(_torch_norm(ord)))


def _torch_value(x: NDArray[Any], ord: Any) -> Duel:
    tensor, norm = needed("torch").from_numpy(x), _torch_norm(ord)
    return Duel(lambda: normgrad.matrix_norm(tensor, ord), lambda: norm(tensor))


def _torch_hessian(x: NDArray[Any], ord: Any) -> Duel:
    """Once more at the same matrix; PyTorch's function of that name begins anew."""
    torch = needed("torch")
    tensor, E = torch.from_numpy(x), torch.from_numpy(x[..., ::-1, :].copy())
    norm = _torch_norm(ord)
    _, product = normgrad.linearize(tensor, ord)
    return Duel(lambda: product(E), lambda: torch.autograd.functional.hvp(norm, tensor, E)[1])


def _torch_hessian_from_graph(x: NDArray[Any], ord: Any) -> Duel:
    """Once more at the same matrix: its gradient, with its graph, is there."""
    torch = needed("torch")
    leaf = torch.from_numpy(x).requires_grad_()
    E = torch.from_numpy(x[..., ::-1, :].copy())
    (theirs,) = torch.autograd.grad(_torch_norm(ord)(leaf), leaf, create_graph=True)

    def product(G: Any) -> Callable[[], Any]:
        return lambda: torch.autograd.grad(G, leaf, E, retain_graph=True)[0]

    return Duel(product(normgrad.grad(leaf, ord)), product(theirs))


def _torch_prox(x: NDArray[Any], ord: Any) -> Duel:
    torch = needed("torch")
    tensor = torch.from_numpy(x)

    def threshold() -> Any:
        U, s, Vh = torch.linalg.svd(tensor, full_matrices=False)
        return (U * (s - _THRESHOLD).clamp(min=0)) @ Vh

    return Duel(lambda: normgrad.prox(tensor, _THRESHOLD, ord), threshold)


def _jax_gradient(x: NDArray[Any], ord: Any) -> Duel:
    jax = needed("jax")
    jax.config.update("jax_enable_x64", True)
    array = jax.device_put(x, jax.devices("cpu")[0])

    def compiled(norm: Callable[[Any], Any]) -> Callable[[], Any]:
        step = jax.jit(jax.value_and_grad(lambda a: norm(a).sum())).lower(array).compile()
        return lambda: jax.block_until_ready(step(array))[1]

    return Duel(
        compiled(lambda a: normgrad.matrix_norm(a, ord)),
        compiled(lambda a: jax.numpy.linalg.norm(a, ord, axis=(-2, -1))),
    )


def _numpy_gradient(x: NDArray[Any], ord: Any) -> Duel:
    """The peer is the textbook formula on numpy.linalg.svd."""
    pair = PEERS["NumPy"](x, resolve(ord))
    assert pair is not None
    return Duel(lambda: normgrad.value_and_grad(x, ord)[1], lambda: pair()[1])


def _scipy_gradient(x: NDArray[Any], ord: Any) -> Duel:
    """The peer is ARPACK, which finds one triplet and does not see a tie."""
    svds = needed("scipy.sparse.linalg").svds
    start = np.random.default_rng(0).standard_normal(min(x.shape)).astype(x.dtype)

    def one_triplet() -> Any:
        u, _, vh = svds(x, k=1, v0=start)
        return u @ vh

    return Duel(lambda: normgrad.value_and_grad(x, ord)[1], one_triplet)


def _autograd_gradient(x: NDArray[Any], ord: Any) -> Duel:
    value_and_grad, numpy = needed("autograd").value_and_grad, needed("autograd.numpy")

    def traced(norm: Callable[[Any], Any]) -> Callable[[], Any]:
        pair = value_and_grad(norm)
        return lambda: pair(x)[1]

    return Duel(
        traced(lambda a: normgrad.matrix_norm(a, ord)), traced(lambda a: numpy.linalg.norm(a, ord))
    )


CALLS: dict[tuple[str, str], Callable[[NDArray[Any], Any], Duel]] = {
    ("PyTorch", ""): _torch_gradient,
    ("PyTorch", "memory"): _torch_gradient,
    ("PyTorch", "value"): _torch_value,
    ("PyTorch", "prox"): _torch_prox,
    ("PyTorch", "Hessian product again"): _torch_hessian,
    ("PyTorch", "Hessian product again, from a graph"): _torch_hessian_from_graph,
    ("JAX", ""): _jax_gradient,
    ("NumPy", ""): _numpy_gradient,
    ("SciPy", ""): _scipy_gradient,
    ("autograd", ""): _autograd_gradient,
}
"""By library and call, of a matrix and an ord. All that is not timed is done before."""

MODULES = {
    "NumPy": "numpy",
    "SciPy": "scipy",
    "PyTorch": "torch",
    "JAX": "jax",
    "autograd": "autograd",
}
"""Library, and the module by which it is imported."""


def duel(row: Row, x: NDArray[Any]) -> Duel:
    """Return ours and the peer's way to do what the row says."""
    return CALLS[row.library, row.call](x, ORDS[row.norm])


def versions() -> dict[str, str]:
    """Return the version of each library that is installed."""
    return {
        library: importlib.metadata.version(module)
        for library, module in MODULES.items()
        if importlib.util.find_spec(module) is not None
    }
