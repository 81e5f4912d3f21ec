r"""A weight divided by its norm, of which the largest singular triplet is known: one node.

With ``f = bound / ||W||``, and G the gradient of the norm: ``u v^H`` if W itself is the matrix,
the mean of those if several are tied, and what that is in W if the matrix is A(W),

    d (f W) = f (E - W <G, E> / ||W||),    reverse:  f (E - G <W, E> / ||W||).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from normgrad.engines.torch_derivative import in_full_precision
from normgrad.matrices import Matrix
from normgrad.nn.torch.following import Triplet

__all__ = ["divided"]


class _Divided(torch.autograd.Function):
    """(W) -> f W. What is differentiated again is `again`, a function of W for the same."""

    @staticmethod
    def forward(
        ctx: Any, W: Tensor, triplet: Triplet, bound: float, matrix: Any, again: Any
    ) -> Tensor:
        ctx.norm, ctx.factor, ctx.matrix, ctx.again = triplet.s, bound / triplet.s, matrix, again
        ctx.save_for_backward(W, triplet.u, triplet.v)
        return W * ctx.factor

    @staticmethod
    def backward(ctx: Any, E: Tensor) -> Any:
        return in_full_precision(_derivative, ctx, E), None, None, None, None


def _derivative(ctx: Any, E: Tensor) -> Tensor:
    W, u, v = ctx.saved_tensors
    if torch.is_grad_enabled():
        (W_bar,) = torch.autograd.grad(ctx.again(W), W, E, create_graph=True)
        return W_bar
    inner = torch.vdot(W.reshape(-1), E.reshape(-1)).real  # <W, E>
    share = inner * (-ctx.factor / (ctx.norm * len(u)))
    with torch.enable_grad():
        theta = W.detach().requires_grad_()
        A = ctx.matrix(theta)
        if A is theta:
            return torch.addmm(E, u.mT * share, v.conj(), beta=ctx.factor)
        s = (u.conj() * (A @ v.mT).mT).sum().real  # whose gradient is that of the norm
        (G,) = torch.autograd.grad(s, theta)
    return torch.add(E * ctx.factor, G * share)


_apply: Any = super(torch.autograd.Function, _Divided).apply
"""``_Divided.apply`` without its checks for transforms."""


def divided(
    W: Tensor,
    triplet: Triplet,
    bound: float,
    matrix: Callable[[Tensor], Tensor | Matrix],
    again: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return ``W bound / s``, differentiable, for the largest triplet ``A v = s u``.

    A is ``matrix(W)``. No transform of torch.func and no forward mode may be on. `again` is
    the same as a differentiable function of W, used for second derivatives.
    """
    result: Tensor = _apply(W, triplet, bound, matrix, again)
    return result
