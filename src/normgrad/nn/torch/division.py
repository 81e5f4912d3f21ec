r"""A matrix divided by its norm, of which the largest singular triplet is known: one node.

With ``f = bound / ||W||`` and ``G = u v^H``, the gradient of the norm,

    d (f W) = f (E - W <G, E> / ||W||),    reverse:  f (E - G <W, E> / ||W||).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from normgrad.engines.torch_derivative import in_full_precision
from normgrad.nn.torch.following import Triplet

__all__ = ["divided"]


class _Divided(torch.autograd.Function):
    """(W) -> f W. What is differentiated again is `again`, a function of W for the same."""

    @staticmethod
    def forward(ctx: Any, W: Tensor, triplet: Triplet, bound: float, again: Any) -> Tensor:
        ctx.norm, ctx.factor, ctx.again = triplet.s, bound / triplet.s, again
        ctx.save_for_backward(W, triplet.u, triplet.v)
        return W * ctx.factor

    @staticmethod
    def backward(ctx: Any, E: Tensor) -> Any:
        return in_full_precision(_derivative, ctx, E), None, None, None


def _derivative(ctx: Any, E: Tensor) -> Tensor:
    W, u, v = ctx.saved_tensors
    if torch.is_grad_enabled():
        (W_bar,) = torch.autograd.grad(ctx.again(W), W, E, create_graph=True)
        return W_bar
    inner = torch.vdot(W.reshape(-1), E.reshape(-1)).real  # <W, E>
    u = u * (inner * (-ctx.factor / ctx.norm))
    return torch.addr(E, u, v.conj(), beta=ctx.factor)


_apply: Any = super(torch.autograd.Function, _Divided).apply
"""``_Divided.apply`` without its checks for transforms."""


def divided(W: Tensor, triplet: Triplet, bound: float, again: Callable[[Tensor], Tensor]) -> Tensor:
    """Return ``W bound / s``, differentiable, for the largest triplet ``W v = s u``.

    Where no transform of torch.func and no forward mode is on. `again` is the same as a
    differentiable function of W, used for second derivatives.
    """
    result: Tensor = _apply(W, triplet, bound, again)
    return result
