"""A Lipschitz constant of a chain of layers: the product of theirs."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from normgrad.nn.torch.constants import CONSTANTS, Bound, Layer

__all__ = ["lipschitz_bound"]


def lipschitz_bound(module: nn.Module, input_shape: tuple[int, ...] | None = None) -> Tensor:
    r"""Return a Lipschitz constant of a chain of layers, the product of theirs.

    Parameters
    ----------
    module : Sequential, nested or not, or one layer
        Linear, convolutions, BatchNorm and Dropout in evaluation mode, max and mean pooling,
        Flatten and other rearrangements, Identity, ReLU, LeakyReLU, PReLU, Tanh, Sigmoid, GELU,
        SiLU, Mish and the like.
    input_shape : tuple of int, optional
        The shape of one input, without the batch, as (3, 32, 32); needed for convolutions and
        adaptive pooling, whose constants depend on it.

    Returns
    -------
    () tensor
        L with ``|f(x) - f(y)| <= L |x - y|`` in Euclidean norms of one input; differentiable in the
        weights, as norms are.

    Raises
    ------
    TypeError
        For a layer whose constant is not known, by its name. None is skipped.
    ValueError
        For a layer in a mode that has no constant, or an `input_shape` that is missing or does
        not fit.

    Notes
    -----
    The constant of a linear layer is its spectral norm, to rounding, for convolutions that of
    the convolution on inputs of this size. Max pooling has ``sqrt(q)``, where an entry is in at
    most q windows, mean pooling at most ``sqrt(q / entries of a window)``. Products of
    constants are bounds, not least constants [1]_. Rounding in the evaluation of the network
    itself is not accounted for.

    Cost: a spectral norm for each linear layer.

    References
    ----------
    .. [1] A. Virmaux, K. Scaman, Lipschitz regularity of deep neural networks, NeurIPS 2018.

    Examples
    --------
    >>> import torch, normgrad.nn.torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False), torch.nn.Sigmoid())
    >>> net[0].weight = torch.nn.Parameter(torch.tensor([[0.0, 8.0], [1.0, 0.0]]))
    >>> normgrad.nn.torch.lipschitz_bound(net).item()
    2.0
    """
    shape = None if input_shape is None else tuple(input_shape)
    factor, _ = _bound(Layer(module, "the module", shape))
    return factor if isinstance(factor, Tensor) else torch.tensor(factor)


def _bound(layer: Layer) -> Bound:
    kind = parametrize.type_before_parametrizations(layer.module)
    if kind is nn.Sequential:
        factor: Any = 1.0
        for name, child in layer.module.named_children():
            path = name if layer.name == "the module" else f"{layer.name}.{name}"
            here, shape = _bound(Layer(child, path, layer.shape))
            factor, layer = factor * here, layer._replace(shape=shape)
        return factor, layer.shape
    if kind not in CONSTANTS:
        raise TypeError(
            f"the Lipschitz constant of {layer.name}, a {kind.__module__}.{kind.__qualname__}, "
            "is not known. Take the product over the parts before and after it, and a constant of "
            "your own"
        )
    named = layer._replace(name=f"{layer.name}, a {kind.__name__},")
    factor, shape = CONSTANTS[kind](named)
    return factor, shape
