"""Weights whose spectral norm is given: a parametrization with the norm itself, not an estimate."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import normgrad
from normgrad._argument import Argument, norm_rule
from normgrad.calculus import NormRule
from normgrad.engines.torch_norm import known_value, only_reverse
from normgrad.nn.scaling import Mode, check_scaling, scaled
from normgrad.nn.torch.convolutions import CONVOLUTIONS, Geometry
from normgrad.nn.torch.following import follow

__all__ = ["SpectralNorm", "computed", "spectral_norm"]

Module = TypeVar("Module", bound=nn.Module)


class SpectralNorm(nn.Module):
    r"""The map from a weight W to one of spectral norm `bound`, for `torch.nn.utils.parametrize`.

    ``W bound / ||W||`` (mode "normalise"), or ``W min(1, bound / ||W||)`` (mode "cap").

    `spectral_norm` puts it on a layer, and tells about differentiability and cost.

    Parameters
    ----------
    weight : tensor
        The weight that it is for: (m, n), unless `matrix` is given.
    bound : float
    mode : {"normalise", "cap"}
    matrix : callable, optional
        From the weight, of any shape, to the `normgrad.Matrix` whose norm is meant.
    tol : float, optional
        As for `spectral_norm`; only without `matrix`.

    Attributes
    ----------
    columns : (min(m, n), min(m, n, 3)) tensor or None
        The state of `normgrad.track`, a buffer: it is written, in place, by a forward pass in
        training mode. It speeds the norm up and does not change it.

    Examples
    --------
    >>> import torch, normgrad.nn.torch
    >>> W = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    >>> normgrad.nn.torch.SpectralNorm(W, bound=2.0)(W)
    tensor([[1.5000, 0.0000],
            [0.0000, 2.0000]])
    """

    columns: Tensor | None

    def __init__(
        self,
        weight: Tensor,
        *,
        bound: float = 1.0,
        mode: Mode = "normalise",
        matrix: Callable[[Tensor], normgrad.Matrix] | None = None,
        tol: float | None = None,
    ) -> None:
        super().__init__()
        check_scaling(bound, mode)
        self.bound, self.mode, self.matrix, self.tol = float(bound), mode, matrix, tol
        columns = None
        if matrix is None:
            if weight.ndim != 2 or 0 in weight.shape:
                raise ValueError(
                    f"expected a nonempty matrix; got a weight of shape {tuple(weight.shape)}. "
                    "Give `matrix`, which makes a normgrad.Matrix of it"
                )
            with torch.no_grad():
                W = computed(weight)
                k = min(W.shape)
                columns = W.new_zeros((k, min(k, 3)))
                if not W.is_meta:
                    columns = normgrad.track(W, tol=tol)[2]
        elif tol is not None:
            raise ValueError(
                "tol is for matrices that are followed from step to step; the norm of a structured "
                "matrix is computed anew each time, so leave tol out"
            )
        self.register_buffer("columns", columns)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight with its norm as it should be."""
        device = "cpu" if weight.is_meta else weight.device.type
        with torch.autocast(device, enabled=False):
            W = computed(weight)
            norm = self._followed(W) if self.matrix is None else _norm(self.matrix(W))
            return scaled(W, norm, self.bound, self.mode).to(weight.dtype)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the weight itself: one that has the norm already is assigned as it is."""
        return weight

    def extra_repr(self) -> str:
        return f"bound={self.bound:g}, mode={self.mode!r}"

    def _followed(self, W: Tensor) -> Tensor:
        """Return the norm from the vectors of the last time, where nothing is traced."""
        symbolic = torch.compiler.is_compiling() or W.is_meta
        if symbolic or self.columns is None or not only_reverse():
            return _norm(W)
        A, rule = W.detach(), _rule(W.dtype, W.shape)
        with torch.no_grad():
            value, G, columns, tied = follow(A, self.columns, self.tol)
            if self.training:
                self.columns.copy_(columns)
        if tied and W.requires_grad and torch.is_grad_enabled():
            value, G = rule.value_and_gradient(A)
        norm: Tensor = known_value(rule, W, value, G)
        return norm


@functools.cache
def _rule(dtype: torch.dtype, shape: torch.Size) -> NormRule:
    """Return the rule of the spectral norm."""
    return norm_rule(Argument(torch.empty(shape, dtype=dtype), (-2, -1)), 2, "auto")


def _norm(A: Any) -> Tensor:
    norm: Tensor = normgrad.spectral_norm(A)
    return norm


def computed(weight: Tensor) -> Tensor:
    """Return a weight in the precision in which its norm is computed."""
    return weight.float() if weight.dtype in (torch.float16, torch.bfloat16) else weight


def spectral_norm(
    module: Module,
    name: str = "weight",
    *,
    bound: float = 1.0,
    mode: Mode = "normalise",
    grid: Any = None,
    padding: str | None = None,
    tol: float | None = None,
) -> Module:
    r"""Give a layer's weight the spectral norm `bound`, or cap it there; train through it.

    The norm is the one of the linear map that the layer is, to rounding: for a convolution that
    of the convolution on inputs of the size `grid`, not that of the reshaped kernel.

    Parameters
    ----------
    module : Linear, Embedding or a convolution
        Changed in place. Conv1d to Conv3d and ConvTranspose1d to 3d, with any stride, dilation,
        groups and padding mode.
    name : str
        Of the weight.
    bound : float
        Positive.
    mode : {"normalise", "cap"}
        ``W bound / ||W||``, or ``W min(1, bound / ||W||)``.
    grid : int or tuple of int
        For convolutions, and needed there: L, (H, W) or (D, H, W), the size of the input.
    padding : "circular", optional
        For convolutions with zeros around the input: use an upper bound of the norm, that of
        the circular convolution on a grid that is larger by k - 1. It needs no products with
        vectors, but small SVDs by Fourier transform, and is too large by a share of order
        ``1 / grid**2`` at most.
    tol : float, optional
        For Linear and Embedding, the residual ``|A^H u - s v| / s`` that is allowed, as for
        `normgrad.track`. The default is rounding level. With 1e-3 a training step costs less;
        the error of the norm is about ``tol**2 / (1 - s_2 / s_1)``, relative, and that of its
        gradient ``tol / (1 - s_2 / s_1)``. (A residual proves that some singular value is as near;
        that it is the largest is known from three vectors, which see others overtake it, but
        where many lie within `tol` the norm may be too small by about `tol`.)

    Returns
    -------
    module
        The same object.

    Raises
    ------
    TypeError
        For a layer of another type.
    ValueError
        If `grid` is missing or of no meaning, or another argument is; for an Embedding with
        `max_norm` or `sparse`, which write or differentiate the weight in a way of their own.

    Notes
    -----
    Differentiable to second order in the weight, through the norm: with G the gradient of the
    norm, the derivative of ``W / ||W||`` in the direction E is ``(E - W <G, E> / ||W||) / ||W||``.
    Where the largest singular value is multiple, G is the subgradient of least norm. (That it is
    multiple is noticed by the second of three vectors, which converge with the steps; until then
    G is another subgradient.) W = 0 stays 0, with the
    derivative of ``bound W``, so that descent leaves it; at the kink of "cap" the derivative is
    the identity.

    The weight is stored as ``module.parametrizations.weight.original``, the vectors as
    a buffer beside it: state_dict, `copy.deepcopy`, ``.to``, DataParallel and
    `remove_parametrizations` work as always. Only a forward pass in training mode writes the
    buffer; in evaluation mode the same weight gives the same output, bit by bit. Under
    transforms of `torch.func`, forward mode and `torch.compile` the norm is computed afresh and
    the buffer is only read. float16 and bfloat16 are computed in float32, also under autocast, and
    then rounded.

    Cost: for a matrix some products with three vectors, from those of the last time on; if they
    do not suffice, what `normgrad.track` costs. For a convolution `normgrad.Convolution2d` tells;
    those with strides, dilation, groups or other padding take products with the layer.

    References
    ----------
    T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida, Spectral normalization for generative
    adversarial networks, ICLR 2018, which takes one step of power iteration for the norm, and the
    reshaped kernel. H. Sedghi, V. Gupta, P. M. Long, The singular values of
    convolutional layers, ICLR 2019.

    Examples
    --------
    >>> import torch, normgrad.nn.torch
    >>> layer = normgrad.nn.torch.spectral_norm(torch.nn.Linear(20, 10))
    >>> round(torch.linalg.matrix_norm(layer.weight, 2).item(), 5)
    1.0
    >>> conv = torch.nn.Conv2d(3, 4, 3, padding=1)
    >>> conv = normgrad.nn.torch.spectral_norm(conv, grid=(8, 8), mode="cap", bound=0.5)
    >>> A = normgrad.Convolution2d(conv.weight, (8, 8), "zeros")
    >>> round(normgrad.spectral_norm(A).item(), 5)
    0.5
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        kind = type(module).__name__
        raise ValueError(f"the {kind} has no weight {name!r}; its parameters: {_names(module)}")
    if isinstance(weight, nn.UninitializedParameter):
        raise ValueError(
            f"the {type(module).__name__} does not know its shape yet; pass an input through it "
            "first"
        )
    matrix = None
    if isinstance(module, CONVOLUTIONS) and name == "weight":
        geometry = Geometry.of(module, grid)
        if padding not in (None, "circular"):
            raise ValueError(
                f"padding={padding!r} is not known: None takes the norm of the layer with the "
                "padding that it has, 'circular' an upper bound of it"
            )
        matrix = geometry.matrix if padding is None else geometry.enlarged()
    elif isinstance(module, (nn.Linear, nn.Embedding)) and name == "weight":
        if grid is not None or padding is not None:
            raise ValueError(
                f"grid and padding are for convolutions; got a {type(module).__name__}, leave them "
                "out"
            )
        if isinstance(module, nn.Embedding) and (module.sparse or module.max_norm is not None):
            raise ValueError(
                "an Embedding with sparse=True or max_norm differentiates or writes its weight in "
                "a way of its own; make it with sparse=False and max_norm=None"
            )
    else:
        raise TypeError(
            f"which matrix {name!r} of a {type(module).__name__} stands for is not known; known "
            "are the weights of Linear, Embedding and convolutions. For another, register a "
            "SpectralNorm(weight, matrix=...) with torch.nn.utils.parametrize"
        )
    parametrization = SpectralNorm(weight, bound=bound, mode=mode, matrix=matrix, tol=tol)
    parametrization.train(module.training)
    parametrize.register_parametrization(module, name, parametrization)
    return module


def _names(module: nn.Module) -> list[str]:
    return [name for name, _ in module.named_parameters(recurse=False)]
