"""Weights whose spectral norm is given: a parametrization with the norm itself, not an estimate."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from numpy.linalg import LinAlgError
from torch import Tensor, nn
from torch.nn.utils import parametrize

import normgrad
from normgrad._track import check_tolerance
from normgrad.arithmetic import gaussian, is_recorded
from normgrad.engines.torch_derivative import in_full_precision, only_reverse
from normgrad.nn.scaling import Mode, check_scaling, scaled
from normgrad.nn.torch.checks import check_initialized, check_module
from normgrad.nn.torch.convolutions import CONVOLUTIONS, Geometry
from normgrad.nn.torch.division import divided
from normgrad.nn.torch.following import Products, Triplet, computed_triplet, follow, start

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
        From the weight, of any shape, to the matrix whose norm is meant, a tensor or a
        `normgrad.Matrix`: linear, as the weight is divided by that norm.
    tol : float, optional
        As for `spectral_norm`.

    Attributes
    ----------
    vectors : (22, n) tensor or None
        Approximate singular vectors as rows, n the smaller side of the matrix, if that is followed:
        a buffer, written, in place, by a forward pass in training mode. It speeds the norm up.

    Examples
    --------
    >>> import torch, normgrad.nn.torch
    >>> W = torch.tensor([[3.0, 0.0], [0.0, 4.0]])
    >>> normgrad.nn.torch.SpectralNorm(W, bound=2.0)(W)
    tensor([[1.5000, 0.0000],
            [0.0000, 2.0000]])
    """

    vectors: Tensor | None

    def __init__(
        self,
        weight: Tensor,
        *,
        bound: float = 1.0,
        mode: Mode = "normalise",
        matrix: Callable[[Tensor], Tensor | normgrad.Matrix] | None = None,
        tol: float | None = None,
    ) -> None:
        super().__init__()
        check_scaling(bound, mode)
        check_tolerance(tol)
        self.bound, self.mode, self.matrix, self.tol = float(bound), mode, matrix, tol
        if matrix is None and (weight.ndim != 2 or 0 in weight.shape):
            raise ValueError(
                f"expected a nonempty matrix; got a weight of shape {tuple(weight.shape)}. "
                "Give `matrix`, which makes a matrix of it"
            )
        with torch.no_grad():
            A = self._matrix(computed(weight))
            if isinstance(A, Tensor) and A.ndim != 2:
                raise ValueError(f"matrix must return one matrix; got shape {tuple(A.shape)}")
            self._is_array = isinstance(A, Tensor)
            is_followed = self._is_array or self._has_products_alone(computed(weight))
            vectors = start(Products.of(A)) if is_followed else None
            if vectors is not None and not vectors.is_meta:
                vectors = follow(Products.of(A), vectors, 0.0 if self._is_array else tol)[1]
        if tol is not None and not is_followed:
            raise ValueError(
                "tol is for matrices that are followed from step to step; the norm of this "
                "one is computed anew each time, so leave tol out"
            )
        # (those of a convolution are as large as inputs, and depend on their size)
        self.register_buffer("vectors", vectors, persistent=self._is_array)
        self._is_loaded = False
        self.register_load_state_dict_post_hook(_loaded)  # type: ignore[no-untyped-call]

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight with its norm as it should be."""
        if weight.is_meta:
            return weight * self.bound
        if not self._is_array and is_recorded(weight):
            if torch.compiler.is_compiling() and not torch.compiler.is_exporting():
                return _uncompiled(self, weight)
            raise NotImplementedError(
                "the norm of this weight cannot go into an exported or traced graph; before, call "
                "torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight')"
            )
        scaled_weight: Tensor = in_full_precision(self._scaled, computed(weight))
        return scaled_weight.to(weight.dtype)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the weight itself: one that has the norm already is assigned as it is."""
        return weight

    def extra_repr(self) -> str:
        return f"bound={self.bound:g}, mode={self.mode!r}"

    def _scaled(self, W: Tensor) -> Tensor:
        """Return the weight scaled, by a triplet of its own, where nothing is traced."""
        if is_recorded(W) or not only_reverse():
            return self._afresh(W)
        with torch.no_grad():
            triplet = self._triplet(W.detach())
        if triplet is None or not triplet.certain:
            try:
                return self._afresh(W)
            except LinAlgError as error:
                if triplet is None:
                    raise LinAlgError(
                        f"{error}. padding='circular', for a convolution with zeros around the "
                        "input, is an upper bound that is always had; with a larger tol vectors "
                        "may be accepted"
                    ) from error
        if self.mode == "cap" and triplet.s <= self.bound:
            return W.clone()
        return divided(W, triplet, self.bound, self._matrix, self._afresh)

    def _has_products_alone(self, W: Tensor) -> bool:
        """Whether the norm of a structured matrix is had by products, unless it is special."""
        A = self._matrix(W if W.is_meta else gaussian(tuple(W.shape), W))
        return normgrad.explain(A, 2).factorization == "lanczos"

    def _matrix(self, W: Tensor) -> Tensor | normgrad.Matrix:
        return W if self.matrix is None else self.matrix(W)

    def _triplet(self, W: Tensor) -> Triplet | None:
        A = self._matrix(W)
        if self.vectors is None:
            return computed_triplet(A) if isinstance(A, Tensor) else None
        of = Products.of(A)
        if self._is_loaded:  # another weight, and not its vectors
            self.vectors.copy_(follow(of, self.vectors.to(W.dtype), self.tol)[1])
            self._is_loaded = False
        triplet, vectors = follow(of, self.vectors.to(W.dtype), self.tol)
        if self.training:
            self.vectors.copy_(vectors)
        return triplet

    def _afresh(self, W: Tensor) -> Tensor:
        norm: Any = normgrad.spectral_norm(self._matrix(W))
        return scaled(W, norm, self.bound, self.mode)


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _uncompiled(parametrization: SpectralNorm, weight: Tensor) -> Tensor:
    """Return the same outside of the graph, which does not take matrix types."""
    return parametrization.forward(weight)


def _loaded(module: SpectralNorm, _: Any) -> None:
    module._is_loaded = "vectors" in module._non_persistent_buffers_set


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
    grid : tuple of int, or an int for one dimension
        For convolutions, and needed there: L, (H, W) or (D, H, W), the size of the input.
    padding : "circular", optional
        For convolutions with zeros around the input: use an upper bound of the norm, that of
        the circular convolution on a grid that is larger by k - 1. It needs no products with
        vectors, but small eigenvalue problems by Fourier transform, and is too large by a share
        of order ``1 / grid**2`` at most.
    tol : float, optional
        For what is followed from step to step (see below): the relative error of the norm that is
        allowed; by default 32 eps, 4e-6 in float32. It is estimated, as
        ``r**2 / (2 (1 - (s_k / s_1)**2))``, by the residual ``r = |A^H u - s v| / s`` and the
        least of the k = 22 singular values that are followed: where singular values crowd, r has
        to be smaller. The gradient of the norm, ``u v^H``, has an error of about r, of order
        ``sqrt(tol)``; with tol=0 r is at rounding level too, which costs a step of
        training about twice as much.

    Returns
    -------
    module
        The same object.

    Raises
    ------
    numpy.linalg.LinAlgError
        In a forward pass, if the singular values of a convolution on a large grid are too close
        to each other, and so nothing converges.
    TypeError
        For a layer of another type.
    ValueError
        If `grid` is missing or of no meaning, or another argument is; for an Embedding with
        `max_norm` or `sparse`, which write or differentiate the weight in a way of their own.

    Notes
    -----
    Differentiable to second order in the weight, through the norm: with G the gradient of the
    norm, the derivative of ``W / ||W||`` in the direction E is ``(E - W <G, E> / ||W||) / ||W||``.
    Where the largest singular value is multiple, G is the subgradient of least norm, for matrices
    that are followed as soon as the other vectors have converged too. W = 0 stays 0, with the
    derivative of ``bound W``, so that descent leaves it; at the kink of "cap" the derivative is
    the identity.

    The norm is computed at each forward pass; ``with torch.nn.utils.parametrize.cached():`` once
    for all passes inside, and `remove_parametrizations` puts the weight as it is in its place, for
    evaluation, export and tracing. (A Linear is exported and traced with its norm, too.)

    The weight is stored as ``module.parametrizations.weight.original``, the vectors as a buffer
    beside it: `copy.deepcopy`, ``.to``, DataParallel and `remove_parametrizations` work as always.
    The state_dict has the vectors of a Linear or Embedding; those of a convolution, which depend
    on the size of its input, are found again at the first pass after loading. Else only a
    forward pass in training mode writes the buffer; in evaluation mode the same weight gives
    the same output, bit by bit. Under transforms of `torch.func`, in forward mode and for matrices
    in a graph of `torch.compile` the norm is computed afresh, and the buffer is left alone;
    convolutions break such a graph. float16 and bfloat16 are computed in float32, also under
    autocast, and then rounded.

    Cost: for a matrix with a side of at most 128, some products of that size, and the norm is right
    to rounding. A larger one, and a convolution with zeros around its input or with strides,
    dilation, groups or another padding, is *followed*: products with 22 vectors from the last time
    and with 10 of the results, their QR decomposition and an eigenvalue problem of size 32, as
    a rule once a step. What overtakes all that is followed is seen by those products, unless
    it is next to orthogonal to them. In a convolution, and in a weight with ``m + n - 2`` zeros or
    more, which may fall apart into blocks, it can be; there some 20 products with a random
    vector look for it at each step, with a probability of 1e-3 to miss it. The vectors take 22
    times the memory of one input or output of the layer, and are not kept beyond 2**24 numbers.
    Where that does not converge, where the 22 are too close to each other to be sure, and for
    second derivatives, it costs what `normgrad.spectral_norm` costs; if that fails too, vectors
    that have converged are used all the same, with a gradient that is one of many. A circular
    convolution always costs that, see `normgrad.Convolution2d`. Where windows do not overlap, as
    those of a kernel 1 x 1, the matrix is the kernel.

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
    if not isinstance(name, str):
        raise TypeError(
            f"name is that of the weight, 'weight' by default; got {name!r}. The norm is given as "
            "bound=..., by keyword"
        )
    check_module(module)
    weight = getattr(module, name, None)
    if weight is None and not _names(module) and any(module.children()):
        kind = type(module).__name__
        raise ValueError(f"a {kind} has no {name!r} of its own; give each of its layers a norm")
    if not isinstance(weight, Tensor):
        kind = type(module).__name__
        raise ValueError(f"the {kind} has no weight {name!r}; its parameters: {_names(module)}")
    check_initialized(name, weight)
    given = getattr(module, "parametrizations", {})
    if name in given and any(isinstance(p, SpectralNorm) for p in given[name]):
        raise ValueError(
            f"the {name} of this {type(module).__name__} has a spectral norm already; first call "
            f"torch.nn.utils.parametrize.remove_parametrizations(module, {name!r})"
        )
    matrix = None
    if isinstance(module, CONVOLUTIONS) and name == "weight":
        geometry = Geometry.of(module, grid)
        if padding not in (None, "circular"):
            raise ValueError(
                f"padding={padding!r} is not known: None takes the norm of the layer with the "
                "padding that it has, 'circular' an upper bound of it"
            )
        matrix = geometry.smallest if padding is None else geometry.enlarged()
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
            f"got {name!r} of a {type(module).__name__}, but only the weights of Linear, Embedding "
            "and convolutions are known as matrices. For another, register a "
            "SpectralNorm(weight, matrix=...) with torch.nn.utils.parametrize"
        )
    parametrization = SpectralNorm(weight, bound=bound, mode=mode, matrix=matrix, tol=tol)
    parametrization.train(module.training)
    parametrize.register_parametrization(module, name, parametrization)
    return module


def _names(module: nn.Module) -> list[str]:
    return [name for name, _ in module.named_parameters(recurse=False)]
