"""The matrix that a convolution layer is, on inputs of one size."""

import functools
import math
import operator
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from normgrad import Convolution1d, Convolution2d, Matrix, Operator
from normgrad.nn.torch.following import Block, Map

__all__ = ["CONVOLUTIONS", "Geometry"]

_PLAIN = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CONVOLUTIONS = (*_PLAIN, *_TRANSPOSED)

_FORTH = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_BACK = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}
_MATRICES = {1: Convolution1d, 2: Convolution2d}


@dataclass(frozen=True)
class Geometry:
    """All of a convolution layer but its weight and bias, and the size of its input."""

    grid: tuple[int, ...]
    weight_shape: tuple[int, ...]
    channels: int
    transposed: bool
    mode: str
    rims: tuple[int, ...]
    """What is added around the input: before, after; of the last axis first, as `F.pad` has it."""
    padding: tuple[int, ...]
    output_padding: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int

    block = Block(6, 1, 1)

    @classmethod
    def of(cls, module: nn.Module, grid: Any) -> Self:
        """Return the geometry of a layer on inputs of a size, (L,), (H, W) or (D, H, W)."""
        m: Any = module
        axes = len(m.kernel_size)
        transposed = isinstance(module, _TRANSPOSED)
        return cls(
            grid=_checked(grid, axes, module),
            weight_shape=tuple(m.weight.shape),
            channels=m.in_channels,
            transposed=transposed,
            mode=m.padding_mode,
            rims=(0,) * (2 * axes) if transposed else tuple(m._reversed_padding_repeated_twice),
            padding=m.padding if transposed else (0,) * axes,
            output_padding=m.output_padding,
            stride=m.stride,
            dilation=m.dilation,
            groups=m.groups,
        )

    def __call__(self, v: Tensor, weight: Tensor) -> Tensor:
        """Return what the layer makes of an input, flattened."""
        return self._convolved(v.reshape(1, self.channels, *self.grid), weight).reshape(-1)

    def _convolved(self, x: Tensor, weight: Tensor) -> Tensor:
        d = len(self.grid)
        if self.transposed:
            return _BACK[d](
                x, weight, None, self.stride, self.padding, self.output_padding,
                self.groups, self.dilation,
            )  # fmt: skip
        if any(self.rims):
            x = functional.pad(x, self.rims, "constant" if self.mode == "zeros" else self.mode)
        return _FORTH[d](x, weight, None, self.stride, 0, self.dilation, self.groups)

    @property
    def output(self) -> tuple[int, ...]:
        """Return (c_out, ...), the shape of what comes out for one input."""
        x = torch.empty((1, self.channels, *self.grid), device="meta")
        return tuple(self._convolved(x, torch.empty(self.weight_shape, device="meta")).shape[1:])

    @property
    def is_same(self) -> bool:
        """Whether `Convolution1d` or `Convolution2d` is this layer's matrix."""
        return (
            not self.transposed
            and len(self.grid) in _MATRICES
            and self.mode in ("zeros", "circular")
            and self.rims == self._same
            and self._is_plain
        )

    @property
    def _same(self) -> tuple[int, ...]:
        """Return the rims with which the output has the size of the input."""
        taps = reversed(self.weight_shape[2:])
        return tuple(rim for k in taps for rim in ((k - 1) // 2, k - 1 - (k - 1) // 2))

    @property
    def _is_plain(self) -> bool:
        return {*self.stride, *self.dilation, self.groups} == {1}

    def matrix(self, weight: Tensor) -> Matrix:
        """Return the matrix, exactly: for a weight, by what the layer does."""
        if self.is_same:
            return _MATRICES[len(self.grid)](weight, self.grid, self.mode)
        return Operator(self, (math.prod(self.output), self.size), (weight,))

    @property
    def size(self) -> int:
        """Return how many entries an input has."""
        return self.channels * math.prod(self.grid)

    @property
    def alike(self) -> int:
        """Return how many singular vectors of one value have the same gradient.

        On a circle the waves ``exp(+-i f p)`` belong to one singular value of a real kernel; where
        there are no others, any two vectors of their span are the same but for a shift.
        """
        return 2 if self.mode == "circular" else 1

    def maps(self, weight: Tensor) -> tuple[Map, Map]:
        """Return products of the matrix and its adjoint with each of some rows."""

        def forth(rows: Tensor) -> Tensor:
            x = rows.reshape(-1, self.channels, *self.grid)
            return self._convolved(x, weight).flatten(1)

        def back(rows: Tensor) -> Tensor:
            # the derivative of a linear map, from the one node of it that is made for so many rows
            x, y = linear(len(rows))
            return torch.autograd.grad(y, x, rows, retain_graph=True)[0]

        @functools.cache
        def linear(count: int) -> tuple[Tensor, Tensor]:
            with torch.enable_grad():
                x = weight.new_zeros((count, self.size)).requires_grad_()
                return x, forth(x)

        return forth, back

    def gradient(self, weight: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        """Return the gradient in the weight of ``Re<u, A v>``."""
        with torch.enable_grad():
            weight = weight.detach().requires_grad_()
            return torch.autograd.grad(self(v, weight), weight, u)

    def enlarged(self) -> Self:
        """Return a larger circular convolution, of which this one is a part.

        With zeros around the input, each output is one of the ``N + k - 1`` along each axis
        which meet the N inputs, or 0. On a circle of that size nothing wraps around, so
        that this is the circular convolution with rows and columns left out (transposed:
        its adjoint), and its norm is not larger. In the limit of N the norms agree.
        """
        if self.mode != "zeros" or not self._is_plain or len(self.grid) not in _MATRICES:
            raise ValueError(
                "padding='circular' bounds a convolution in one or two dimensions with zeros "
                f"around its input, stride 1, dilation 1 and groups 1; got {self}. Leave padding "
                "out to have the norm itself"
            )
        sizes = self.output[1:] if self.transposed else self.grid
        grid = tuple(n + k - 1 for n, k in zip(sizes, self.weight_shape[2:], strict=True))
        return replace(
            self,
            grid=grid,
            channels=self.weight_shape[1],
            transposed=False,
            mode="circular",
            rims=self._same,
            padding=(0,) * len(grid),
            output_padding=(0,) * len(grid),
        )


def _checked(grid: Any, axes: int, module: nn.Module) -> tuple[int, ...]:
    """Return the size of the input as a tuple of positive integers."""
    sizes = grid if isinstance(grid, (tuple, list)) else (grid,)
    try:
        sizes = tuple(map(operator.index, sizes))
    except TypeError:
        sizes = ()
    if len(sizes) != axes or min(sizes) < 1:
        name = ("L", "(H, W)", "(D, H, W)")[axes - 1]
        raise ValueError(
            f"the norm of a {type(module).__name__} depends on the size of its input: give grid = "
            f"{name}, positive integers; got {grid!r}"
        )
    return sizes
