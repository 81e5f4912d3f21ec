"""The autograd functions of PyTorch: reverse and forward mode, and torch.func transforms.

The gradient G is computed together with the value, and the derivative of a value uses it:
`_Value`. G in turn is a differentiable function of x, `_Gradient`, whose derivative is one
self-adjoint map in every mode, `_Derivative`:

    d value = Re<G, E>,    d G = D(E),    reverse:  value_bar G  and  D(G_bar).

Where reverse mode alone is on, `_Norm` does with one node, at half the overhead. Batching is native to the rules, so every `vmap` rule moves the mapped axis to the front.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.autograd import forward_ad

from normgrad.arithmetic import real_inner
from normgrad.calculus import Derivative, NormRule, ProxRule
from normgrad.engines.base import OrderError
from normgrad.engines.numpy import ENGINE as NUMPY

__all__ = ["Memory", "Prox", "derivative", "value", "value_and_gradient"]


def _bound_once(function: type) -> type:
    """Keep the signature of `forward`, which PyTorch else works out anew at every call."""
    forward: Any = function.forward  # type: ignore[attr-defined]
    forward.__signature__ = inspect.signature(forward)
    return function


@torch.compiler.disable
def _untraced(f: Callable[..., Any], *arguments: Any) -> Any:
    """Call f out of reach of the compiler, which else picks it up under torch.func transforms."""
    return f(*arguments)


def _with_outer_tangents(f: Callable[..., Any], a: Any, *rest: Any) -> Any:
    """Return ``f(a, ...)`` with the tangents that an outer forward mode gave to the arguments.

    PyTorch switches forward mode off while it runs the `jvp` of a Function, so that forward
    over forward would silently drop them in its arithmetic. The tangent of a in this forward
    mode is no part of the derivative.
    """
    a = forward_ad.unpack_dual(a).primal
    with forward_ad._set_fwd_grad_enabled(True):
        return f(a, *rest)


def _computed(rule: NormRule, x: Any) -> tuple[Any, Any]:
    """Return value and gradient; of a small tensor by NumPy, whose calls cost less."""
    if x.numel() > 256 or not x.is_cpu or type(x) is not torch.Tensor:
        return rule.value_and_gradient(x)
    x = x.detach()
    if x.is_conj() or x.is_neg():
        x = x.resolve_conj().resolve_neg()
    value, G = NUMPY.value_and_gradient(rule, x.numpy())
    return torch.from_numpy(np.asarray(value)), torch.from_numpy(G)


class Memory:
    """The derivative at the point of one node of the graph: factorized once, at first use."""

    def __init__(self, rule: NormRule | ProxRule, gradient: Any = None) -> None:
        self.rule = rule
        self.gradient = gradient
        self._key: Any = None
        self._kept: Any = None

    def value_and_gradient(self, x: Any) -> tuple[Any, Any]:
        """Return both; the value is not used where the gradient is known."""
        if self.gradient is None:
            return self.rule.value_and_gradient(x)
        return x.new_empty(()), self.gradient.view_as(self.gradient)

    def derivative(self, *operands: Any) -> tuple[Derivative, Any]:
        """Return the derivative in the matrix, and that in t (None for a norm)."""
        key = [
            (x.data_ptr(), x.shape, x.stride(), None if x.is_inference() else x._version)
            for x in operands
        ]
        if key != self._key:
            if isinstance(self.rule, ProxRule):
                self._kept = self.rule.derivative(*operands)
            else:
                self._kept = (self.rule.derivative(*operands), None)
            self._key = key
        derivative, in_t = self._kept
        return derivative, in_t

    def apply(self, E: Any, *operands: Any) -> Any:
        """Return the derivative in the matrix, in the direction E."""
        return self.derivative(*operands)[0](E)


def _front(x: Any, dim: int | None, size: int) -> Any:
    """Move the mapped axis to the front, or make one of stride 0."""
    return x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)


def _lead(x: Any, dim: int | None, rank: int) -> Any:
    """Move the mapped axis to the front, with axes of length 1 behind it up to `rank` others.

    An operand that is not mapped stays as it is, so that it is factorized only once.
    """
    if dim is None:
        return x
    x = x.movedim(dim, 0)
    return x.reshape(x.shape[0], *(1,) * (rank - x.ndim + 1), *x.shape[1:])


@_bound_once
class _Gradient(torch.autograd.Function):
    """(x) -> (G, value). The value is not differentiated here, but in `_Value`.

    They are two nodes, so that the first derivative of a value needs G alone: x, which is
    saved here, may meanwhile change in place.
    """

    @staticmethod
    def forward(x: Any, memory: Memory) -> Any:
        value, G = _untraced(memory.value_and_gradient, x)
        return G, value

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


@_bound_once
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
        return _with_outer_tangents(real_inner, ctx.saved_tensors[0], E)

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Any, G: Any, value: Any) -> Any:
        x, G, value = (
            _front(y, dim, info.batch_size) for y, dim in zip((x, G, value), in_dims, strict=True)
        )
        return _Value.apply(x, G, value), 0


@_bound_once
class _ValueAlone(torch.autograd.Function):
    """(x) -> value, where no reverse mode is on: a gradient is computed only if it is wanted."""

    @staticmethod
    def forward(x: Any, rule: NormRule) -> Any:
        return _untraced(rule.value, x)

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
        return _with_outer_tangents(real_inner, G, E)

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Any, rule: NormRule) -> Any:
        return value(rule, x.movedim(in_dims[0], 0)), 0


class _NotDifferentiable(torch.autograd.Function):
    """A function whose derivative would be of an order that there is not."""

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise OrderError

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> Any:
        raise OrderError


@_bound_once
class _Guard(_NotDifferentiable):
    """The identity, for the point at which a second derivative is taken.

    It is a node apart, because an engine runs a node only if its derivative is wanted.
    """

    @staticmethod
    def forward(x: Any) -> Any:
        return x.view_as(x)

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Any) -> Any:
        return _Guard.apply(x), in_dims[0]


@_bound_once
class _Derivative(torch.autograd.Function):
    """(E; point) -> D(E): linear and self-adjoint in E, not differentiable at the point."""

    @staticmethod
    def forward(memory: Memory, E: Any, *operands: Any) -> Any:
        return _untraced(memory.apply, E, *operands)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.memory, _, *operands = inputs
        ctx.save_for_backward(*operands)
        ctx.save_for_forward(*operands)

    @staticmethod
    def backward(ctx: Any, dG_bar: Any) -> Any:
        E_bar = _Derivative.apply(ctx.memory, dG_bar, *ctx.saved_tensors)
        # the guards stop whoever wants more than zero for the point
        zeros = (torch.zeros_like(x) for x in ctx.saved_tensors)
        return None, E_bar, *zeros

    @staticmethod
    def jvp(ctx: Any, _: Any, E_dot: Any, *__: Any) -> Any:
        return _Derivative.apply(ctx.memory, E_dot, *ctx.saved_tensors)

    @staticmethod
    def vmap(info: Any, in_dims: Any, memory: Memory, E: Any, *operands: Any) -> Any:
        rank = E.ndim - (in_dims[1] is not None)
        E = _front(E, in_dims[1], info.batch_size)
        lead = [rank, rank - 2]  # the matrix, and the step of a proximal map
        operands = tuple(map(_lead, operands, in_dims[2:], lead[: len(operands)]))
        return _Derivative.apply(memory, E, *operands), 0


def derivative(memory: Memory, E: Any, *operands: Any) -> Any:
    """Return the derivative at the operands, applied to E; differentiable in E alone."""
    return _Derivative.apply(memory, E, *(_Guard.apply(x) for x in operands))


@_bound_once
class Prox(torch.autograd.Function):
    """(x, t) -> prox, a lift: its derivative in x is self-adjoint, that in t a matrix."""

    @staticmethod
    def forward(x: Any, t: Any, rule: ProxRule) -> Any:
        return _untraced(rule.prox, x, t)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, t, rule = inputs
        ctx.memory = Memory(rule)
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

        return _with_outer_tangents(total, _ProxStep.apply(ctx.memory, x, t))

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Any, t: Any, rule: ProxRule) -> Any:
        x, t = (_front(y, dim, info.batch_size) for y, dim in zip((x, t), in_dims, strict=False))
        return Prox.apply(x, t, rule), 0


@_bound_once
class _ProxStep(_NotDifferentiable):
    """(point) -> the derivative of the proximal map in t."""

    @staticmethod
    def forward(memory: Memory, x: Any, t: Any) -> Any:
        return _untraced(memory.derivative, x, t)[1]

    @staticmethod
    def vmap(info: Any, in_dims: Any, memory: Memory, x: Any, t: Any) -> Any:
        x, t = (_front(y, dim, info.batch_size) for y, dim in zip((x, t), in_dims[1:], strict=True))
        return _ProxStep.apply(memory, x, t), 0


class _Norm(torch.autograd.Function):
    """(x) -> value in reverse mode; the gradient becomes a node only if it is differentiated.

    G is kept beside the saved tensors: x may change in place before the first derivative.
    """

    @staticmethod
    def forward(ctx: Any, x: Any, rule: NormRule) -> Any:
        value, ctx.G = _computed(rule, x)
        ctx.rule = rule
        ctx.memory = None
        ctx.save_for_backward(x)
        return value

    @staticmethod
    def backward(ctx: Any, value_bar: Any) -> Any:
        G = ctx.G
        if torch.is_grad_enabled():
            if ctx.memory is None:
                ctx.memory = Memory(ctx.rule, G)
            G = _Gradient.apply(*ctx.saved_tensors, ctx.memory)[0]
        return (value_bar if G.ndim == 2 else value_bar[..., None, None]) * G, None


_apply_norm: Any = super(torch.autograd.Function, _Norm).apply
"""``_Norm.apply`` without its checks for transforms, which `_only_reverse` has made."""


def _only_reverse() -> bool:
    """Whether neither forward mode nor a transform of torch.func is on."""
    return forward_ad._current_level < 0 and not torch._C._are_functorch_transforms_active()


def value(rule: NormRule, x: Any) -> Any:
    """Return the norm, and keep the gradient where reverse mode is on."""
    if x.requires_grad and torch.is_grad_enabled():
        return _apply_norm(x, rule) if _only_reverse() else value_and_gradient(rule, x)[0]
    return _ValueAlone.apply(x, rule)


def value_and_gradient(rule: NormRule, x: Any) -> tuple[Any, Any]:
    """Return the norm and the gradient, from one factorization."""
    if not (x.requires_grad and torch.is_grad_enabled()) and _only_reverse():
        return _computed(rule, x)
    G, known = _Gradient.apply(x, Memory(rule))
    return _Value.apply(x, G, known), G
