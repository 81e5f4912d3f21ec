"""A Lipschitz constant of a chain of layers: the product of theirs."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import normgrad
from normgrad.nn.torch.convolutions import CONVOLUTIONS, Geometry
from normgrad.nn.torch.parametrization import computed

__all__ = ["lipschitz_bound"]


class _Layer(NamedTuple):
    """A layer, its name in messages, and the shape of one input, None if it is not known."""

    module: Any
    name: str
    shape: tuple[int, ...] | None

    def known_shape(self, axes: int) -> tuple[int, ...]:
        """Return the shape, which must be (channels, ...) with this number of axes."""
        if self.shape is None or len(self.shape) != axes + 1:
            raise ValueError(
                f"the Lipschitz constant of {self.name} depends on the size of its input: give "
                f"input_shape, without the batch, so that here it has {axes + 1} axes; "
                f"got {self.shape}"
            )
        return self.shape

    def reshaped(self) -> tuple[int, ...] | None:
        """Return the shape of what comes out of a layer without weights."""
        if self.shape is None:
            return None
        return tuple(self.module(torch.empty((1, *self.shape), device="meta")).shape[1:])


_Bound = tuple[Any, tuple[int, ...] | None]


def _linear(layer: _Layer) -> _Bound:
    m, shape = layer.module, layer.shape
    if shape is not None and shape[-1:] != (m.in_features,):
        raise ValueError(
            f"{layer.name} takes {m.in_features} features; got inputs of shape {shape}"
        )
    factor = normgrad.spectral_norm(computed(m.weight))
    return factor, shape and (*shape[:-1], m.out_features)


def _convolution(layer: _Layer) -> _Bound:
    m = layer.module
    channels, *grid = layer.known_shape(len(m.kernel_size))
    if channels != m.in_channels:
        raise ValueError(f"{layer.name} takes {m.in_channels} channels; got shape {layer.shape}")
    geometry = Geometry.of(m, tuple(grid))
    return normgrad.spectral_norm(geometry.smallest(computed(m.weight))), geometry.output


def _batch_norm(layer: _Layer) -> _Bound:
    m = layer.module
    if m.training or m.running_var is None:
        raise ValueError(
            f"{layer.name} divides by the variance of the batch, which is not Lipschitz; call "
            "eval() on a layer with running statistics"
        )
    scale = torch.rsqrt(m.running_var + m.eps)
    return (scale if m.weight is None else scale * m.weight.abs()).amax(), layer.shape


def _dropout(layer: _Layer) -> _Bound:
    if layer.module.training:
        raise ValueError(f"{layer.name} is random in training mode; call eval()")
    return 1.0, layer.shape


def _windows(m: Any, axes: int) -> tuple[int, int]:
    """Return the entries of a window, and in how many windows an entry can be.

    x is in window o as its j-th if ``x = o stride + j dilation``: j is known modulo
    ``stride / gcd(stride, dilation)``.
    """
    sizes = (m.kernel_size, m.stride, getattr(m, "dilation", 1))
    each = zip(*((n,) * axes if isinstance(n, int) else n for n in sizes), strict=True)
    entries = windows = 1
    for k, s, d in each:
        entries *= k
        windows *= math.ceil(k / (s // math.gcd(s, d)))
    return entries, windows


def _max_pool(axes: int) -> Callable[[_Layer], _Bound]:
    # |max of a window - max of another|^2 <= the sum of squares there, and sums count an entry once
    # for each of its windows
    return lambda layer: (math.sqrt(_windows(layer.module, axes)[1]), layer.reshaped())


def _mean_pool(axes: int) -> Callable[[_Layer], _Bound]:
    def bound(layer: _Layer) -> _Bound:
        m = layer.module
        uneven = any(n for n in (m.padding if isinstance(m.padding, tuple) else (m.padding,)))
        if m.ceil_mode or getattr(m, "divisor_override", None) or (
            uneven and not m.count_include_pad
        ):  # fmt: skip
            raise ValueError(
                f"{layer.name} does not divide by the same number everywhere, or not by the size "
                "of its window; use ceil_mode=False, divisor_override=None, count_include_pad=True"
            )
        # ||A||^2 <= ||A||_1 ||A||_inf = (windows / entries) 1
        entries, windows = _windows(m, axes)
        return math.sqrt(windows / entries), layer.reshaped()

    return bound


def _adaptive_mean_pool(axes: int) -> Callable[[_Layer], _Bound]:
    def bound(layer: _Layer) -> _Bound:
        before = layer.known_shape(axes)
        after = layer.reshaped() or ()
        if any(n % k for n, k in zip(before, after, strict=True)):
            raise ValueError(f"{layer.name} takes means of unequal size, of {before} to {after}")
        return math.sqrt(math.prod(after) / math.prod(before)), after

    return bound


def _slope(layer: _Layer) -> _Bound:
    return max(1.0, abs(layer.module.negative_slope)), layer.shape


def _learned_slope(layer: _Layer) -> _Bound:
    return layer.module.weight.abs().amax().clamp(min=1.0), layer.shape


def _gelu(layer: _Layer) -> _Bound:
    # the derivative is largest at sqrt(2), where it is (1 + erf 1) / 2 + exp(-1) / sqrt(pi)
    return {"none": 1.128904145185155, "tanh": 1.128993068658772}[
        layer.module.approximate
    ], layer.shape


def _same(factor: float) -> Callable[[_Layer], _Bound]:
    return lambda layer: (factor, layer.shape)


def _rearranged(layer: _Layer) -> _Bound:
    return 1.0, layer.reshaped()


_TABLE: dict[type[nn.Module], Callable[[_Layer], _Bound]] = {
    nn.Linear: _linear,
    **dict.fromkeys(CONVOLUTIONS, _convolution),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), _batch_norm),
    **dict.fromkeys((nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d), _dropout),
    **dict.fromkeys((nn.AlphaDropout, nn.FeatureAlphaDropout), _dropout),
    **dict.fromkeys((nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle), _rearranged),
    **dict.fromkeys((nn.Identity, nn.ReLU, nn.ReLU6, nn.Tanh, nn.Softplus), _same(1.0)),
    **dict.fromkeys((nn.Hardtanh, nn.Softsign, nn.LogSigmoid, nn.Softshrink), _same(1.0)),
    nn.LeakyReLU: _slope,
    nn.PReLU: _learned_slope,
    nn.Sigmoid: _same(0.25),
    nn.GELU: _gelu,
    nn.SiLU: _same(1.099839320128867),  # the largest derivative, at 2.39935728..
    nn.Mish: _same(1.088498161251728),  # at 1.49057117..
    nn.MaxPool1d: _max_pool(1),
    nn.MaxPool2d: _max_pool(2),
    nn.MaxPool3d: _max_pool(3),
    nn.AvgPool1d: _mean_pool(1),
    nn.AvgPool2d: _mean_pool(2),
    nn.AvgPool3d: _mean_pool(3),
    nn.AdaptiveAvgPool1d: _adaptive_mean_pool(1),
    nn.AdaptiveAvgPool2d: _adaptive_mean_pool(2),
    nn.AdaptiveAvgPool3d: _adaptive_mean_pool(3),
}
"""A layer's constant for Euclidean norms, and the shape of what comes out."""


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
    factor, _ = _bound(_Layer(module, "the module", shape))
    return factor if isinstance(factor, Tensor) else torch.tensor(factor)


def _bound(layer: _Layer) -> _Bound:
    kind = parametrize.type_before_parametrizations(layer.module)
    if kind is nn.Sequential:
        factor: Any = 1.0
        for name, child in layer.module.named_children():
            path = name if layer.name == "the module" else f"{layer.name}.{name}"
            here, shape = _bound(_Layer(child, path, layer.shape))
            factor, layer = factor * here, layer._replace(shape=shape)
        return factor, layer.shape
    if kind not in _TABLE:
        raise TypeError(
            f"the Lipschitz constant of {layer.name}, a {kind.__module__}.{kind.__qualname__}, "
            "is not known. Take the product over the parts before and after it, and a constant of "
            "your own"
        )
    named = layer._replace(name=f"{layer.name}, a {kind.__name__},")
    factor, shape = _TABLE[kind](named)
    return factor, shape
