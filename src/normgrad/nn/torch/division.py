r"""A weight divided by its norm, of which the largest singular triplet is known: one node.

With ``f = bound / ||W||`` and G the gradient of the norm, ``u v^H`` for a matrix,

    d (f W) = f (E - W <G, E> / ||W||),    reverse:  f (E - G <W, E> / ||W||).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["divided"]


class _Divided(torch.autograd.Function):
    """(W) -> f W. What is differentiated again is `again`, a function of W for the same."""

    @staticmethod
    def forward(
        ctx: Any, W: Tensor, norm: float, bound: float, G: tuple[Tensor, ...], again: Any
    ) -> Tensor:
        ctx.norm, ctx.factor, ctx.again = norm, bound / norm, again
        ctx.save_for_backward(W, *G)
        return W * ctx.factor

    @staticmethod
    def backward(ctx: Any, E: Tensor) -> Any:
        W, *G = ctx.saved_tensors
        if torch.is_grad_enabled():
            (W_bar,) = torch.autograd.grad(ctx.again(W), W, E, create_graph=True)
        else:
            # <W, E>; of G, u v^H or an array, the first factor takes it
            inner = torch.vdot(W.reshape(-1), E.reshape(-1)).real
            first, *rest = G
            first = first * (inner * (-ctx.factor / ctx.norm))
            if rest:
                W_bar = torch.addr(E, first, rest[0].conj(), beta=ctx.factor)
            else:
                W_bar = first.add_(E, alpha=ctx.factor)
        return W_bar, None, None, None, None


_apply: Any = super(torch.autograd.Function, _Divided).apply
"""``_Divided.apply`` without its checks for transforms."""


def divided(
    W: Tensor,
    norm: float,
    bound: float,
    G: tuple[Tensor, ...],
    again: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return ``W bound / norm``, differentiable with the gradient of the norm that is given.

    Where no transform of torch.func and no forward mode is on.

    Parameters
    ----------
    W : tensor
    norm, bound : float
    G : (tensor,) or (tensor, tensor)
        The gradient of the norm, of the shape of W, or u and v if it is ``u v^H``.
    again : callable
        The same as a differentiable function of W, used for second derivatives.
    """
    result: Tensor = _apply(W, norm, bound, G, again)
    return result
