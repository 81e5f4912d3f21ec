"""Convolutions: matrices known by a kernel, which acts alike at each point of a grid.

With the axes of the grid as one, the taps t = 0, .., k - 1 and ``before = (k - 1) // 2``,

    (A x)_{o, p} = sum_{i, t} K_{o, i, t} x_{i, p + t - before},

where x outside of the grid is zero, or goes on periodically.
"""

import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, final

import numpy as np

from normgrad.arithmetic import (
    Array,
    adjoint,
    around,
    conj,
    correlation,
    device,
    in_order,
    is_complex,
    is_single,
    namespace,
    windows,
)
from normgrad.matrices.blocks import BlockMatrix
from normgrad.matrices.checks import as_array, check_axes, like_parameter

__all__ = ["Convolution", "Convolution1d", "Convolution2d"]

_PADDINGS = ("circular", "zeros")


class Convolution(BlockMatrix):
    """A convolution on a grid of any dimension; `static` is the grid and the padding."""

    names: ClassVar = ("kernel",)
    axes: ClassVar[tuple[str, ...]]
    """By which the axes of the taps go."""

    kernel: Array
    static: tuple[tuple[int, ...], str]

    def __init__(self, kernel: Any, grid: Any, padding: str = "circular") -> None:
        kernel = as_array(kernel, "the kernel")
        axes = ("c_out", "c_in", *self.axes)
        check_axes(kernel, len(axes), f"the kernel (..., {', '.join(axes)})")
        taps = tuple(kernel.shape[kernel.ndim - len(self.axes) :])
        if 0 in taps:
            raise ValueError(f"the kernel must have at least one tap; got {_by(taps)} of them")
        if padding not in _PADDINGS:
            raise ValueError(
                f"padding={padding!r} is not known; valid: 'circular', 'zeros'. The output has the "
                "size of the input, as with PyTorch's padding='same'"
            )
        self.set((kernel,), (self._checked(grid), padding))

    def _checked(self, grid: Any) -> tuple[int, ...]:
        sizes = grid if isinstance(grid, Sequence) else (grid,)
        try:
            sizes = tuple(map(operator.index, sizes))
        except TypeError:
            sizes = ()
        if len(sizes) != len(self.axes) or min(sizes) < 1:
            raise ValueError(
                f"the grid of a {type(self).__name__} is given by {len(self.axes)} positive "
                f"integer(s), the size of what is convolved without its channels; got {grid!r}"
            )
        return sizes

    # --- its geometry ---

    @property
    def grid(self) -> tuple[int, ...]:
        """Return the size of the grid."""
        return self.static[0]

    @property
    def padding(self) -> str:
        """Return "circular" or "zeros"."""
        return self.static[1]

    @property
    def taps(self) -> tuple[int, ...]:
        """Return how many taps the kernel has in each direction."""
        return tuple(self.parameters[0].shape[-len(self.grid) :])

    @property
    def channels(self) -> tuple[int, int]:
        """Return (c_out, c_in)."""
        c_out, c_in = self.parameters[0].shape[-len(self.grid) - 2 :][:2]
        return c_out, c_in

    @property
    def shape(self) -> tuple[int, ...]:
        batch = self.parameters[0].shape[: -len(self.grid) - 2]
        m, n = (c * math.prod(self.grid) for c in self.channels)
        return (*batch, m, n)

    @property
    def ranks(self) -> tuple[int, ...]:
        return (2 + len(self.axes),)

    # --- products ---

    def matmat(self, V: Array) -> Array:
        return correlation(self._on_grid(V), self.parameters[0], self._rims, self._is_periodic)

    def rmatmat(self, U: Array) -> Array:
        # the shifts go back: the last tap is first
        xp, kernel, d = namespace(U), self.parameters[0], len(self.grid)
        kernel = xp.flip(xp.moveaxis(conj(kernel), -d - 2, -d - 1), axis=tuple(range(-d, 0)))
        rims = tuple((after, before) for before, after in self._rims)
        return correlation(self._on_grid(U), kernel, rims, self._is_periodic)

    def _on_grid(self, V: Array) -> Array:
        """Return V as (..., c, *sizes, k)."""
        return namespace(V).reshape(V, (*V.shape[:-2], -1, *self.grid, V.shape[-1]))

    @property
    def _rims(self) -> tuple[tuple[int, int], ...]:
        """Return how far the taps see beyond the grid, before and after."""
        return tuple(((k - 1) // 2, k - 1 - (k - 1) // 2) for k in self.taps)

    @property
    def _is_periodic(self) -> bool:
        return self.padding == "circular"

    def pull(self, left: Array, right: Array) -> tuple[Array, ...]:
        # dK_t = sum_p left_p right_{p + t - before}^H
        kernel, xp = self.parameters[0], namespace(left)
        c_out, c_in = self.channels
        U = xp.reshape(left, (*left.shape[:-2], c_out, -1))
        x = around(self._on_grid(right), self._rims, self._is_periodic)
        parts = [U @ adjoint(seen) for _, seen in windows(x, self.taps)]
        parts = [xp.reshape(part, (*part.shape[:-1], c_in, -1)) for part in parts]
        G = parts[0] if len(parts) == 1 else xp.concat(parts, axis=-1)
        return (like_parameter(xp.reshape(G, (*G.shape[:-1], *self.taps)), kernel),)

    def pull_itself(self) -> tuple[Array, ...]:
        # <A, A> has a term for each two taps that meet in an entry, as often as they do
        kernel = self.parameters[0]
        for axis, (size, taps) in enumerate(
            zip(self.grid, self.taps, strict=True), start=-len(self.grid)
        ):
            t = np.arange(taps)
            if self.padding == "circular":
                meet = size * ((t[:, None] - t) % size == 0)
            else:
                meet = np.diag(np.maximum(size - np.abs(t - (taps - 1) // 2), 0))
            kernel = _along(kernel, meet, axis)
        return (kernel,)

    # --- along axes with one tap: the same at each point ---

    @property
    def _sizes(self) -> tuple[int, ...]:
        """Return the grid, shrunk to a point along axes with one tap."""
        return tuple(1 if k == 1 else n for n, k in zip(self.grid, self.taps, strict=True))

    def without_copies(self) -> tuple["Convolution", int]:
        return (
            self.build(self.parameters, (self._sizes, self.padding)),
            math.prod(self.grid) // math.prod(self._sizes),
        )

    # --- periodic: block diagonal in the basis of waves ---

    @property
    def block_shapes(self) -> list[tuple[int, int, int]]:
        if self.padding != "circular" and math.prod(self.taps) > 1:
            return []
        p, q = self.channels
        points = math.prod(self._sizes[:-1])
        return [(points * len(part), p, q) for part in self._frequencies()]

    @property
    def copies(self) -> tuple[int, ...]:
        copies = self.without_copies()[1]
        return (copies, 2 * copies)[: len(self._frequencies())]

    def _frequencies(self) -> list[range]:
        """Return those of the last axis, grouped; in the second group, f stands for -f too.

        (A real kernel has ``B_-f = conj(B_f)``.)
        """
        size = self._sizes[-1]
        if is_complex(self.parameters[0]) or size <= 2:
            return [range(size)]
        alone = range(0, size, size // 2) if size % 2 == 0 else range(1)
        return [alone, range(1, (size + 1) // 2)]

    def _waves(self) -> Iterator[tuple[int, Any]]:
        """Yield axes, and for each ``exp(2 pi i f (t - before) / size)``, (taps, frequencies)."""
        frequencies = [np.arange(size) for size in self._sizes]
        frequencies[-1] = np.concatenate([np.asarray(part) for part in self._frequencies()])
        for axis, f in enumerate(frequencies, start=-len(self.grid)):
            if self.taps[axis] > 1:
                t = np.arange(self.taps[axis]) - (self.taps[axis] - 1) // 2
                size = self.grid[axis]
                yield axis, np.exp(2j * np.pi / size * (t[:, None] * f % size))

    def blocks(self) -> list[Array]:
        # B_f = sum_t K_t exp(2 pi i f (t - before) / size)
        B, d = self.parameters[0], len(self.grid)
        xp = namespace(B)
        for axis, waves in self._waves():
            B = _along(B, waves, axis)
        groups, start = [], 0
        for count, p, q in self.block_shapes:
            width = count // math.prod(self._sizes[:-1])
            part = xp.reshape(B[..., start : start + width], (*B.shape[: -d - 2], p, q, count))
            groups.append(in_order(xp.moveaxis(part, -1, -3)))
            start += width
        return groups

    def pull_blocks(self, blocks: list[Array]) -> tuple[Array, ...]:
        points, parts = self._sizes[:-1], []
        xp = namespace(blocks[0])
        for B, copies in zip(blocks, self.copies, strict=True):
            part = xp.moveaxis(copies * B, -3, -1)
            parts.append(xp.reshape(part, (*part.shape[:-1], *points, -1)))
        G = parts[0] if len(parts) == 1 else xp.concat(parts, axis=-1)
        for axis, waves in self._waves():
            G = _along(G, waves.conj().T, axis)
        return (like_parameter(G, self.parameters[0]),)


@final
class Convolution2d(Convolution):
    r"""The matrix of a convolution layer on images, ``conv2d`` of PyTorch with stride 1.

    Parameters
    ----------
    kernel : (..., c_out, c_in, kh, kw) array
        Real or complex, of any size, also larger than the grid. As in deep learning,
        "convolution" means cross-correlation.
    grid : (int, int)
        (H, W), the size of the images.
    padding : {"circular", "zeros"}
        How an image goes on outside of the grid. The result has the size of the image, as with
        ``torch.nn.Conv2d(..., padding="same", padding_mode="circular" or "zeros")``: of the
        k - 1 rows that are added, (k - 1) // 2 come before.

    Raises
    ------
    ValueError
        If the kernel has fewer axes or no taps, or grid or padding are none of these.

    Notes
    -----
    A has the shape (c_out H W, c_in H W), channels first. Its spectral norm is *not* that of the
    kernel reshaped to c_out x (c_in kh kw), which, for a kernel that fits in the grid, is too small
    by a factor between 1 and ``sqrt(kh kw)`` [2]_.

    Circular: in the basis of Fourier, A has H W blocks of c_out x c_in on its diagonal
    [1]_, of which a real kernel needs half. A norm costs their SVDs; the spectral and Ky Fan
    norms need only the vectors of those blocks that hold the leading singular values.

    Along an axis with one tap A is the same at each point, so that one point will do, of
    singular values with as many copies as there are.

    Zeros: the spectral and Ky Fan norms take products with A, of ``c_out c_in kh kw H W``
    operations each; the Frobenius norm takes one pass over the kernel; the other norms, and all
    second derivatives but that of the Frobenius norm, need the array A, which is limited to
    2**25 entries.

    References
    ----------
    .. [1] H. Sedghi, V. Gupta, P. M. Long, The singular values of convolutional layers,
       ICLR 2019.
    .. [2] Y. Tsuzuku, I. Sato, M. Sugiyama, Lipschitz-margin training, NeurIPS 2018.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> A = normgrad.Convolution2d(np.ones((1, 1, 3, 3)), grid=(8, 8))
    >>> A.shape, round(float(normgrad.matrix_norm(A, 2)), 12)
    ((64, 64), 9.0)
    """

    axes: ClassVar = ("kh", "kw")


@final
class Convolution1d(Convolution):
    r"""The matrix of a convolution layer on sequences, ``conv1d`` of PyTorch with stride 1.

    Parameters
    ----------
    kernel : (..., c_out, c_in, k) array
    grid : int
        L, the length of the sequences.
    padding : {"circular", "zeros"}

    See Also
    --------
    Convolution2d : the same in two dimensions, with notes on accuracy and cost.

    Examples
    --------
    >>> import numpy as np, normgrad
    >>> A = normgrad.Convolution1d(np.array([[[1.0, 2.0, 0.0]]]), grid=3, padding="zeros")
    >>> A.dense().tolist()
    [[2.0, 0.0, 0.0], [1.0, 2.0, 0.0], [0.0, 1.0, 2.0]]
    """

    axes: ClassVar = ("k",)


def _along(x: Array, M: Any, axis: int) -> Array:
    """Return x with one axis multiplied by a matrix of NumPy, (old, new)."""
    xp = namespace(x)
    if np.iscomplexobj(M):
        M, dtype = (M.astype(np.complex64), xp.complex64) if is_single(x) else (M, xp.complex128)
        x = x if is_complex(x) else xp.astype(x, dtype)
    matrix = xp.astype(xp.asarray(M, device=device(x)), x.dtype)
    return xp.moveaxis(xp.moveaxis(x, axis, -1) @ matrix, -1, axis)


def _by(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes))
