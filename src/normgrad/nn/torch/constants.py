"""Lipschitz constants of layers, and the shapes of what comes out of them."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

import normgrad
from normgrad.nn.torch.convolutions import CONVOLUTIONS, Geometry
from normgrad.nn.torch.parametrization import computed

__all__ = ["CONSTANTS", "UNKNOWN", "Bound", "Layer", "Shape"]


Shape = tuple[Any, ...]
"""Of one input, without the batch; `...` stands for what is not known."""

UNKNOWN: Shape = (..., ...)
"""Any axes, and a last one of any size."""


class Layer(NamedTuple):
    """A layer, its name in messages, and the shape of one input."""

    module: Any
    name: str
    shape: Shape

    @property
    def known(self) -> tuple[int, ...] | None:
        """Return the shape, or None if it is not known."""
        return None if ... in self.shape else self.shape

    def known_shape(self, axes: int) -> tuple[int, ...]:
        """Return the shape, which must be (channels, ...) with this number of axes."""
        if self.known is None or len(self.known) != axes + 1:
            raise ValueError(
                f"the Lipschitz constant of {self.name} depends on the size of its input: give "
                f"input_shape, without the batch, so that here it has {axes + 1} axes; "
                f"got {self.known}"
            )
        return self.known

    def reshaped(self) -> Shape:
        """Return the shape of what comes out of a layer without weights."""
        if self.known is None:
            return UNKNOWN
        try:
            return tuple(self.module(torch.empty((1, *self.known), device="meta")).shape[1:])
        except (RuntimeError, ValueError, IndexError) as error:
            raise ValueError(
                f"{self.name} does not take inputs of shape {self.known}: {error}"
            ) from error


Bound = tuple[Any, Shape]


def _linear(layer: Layer) -> Bound:
    m, shape = layer.module, layer.shape
    if shape[-1:] not in ((m.in_features,), (...,)):
        got = str(shape).replace("Ellipsis", "...")
        raise ValueError(f"{layer.name} takes {m.in_features} features; got inputs of shape {got}")
    return normgrad.spectral_norm(computed(m.weight)), (*shape[:-1], m.out_features)


def _convolution(layer: Layer) -> Bound:
    m = layer.module
    channels, *grid = layer.known_shape(len(m.kernel_size))
    if channels != m.in_channels:
        raise ValueError(f"{layer.name} takes {m.in_channels} channels; got shape {layer.shape}")
    geometry = Geometry.of(m, tuple(grid))
    return normgrad.spectral_norm(geometry.smallest(computed(m.weight))), geometry.output


def _batch_norm(layer: Layer) -> Bound:
    m = layer.module
    if m.training or m.running_var is None:
        raise ValueError(
            f"{layer.name} divides by the variance of the batch, which is not Lipschitz; call "
            "eval() on a layer with running statistics"
        )
    scale = torch.rsqrt(computed(m.running_var) + m.eps)
    return (scale if m.weight is None else scale * m.weight.abs()).amax(), layer.shape


def _dropout(layer: Layer) -> Bound:
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


def _max_pool(axes: int) -> Callable[[Layer], Bound]:
    # |max of a window - max of another|^2 <= the sum of squares there, and sums count an entry once
    # for each of its windows
    def bound(layer: Layer) -> Bound:
        if layer.module.return_indices:
            raise ValueError(f"{layer.name} returns indices, too; use return_indices=False")
        return math.sqrt(_windows(layer.module, axes)[1]), layer.reshaped()

    return bound


def _mean_pool(axes: int) -> Callable[[Layer], Bound]:
    def bound(layer: Layer) -> Bound:
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


def _adaptive_mean_pool(axes: int) -> Callable[[Layer], Bound]:
    def bound(layer: Layer) -> Bound:
        before = layer.known_shape(axes)
        after = layer.reshaped()
        if any(n % k for n, k in zip(before, after, strict=True)):
            raise ValueError(f"{layer.name} takes means of unequal size, of {before} to {after}")
        return math.sqrt(math.prod(after) / math.prod(before)), after

    return bound


def _slope(layer: Layer) -> Bound:
    return max(1.0, abs(layer.module.negative_slope)), layer.shape


def _learned_slope(layer: Layer) -> Bound:
    return computed(layer.module.weight).abs().amax().clamp(min=1.0), layer.shape


def _gelu(layer: Layer) -> Bound:
    # the derivative is largest at sqrt(2), where it is (1 + erf 1) / 2 + exp(-1) / sqrt(pi)
    return {"none": 1.128904145185155, "tanh": 1.128993068658772}[
        layer.module.approximate
    ], layer.shape


def _elu(layer: Layer) -> Bound:
    return max(1.0, abs(layer.module.alpha)), layer.shape  # alpha exp(x) for x < 0


def _celu(layer: Layer) -> Bound:
    if layer.module.alpha <= 0:
        raise ValueError(f"{layer.name} with alpha <= 0 has no constant: it grows exponentially")
    return 1.0, layer.shape  # exp(x / alpha) for x < 0


def _softplus(layer: Layer) -> Bound:
    # where beta x > threshold it is x, less by log(1 + exp(-threshold)) / beta than before
    cut = layer.module.threshold
    rounding = torch.finfo(torch.float32).eps / 2
    if not layer.module.beta or cut <= 0 or math.log1p(math.exp(-cut)) > rounding * cut:
        raise ValueError(
            f"{layer.name} with beta={layer.module.beta}, threshold={cut} has no constant: it "
            "jumps where beta x = threshold, by more than rounding. Leave the threshold at 20"
        )
    return 1.0, layer.shape


def _softmax(layer: Layer) -> Bound:
    # diag(p) - p p^T has at most the norm 1/2, for p = (1/2, 1/2, 0, ..., 0)
    dim = layer.module.dim
    if dim in (None, 0) or (layer.known is not None and dim == -1 - len(layer.known)):
        raise ValueError(
            f"{layer.name} with dim={dim} may have its sums over a batch; give the axis of the "
            "entries, counted from the end: dim=-1"
        )
    return 0.5, layer.shape


def _same(factor: float) -> Callable[[Layer], Bound]:
    return lambda layer: (factor, layer.shape)


def _rearranged(layer: Layer) -> Bound:
    return 1.0, layer.reshaped()


CONSTANTS: dict[type[nn.Module], Callable[[Layer], Bound]] = {
    nn.Linear: _linear,
    **dict.fromkeys(CONVOLUTIONS, _convolution),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), _batch_norm),
    **dict.fromkeys((nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d), _dropout),
    **dict.fromkeys((nn.AlphaDropout, nn.FeatureAlphaDropout), _dropout),
    **dict.fromkeys((nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle), _rearranged),
    **dict.fromkeys((nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d), _rearranged),
    **dict.fromkeys((nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d), _rearranged),
    **dict.fromkeys((nn.Identity, nn.ReLU, nn.ReLU6, nn.Tanh, nn.Tanhshrink), _same(1.0)),
    **dict.fromkeys((nn.Hardtanh, nn.Softsign, nn.LogSigmoid, nn.Softshrink), _same(1.0)),
    **dict.fromkeys((nn.Softmax, nn.Softmin), _softmax),
    nn.Softmax2d: _same(0.5),
    nn.Softplus: _softplus,
    nn.LeakyReLU: _slope,
    nn.PReLU: _learned_slope,
    nn.ELU: _elu,
    nn.CELU: _celu,
    nn.SELU: _same(1.7580993408473766),  # alpha scale, the slope below 0
    nn.Sigmoid: _same(1 / 4),
    nn.Hardsigmoid: _same(1 / 6),
    nn.Hardswish: _same(1.5),  # below 3
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
