"""A Lipschitz constant of a chain of layers: the product of theirs."""

import operator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from normgrad.nn.torch.checks import check_initialized, check_module
from normgrad.nn.torch.constants import CONSTANTS, UNKNOWN, Bound, Layer

__all__ = ["lipschitz_bound"]


def lipschitz_bound(module: nn.Module, input_shape: tuple[int, ...] | None = None) -> Tensor:
    r"""Return a Lipschitz constant of a chain of layers, the product of theirs.

    Parameters
    ----------
    module : Sequential, nested or not, or one layer
        Linear, convolutions, BatchNorm and Dropout in evaluation mode, max and mean pooling,
        Flatten and other rearrangements, padding with constants, Identity, ReLU, LeakyReLU, PReLU,
        ELU, Tanh, Sigmoid, Softmax, GELU, SiLU, Mish, Hardswish and the like.
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
        For a layer in a mode that has no constant, one with hooks on its forward pass or whose
        `forward` is not that of its class, one without a shape yet, sizes that do not fit, or an
        `input_shape` that is missing or of no meaning.

    Notes
    -----
    The constant of a linear layer is its spectral norm, to rounding, for convolutions that of
    the convolution on inputs of this size. Max pooling has ``sqrt(q)``, where an entry is in at
    most q windows, mean pooling at most ``sqrt(q / entries of a window)``. Products of
    constants are bounds, not least constants [1]_. Rounding in the evaluation of the network
    itself is not accounted for, nor is what Softplus loses at its threshold, if that is less than
    rounding of float32. float16 and bfloat16 are computed in float32.

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
    check_module(module)
    shape = UNKNOWN if input_shape is None else _checked(input_shape)
    factor, _ = _bound(Layer(module, "", shape))
    return factor if isinstance(factor, Tensor) else torch.tensor(factor)


def _checked(input_shape: Any) -> tuple[int, ...]:
    """Return the shape as a tuple of positive integers."""
    try:
        shape = tuple(map(operator.index, input_shape))
    except TypeError:
        shape = (0,)
    if min(shape, default=1) < 1:
        raise ValueError(
            "input_shape is that of one input, without the batch: a tuple of positive integers, "
            f"as (3, 32, 32) or (10,); got {input_shape!r}"
        )
    return shape


def _bound(layer: Layer) -> Bound:
    m, path = layer.module, layer.name
    kind: Any = parametrize.type_before_parametrizations(m)
    prefix = f"{path}." if path else ""
    named = f"{path or 'the module'}, a {kind.__name__},"
    for name, parameter in m._parameters.items():
        check_initialized(prefix + name, parameter)
    if m._forward_hooks or m._forward_pre_hooks or "forward" in vars(m):
        raise ValueError(
            f"{named} has hooks on its forward pass, or a forward that is not that of its class, "
            "which may change its input, weight or output: a constant of the layer is none of what "
            "it does. Take them off; for weight_norm and spectral_norm use those of "
            "torch.nn.utils.parametrizations, which have no hooks"
        )
    if kind.forward is nn.Sequential.forward:
        factor: Any = 1.0
        for name, child in m._modules.items():  # (a layer counts as often as it is there)
            here, shape = _bound(Layer(child, prefix + name, layer.shape))
            factor, layer = factor * here, layer._replace(shape=shape)
        return factor, layer.shape
    if kind not in CONSTANTS:
        raise TypeError(
            f"the Lipschitz constant of {path or 'the module'}, a "
            f"{kind.__module__}.{kind.__qualname__}, is not known. Take the product over the parts "
            "before and after it, and a constant of your own"
        )
    return CONSTANTS[kind](layer._replace(name=named))
