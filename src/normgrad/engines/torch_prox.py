"""The proximal maps as autograd functions of PyTorch."""

from typing import Any

import torch
from torch.autograd import forward_ad

from normgrad.arithmetic import is_recorded, real_inner
from normgrad.calculus import ProxRule
from normgrad.engines.torch_derivative import (
    Memory,
    NotDifferentiable,
    bound_once,
    derivative,
    mapped_first,
    only_reverse,
    untraced,
    with_outer_tangents,
)

__all__ = ["prox"]


@bound_once
class _Prox(torch.autograd.Function):
    """(x, t) -> prox, a lift: its derivative in x is self-adjoint, that in t a matrix."""

    @staticmethod
    def forward(x: Any, t: Any, memory: Memory) -> Any:
        P = untraced(memory.prox, x, t)
        # (forward mode does not take a view of what is not an input)
        return P.clone() if P._is_view() else P

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, t, ctx.memory = inputs
        ctx.save_for_backward(x, t)
        ctx.save_for_forward(x, t)

    @staticmethod
    def backward(ctx: Any, P_bar: Any) -> Any:
        x, t = ctx.saved_tensors
        x_bar = derivative(ctx.memory, P_bar, x, t) if ctx.needs_input_grad[0] else None
        t_bar = (
            real_inner(_ProxStep.apply(ctx.memory, x, t), P_bar)
            if ctx.needs_input_grad[1]
            else None
        )
        return x_bar, t_bar, None

    @staticmethod
    def jvp(ctx: Any, E: Any, t_dot: Any, _: Any) -> Any:
        x, t = ctx.saved_tensors
        dP = None if E is None else derivative(ctx.memory, E, x, t)
        if t_dot is None:
            return dP

        def total(in_t: Any) -> Any:
            moved = in_t * t_dot[..., None, None]
            return moved if dP is None else dP + moved

        return with_outer_tangents(total, _ProxStep.apply(ctx.memory, x, t))

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Any, t: Any, memory: Memory) -> Any:
        x, t = (
            mapped_first(y, dim, info.batch_size) for y, dim in zip((x, t), in_dims, strict=False)
        )
        memory = Memory(memory.rule, linearized=memory.linearized)
        return _Prox.apply(x, t, memory), 0


@bound_once
class _ProxStep(NotDifferentiable):
    """(point) -> the derivative of the proximal map in t."""

    @staticmethod
    def forward(memory: Memory, x: Any, t: Any) -> Any:
        return untraced(memory.in_t, x, t)

    @staticmethod
    def vmap(info: Any, in_dims: Any, memory: Memory, x: Any, t: Any) -> Any:
        x, t = (
            mapped_first(y, dim, info.batch_size)
            for y, dim in zip((x, t), in_dims[1:], strict=True)
        )
        return _ProxStep.apply(memory, x, t), 0


_apply_prox: Any = super(torch.autograd.Function, _Prox).apply
"""``_Prox.apply`` without its checks for transforms, which `only_reverse` has made."""


def prox(rule: ProxRule, x: Any, t: Any) -> Any:
    """Return the image of a map, and keep its derivatives where they cost no factorization more."""
    differentiated = torch.is_grad_enabled() and (x.requires_grad or t.requires_grad)
    alone = only_reverse()
    if not differentiated and alone and not is_recorded(x):
        return untraced(Memory(rule).prox, x, t)
    wanted = differentiated or forward_ad._current_level >= 0
    apply = _apply_prox if alone else _Prox.apply
    return apply(x, t, Memory(rule, linearized=rule.is_complete and wanted))
