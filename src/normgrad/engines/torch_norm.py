"""The autograd functions of PyTorch: reverse and forward mode, and torch.func transforms.

The gradient G is computed together with the value, and the derivative of a value uses it:
`_Value`. G in turn is a differentiable function of x, `_Gradient`, whose derivative is one
self-adjoint map in every mode, `_Derivative`:

    d value = Re<G, E>,    d G = D(E),    reverse:  value_bar G  and  D(G_bar).

Where reverse mode alone is on, `_Norm` does with one node, at half the overhead. Batching is
native to the rules, so every `vmap` rule moves the mapped axis to the front.
"""

from collections.abc import Callable
from typing import Any

import torch

from normgrad.arithmetic import is_recorded, real_inner
from normgrad.calculus import NormRule
from normgrad.engines.torch_derivative import (
    Memory,
    bound_once,
    derivative,
    in_full_precision,
    mapped_first,
    only_reverse,
    untraced,
    with_outer_tangents,
)
from normgrad.engines.torch_small import (
    NUMPY,
    as_small,
    as_unrecorded_small,
    from_small,
    is_legacy_batched,
    is_plain,
)

__all__ = ["linearize", "value", "value_and_gradient"]


_keeps_graph = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", lambda: True)


def _is_graph_kept() -> bool:
    """Whether the backward that runs was told to retain the graph; PyTorch 2.4 does not say."""
    return torch.compiler.is_compiling() or _keeps_graph()


def _computed(rule: NormRule, x: Any, taken: Callable[..., Any] = as_small) -> tuple[Any, Any]:
    """Return value and gradient; of a small tensor by NumPy, whose calls cost less."""
    small = taken(rule, x)
    if small is None:
        return in_full_precision(_quickly, rule, x)
    both: tuple[Any, Any] = from_small(*NUMPY.value_and_gradient(rule, *small))
    return both


def _computed_value(rule: NormRule, x: Any) -> Any:
    """Return the value of what is not differentiated; of a small tensor by NumPy."""
    small = as_small(rule, x)
    if small is None:
        return in_full_precision(rule.value, x.detach())
    return from_small(NUMPY.value(rule, *small))


def _is_one(x: Any) -> bool:
    """Whether a tensor can be seen at once to be the number 1."""
    return x.ndim == 0 and is_plain(x) and x.item() == 1


def _quickly(rule: NormRule, x: Any) -> tuple[Any, Any]:
    found = rule.quick(x)
    return rule.value_and_gradient(x) if found is None else found


@bound_once
class _Gradient(torch.autograd.Function):
    """(x) -> (G, value). The value is not differentiated here, but in `_Value`.

    They are two nodes, so that the first derivative of a value needs G alone: x, which is
    saved here, may meanwhile change in place.
    """

    @staticmethod
    def forward(x: Any, memory: Memory) -> Any:
        value, G = untraced(memory.value_and_gradient, x)
        # (forward mode does not take a view of what is not an input)
        return G.clone() if G._is_view() else G, value

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, ctx.memory = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)

    @staticmethod
    def backward(ctx: Any, G_bar: Any, _: Any) -> Any:
        if G_bar is None:
            return None, None
        return derivative(ctx.memory, G_bar, *ctx.saved_tensors), None

    @staticmethod
    def jvp(ctx: Any, E: Any, _: Any) -> Any:
        return derivative(ctx.memory, E, *ctx.saved_tensors), None

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Any, memory: Memory) -> Any:
        return _Gradient.apply(x.movedim(in_dims[0], 0), Memory(memory.rule)), (0, 0)


@bound_once
class _Value(torch.autograd.Function):
    """(x, G, value) -> value, with ``d value = Re<G, dx>``; G and value are known already."""

    @staticmethod
    def forward(x: Any, G: Any, value: Any) -> Any:
        return value.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[1])
        ctx.save_for_forward(inputs[1])

    @staticmethod
    def backward(ctx: Any, value_bar: Any) -> Any:
        (G,) = ctx.saved_tensors
        return value_bar[..., None, None] * G, None, None

    @staticmethod
    def jvp(ctx: Any, E: Any, *_: Any) -> Any:
        return with_outer_tangents(real_inner, ctx.saved_tensors[0], E)

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Any, G: Any, value: Any) -> Any:
        x, G, value = (
            mapped_first(y, dim, info.batch_size)
            for y, dim in zip((x, G, value), in_dims, strict=True)
        )
        return _Value.apply(x, G, value), 0


@bound_once
class _ValueAlone(torch.autograd.Function):
    """(x) -> value, where no reverse mode is on: a gradient is computed only if it is wanted."""

    @staticmethod
    def forward(x: Any, rule: NormRule) -> Any:
        return untraced(rule.value, x)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, ctx.rule = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)

    @staticmethod
    def backward(ctx: Any, value_bar: Any) -> Any:
        G = _Gradient.apply(*ctx.saved_tensors, Memory(ctx.rule))[0]
        return value_bar[..., None, None] * G, None

    @staticmethod
    def jvp(ctx: Any, E: Any, _: Any) -> Any:
        G = _Gradient.apply(*ctx.saved_tensors, Memory(ctx.rule))[0]
        return with_outer_tangents(real_inner, G, E)

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Any, rule: NormRule) -> Any:
        return value(rule, x.movedim(in_dims[0], 0)), 0


class _Norm(torch.autograd.Function):
    """(x) -> value in reverse mode; the gradient becomes a node only if it is differentiated.

    G is kept beside the saved tensors, because x may change in place before the first
    derivative; it goes with them when the graph is freed.
    """

    @staticmethod
    def forward(ctx: Any, x: Any, rule: NormRule) -> Any:
        value, ctx.G = _computed(rule, x, as_unrecorded_small)
        ctx.owned = not ctx.G._is_view()
        ctx.rule = rule
        ctx.memory = None
        ctx.save_for_backward(x)
        return value

    @staticmethod
    def backward(ctx: Any, value_bar: Any) -> Any:
        G = ctx.G
        if G is None:
            return ctx.saved_tensors  # PyTorch refuses: the graph has been freed
        value_bar = value_bar if G.ndim == 2 else value_bar[..., None, None]
        if not _is_graph_kept():
            ctx.G = None
            alone = ctx.owned and not is_legacy_batched(value_bar)
            if alone and not torch.is_grad_enabled() and only_reverse():
                # nobody else has it: no other buffer, nor a pass where the norm is the loss itself
                return G if _is_one(value_bar) else G.mul_(value_bar), None
        if torch.is_grad_enabled():
            if ctx.memory is None:
                ctx.memory = Memory(ctx.rule, G)
            G = _Gradient.apply(*ctx.saved_tensors, ctx.memory)[0]
        return value_bar * G, None


_apply_norm: Any = super(torch.autograd.Function, _Norm).apply
"""``_Norm.apply`` without its checks for transforms, which `only_reverse` has made."""


def value(rule: NormRule, x: Any) -> Any:
    """Return the norm, and keep the gradient where reverse mode is on."""
    if is_recorded(x):  # (the same, whoever differentiates)
        return _ValueAlone.apply(x, rule)
    if x.requires_grad and torch.is_grad_enabled():
        return _apply_norm(x, rule) if only_reverse() else value_and_gradient(rule, x)[0]
    return _computed_value(rule, x) if only_reverse() else _ValueAlone.apply(x, rule)


def value_and_gradient(rule: NormRule, x: Any) -> tuple[Any, Any]:
    """Return the norm and the gradient, from one factorization."""
    if not (x.requires_grad and torch.is_grad_enabled()) and only_reverse():
        return _computed(rule, x)
    G, known = _Gradient.apply(x, Memory(rule))
    return _Value.apply(x, G, known), G


def linearize(rule: NormRule, x: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return the gradient and its derivative, from one factorization."""
    x, memory = x.clone(), Memory(rule, linearized=True)  # (x may change in place)
    return _Gradient.apply(x, memory)[0], lambda E: derivative(memory, E, x)
