"""The matrix that a convolution layer is, on inputs of one size."""

import functools
import math
import operator
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from normgrad import BlockDiagonal, Convolution1d, Convolution2d, Matrix, Operator

__all__ = ["CONVOLUTIONS", "TRANSPOSED", "Enlarged", "Geometry"]

_PLAIN = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CONVOLUTIONS = (*_PLAIN, *TRANSPOSED)

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

    @classmethod
    def of(cls, module: nn.Module, grid: Any) -> Self:
        """Return the geometry of a layer on inputs of a size, (L,), (H, W) or (D, H, W)."""
        m: Any = module
        axes = len(m.kernel_size)
        transposed = isinstance(module, TRANSPOSED)
        of = cls(
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
        try:
            of.output  # noqa: B018
        except RuntimeError as error:
            raise ValueError(
                f"grid = {of.grid} is not a size of inputs that a {module} takes: {error}"
            ) from error
        return of

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
        taps = self.weight_shape[2:]
        rims = [rim for k in reversed(taps) for rim in ((k - 1) // 2, k - 1 - (k - 1) // 2)]
        return (
            not self.transposed
            and len(taps) in _MATRICES
            and self.mode in ("zeros", "circular")
            and list(self.rims) == rims
            and self._is_plain
        )

    @property
    def _is_plain(self) -> bool:
        return {*self.stride, *self.dilation, self.groups} == {1}

    def matrix(self, weight: Tensor) -> Matrix:
        """Return the matrix, exactly: for a weight, by what the layer does."""
        if self.is_same:
            return _MATRICES[len(self.grid)](weight, self.grid, self.mode)
        shape = math.prod(self.output), self.channels * math.prod(self.grid)
        return Operator(self, shape, (weight,))

    def smallest(self, weight: Tensor) -> Tensor | Matrix:
        """Return a matrix of the same spectral norm, without copies of singular values.

        Along axes where windows do not overlap, the layer does the same in each; those that reach
        over the rim are parts of one that does not.
        """
        if not all(self._alone):
            return self._reduced.matrix(weight)
        if self.groups == 1:
            return weight.flatten(1)
        return BlockDiagonal(weight.reshape(self.groups, -1, math.prod(weight.shape[1:])))

    @functools.cached_property
    def _alone(self) -> list[bool]:
        return [self._is_alone(axis) for axis in range(len(self.grid))]

    @functools.cached_property
    def _reduced(self) -> "Geometry":
        """Return the layer with one window along axes where they do not overlap."""
        of = self
        for axis, alone in enumerate(self._alone):
            of = of._with_one_window(axis) if alone else of
        return of

    def _is_alone(self, axis: int) -> bool:
        """Whether windows along an axis do not overlap, and one of them is without a rim."""
        extent, stride, before, after = self._window(axis)
        size = self.output[axis + 1] if self.transposed else self.grid[axis]
        if extent > stride or (self.mode != "zeros" and before + after > 0):
            return False
        first = -(-before // stride)  # of the windows without a rim
        if self.transposed and first >= self.grid[axis]:
            return False
        return first * stride - before + extent <= size

    def _window(self, axis: int) -> tuple[int, int, int, int]:
        """Return how far a window reaches, the stride, and the rims on both sides."""
        extent = self.dilation[axis] * (self.weight_shape[axis + 2] - 1) + 1
        if self.transposed:
            rims = self.padding[axis], self.padding[axis]
        else:
            first = 2 * (len(self.grid) - 1 - axis)
            rims = self.rims[first], self.rims[first + 1]
        return extent, self.stride[axis], *rims

    def _with_one_window(self, axis: int) -> "Geometry":
        """Return the layer with one window along an axis."""

        def at(values: tuple[int, ...], new: int) -> tuple[int, ...]:
            return (*values[:axis], new, *values[axis + 1 :])

        rims, first = list(self.rims), 2 * (len(self.grid) - 1 - axis)
        rims[first : first + 2] = 0, 0
        return replace(
            self,
            grid=at(self.grid, 1 if self.transposed else self._window(axis)[0]),
            rims=tuple(rims),
            padding=at(self.padding, 0),
            output_padding=at(self.output_padding, 0),
            stride=at(self.stride, 1),
        )

    def enlarged(self) -> "Enlarged":
        """Return a larger circular convolution, of which this one is a part.

        With zeros around the input, each output is one of the ``N + k - 1`` along each axis
        which meet the N inputs, or 0. On a circle of that size nothing wraps around, so
        that this is the circular convolution with rows and columns left out (transposed:
        its adjoint), and its norm is not larger. In the limit of N the norms agree.
        """
        if self.mode != "zeros" or not self._is_plain or len(self.grid) not in _MATRICES:
            raise ValueError(
                "padding='circular' bounds a convolution in one or two dimensions with zeros "
                "around its input, stride 1, dilation 1 and groups 1; got "
                f"{len(self.grid)} dimensions, padding mode {self.mode!r}, stride {self.stride}, "
                f"dilation {self.dilation}, groups {self.groups}. Leave padding out to have the "
                "norm itself"
            )
        sizes = self.output[1:] if self.transposed else self.grid
        taps = self.weight_shape[2:]
        return Enlarged(tuple(n + k - 1 for n, k in zip(sizes, taps, strict=True)))


@dataclass(frozen=True)
class Enlarged:
    """A weight to the matrix of the circular convolution on this grid."""

    grid: tuple[int, ...]

    def __call__(self, weight: Tensor) -> Matrix:
        return _MATRICES[len(self.grid)](weight, self.grid, "circular")


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
