"""Sums of norms over all weights of a module that are matrices."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import normgrad
from normgrad.nn.torch.checks import check_initialized, check_module
from normgrad.nn.torch.convolutions import CONVOLUTIONS, TRANSPOSED, Geometry
from normgrad.nn.torch.parametrization import computed

__all__ = ["nuclear_penalty", "spectral_penalty"]


def nuclear_penalty(module: nn.Module, *, grid: Any = None, skip: Iterable[str] = ()) -> Tensor:
    r"""Return the sum of the nuclear norms of all weights that are matrices.

    The convex surrogate of rank: its descent makes weights of low rank.

    Parameters
    ----------
    module : Module
        With Linear, Embedding and convolution layers at any depth.
    grid : "reshape", tuple of int, or dict, optional
        What the norm of a convolution is. "reshape": that of its kernel as a matrix, c_out x (c_in
        kh kw); a size (H, W) of its input: that of the convolution; or a dict from the names of
        weights, as "0.weight", to one of these. Needed if there is a convolution.
    skip : names
        Parameters, as "rnn.weight_hh_l0", or modules, as "rnn", that are left out.

    Returns
    -------
    () tensor
        Differentiable in the weights, as norms are: the subgradient of least norm.

    Raises
    ------
    TypeError
        For a parameter with two or more axes in a layer of another type, by its name: what matrix
        it stands for is not known, and nothing is skipped silently.
    ValueError
        For a convolution without `grid`, a name in `skip` or `grid` that there is not, or a
        parameter without a shape yet.

    Notes
    -----
    Parameters with fewer than two axes, biases and gains, are no matrices and do not count. A
    weight that several layers share counts once, as the first of them has it. A weight with a
    parametrization counts, and goes by its name, as what it is, not as what is stored; it is
    shared if what is stored is.

    Cost: a factorization for each weight; of a convolution, see `normgrad.Convolution2d`. A
    convolution with stride, dilation, groups or other padding forms its array, for
    the nuclear norm, which is limited to 2**25 entries.

    Examples
    --------
    >>> import torch, normgrad.nn.torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
    >>> with torch.no_grad():
    ...     _ = net[0].weight.copy_(torch.eye(2)), net[2].weight.copy_(torch.tensor([[3.0, 4.0]]))
    >>> round(normgrad.nn.torch.nuclear_penalty(net).item(), 5)
    7.0
    >>> round(normgrad.nn.torch.nuclear_penalty(net, skip=["2"]).item(), 5)
    2.0
    """
    return _penalty(module, "nuc", grid, skip)


def spectral_penalty(module: nn.Module, *, grid: Any = None, skip: Iterable[str] = ()) -> Tensor:
    r"""Return the sum of the spectral norms of all weights that are matrices.

    Parameters
    ----------
    module, grid, skip
        As for `nuclear_penalty`, and so are the errors and what counts.

    Returns
    -------
    () tensor
        Differentiable in the weights.

    References
    ----------
    Y. Yoshida, T. Miyato, Spectral norm regularization for improving the generalizability of
    deep learning, arXiv:1705.10941 (2017), with the squares of estimates.

    Examples
    --------
    >>> import torch, normgrad.nn.torch
    >>> net = torch.nn.Sequential(torch.nn.Conv1d(1, 1, 3, padding=1), torch.nn.Linear(5, 1))
    >>> with torch.no_grad():
    ...     _ = net[0].weight.copy_(torch.tensor([[[0.0, 2.0, 0.0]]]))
    >>> round(normgrad.nn.torch.spectral_penalty(net, grid=5, skip=["1"]).item(), 5)
    2.0
    """
    return _penalty(module, 2, grid, skip)


def _penalty(module: nn.Module, ord: Any, grid: Any, skip: Iterable[str]) -> Tensor:
    check_module(module)
    if isinstance(skip, str):
        raise TypeError(f"skip takes a list of names; got the string {skip!r}, write [{skip!r}]")
    skip = set(skip)
    grids = dict(grid) if isinstance(grid, Mapping) else None
    tensors = set(_tensors(module))
    unknown = sorted(skip - tensors - {path for path, _ in _layers(module) if path})
    if unknown:
        raise ValueError(
            f"the module has no parameters or modules of these names: {unknown}; its parameters "
            f"(one that is shared has its first name): {sorted(tensors)}"
        )
    unknown = sorted(set(grids or ()) - tensors)
    if unknown:
        raise ValueError(
            f"grid has sizes for {unknown}, but the module no parameters of these names; its "
            f"names: {sorted(tensors)}"
        )
    total: Any = torch.zeros(())
    for name, layer, weight in _weights(module, skip):
        W: Any = computed(weight)
        if isinstance(layer, CONVOLUTIONS):
            W = _matrix(name, layer, W, ord, grid if grids is None else grids.get(name))
        total = total.to(weight.device) + normgrad.matrix_norm(W, ord)
    return total


def _weights(module: nn.Module, skip: set[str]) -> Iterator[tuple[str, nn.Module, Tensor]]:
    """Yield the name, the layer and the tensor of all weights that count."""
    counted: set[tuple[int, ...]] = set()
    for name, (layer, attribute) in _tensors(module).items():
        if any(f"{name}.".startswith(f"{left_out}.") for left_out in skip):
            continue
        stored = _stored(layer, attribute)
        for parameter in stored:
            check_initialized(name, parameter)
        tensor = getattr(layer, attribute)
        key = tuple(map(id, stored))
        if tensor.ndim < 2 or key in counted:
            continue
        counted.add(key)
        if attribute != "weight" or not isinstance(layer, (nn.Linear, nn.Embedding, *CONVOLUTIONS)):
            kind = parametrize.type_before_parametrizations(layer)
            raise TypeError(
                f"which matrix {name!r}, of shape {tuple(tensor.shape)}, of a {kind.__name__} "
                "stands for is not known; known are the weights of Linear, Embedding and "
                "convolutions. Leave it out with skip=, and add a norm of your own"
            )
        yield name, layer, tensor


def _tensors(module: nn.Module) -> dict[str, tuple[nn.Module, str]]:
    """Return layer and attribute of all parameters, and of what parametrizations give."""
    found: dict[str, tuple[nn.Module, str]] = {}
    for path, layer in _layers(module):
        names = [name for name, p in layer._parameters.items() if p is not None]
        if parametrize.is_parametrized(layer):
            names += list(layer.parametrizations)
        found.update({f"{path}.{name}" if path else name: (layer, name) for name in names})
    return found


def _layers(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield the path and the layer for all but what belongs to parametrizations."""
    inside: list[str] = []
    for path, layer in module.named_modules():
        if any(f"{path}.".startswith(prefix) for prefix in inside):
            continue
        if parametrize.is_parametrized(layer):
            inside.append(f"{path}.parametrizations." if path else "parametrizations.")
        yield path, layer


def _stored(layer: Any, attribute: str) -> list[Tensor]:
    """Return the tensors of which a weight is made: itself, or what its parametrization has."""
    if not parametrize.is_parametrized(layer, attribute):
        return [layer._parameters[attribute]]
    originals = layer.parametrizations[attribute]
    return [*originals.parameters(recurse=False), *originals.buffers(recurse=False)]


def _matrix(name: str, layer: nn.Module, weight: Tensor, ord: Any, grid: Any) -> Any:
    """Return the matrix of a convolution, as it was chosen."""
    if grid is None:
        raise ValueError(
            f"{name!r} is the kernel of a convolution, whose norm depends on the size of its "
            "input: give grid = (H, W), or a dict with one for each name; or grid='reshape' for "
            "the norm of the kernel as a matrix, which is another norm"
        )
    if isinstance(grid, str):
        if grid != "reshape":
            raise ValueError(f"grid={grid!r} is not known; valid: 'reshape', (H, W), or a dict")
        return (weight.movedim(1, 0) if isinstance(layer, TRANSPOSED) else weight).flatten(1)
    geometry = Geometry.of(layer, grid)
    return geometry.smallest(weight) if ord == 2 else geometry.matrix(weight)
