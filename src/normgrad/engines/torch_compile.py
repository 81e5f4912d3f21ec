"""PyTorch under torch.compile: opaque operators, each with its shape rule and derivative.

Inside an operator the eager code runs, with every choice that looks at the entries. An
operator takes tensors and strings alone, so a rule travels as its name. What a compiled
graph needs is the first derivative; the compiler itself refuses the second.
"""

from typing import Any

import torch

from normgrad.arithmetic import real_inner
from normgrad.calculus import rule_of_name
from normgrad.engines.base import OrderError
from normgrad.engines.torch_derivative import in_full_precision

__all__ = ["hessian_product", "prox", "value", "value_and_gradient"]

Tensor = torch.Tensor


def _mapped(operator: Any) -> Any:
    """Register a batching rule, which PyTorch knows from 2.5 on."""
    return getattr(operator, "register_vmap", lambda rule: rule)


def _per_matrix(x: Tensor) -> Tensor:
    return x.new_empty(x.shape[:-2], dtype=x.dtype.to_real())


def _run(rule: str, method: str, *operands: Tensor) -> Any:
    """Call a method of the rule of this name, whether autocast is on or not."""
    return in_full_precision(getattr(rule_of_name(rule), method), *operands)


@torch.library.custom_op("normgrad::value", mutates_args=())
def _value(x: Tensor, rule: str) -> Tensor:
    value: Tensor = _run(rule, "value", x)
    return value.contiguous()


@_value.register_fake
def _(x: Tensor, rule: str) -> Tensor:
    return _per_matrix(x)


@torch.library.custom_op("normgrad::value_and_gradient", mutates_args=())
def _value_and_gradient(x: Tensor, rule: str) -> tuple[Tensor, Tensor]:
    value, G = _run(rule, "value_and_gradient", x)
    return value.contiguous(), G.contiguous()


@_value_and_gradient.register_fake
def _(x: Tensor, rule: str) -> tuple[Tensor, Tensor]:
    return _per_matrix(x), x.new_empty(x.shape)


@torch.library.custom_op("normgrad::derivative", mutates_args=())
def _derivative(x: Tensor, E: Tensor, rule: str) -> Tensor:
    dG: Tensor = in_full_precision(_run(rule, "derivative", x), E)
    return dG.contiguous()


@_derivative.register_fake
def _(x: Tensor, E: Tensor, rule: str) -> Tensor:
    return E.new_empty(E.shape)


@torch.library.custom_op("normgrad::prox", mutates_args=())
def _prox(x: Tensor, t: Tensor, rule: str) -> Tensor:
    P: Tensor = _run(rule, "prox", x, t)
    return P.contiguous()


@_prox.register_fake
def _(x: Tensor, t: Tensor, rule: str) -> Tensor:
    return x.new_empty(x.shape)


@torch.library.custom_op("normgrad::prox_transpose", mutates_args=())
def _prox_transpose(x: Tensor, t: Tensor, P_bar: Tensor, rule: str) -> tuple[Tensor, Tensor]:
    _, derivative, in_t = _run(rule, "linearized", x, t)
    X_bar = in_full_precision(derivative, P_bar)
    return X_bar.contiguous(), real_inner(in_t, P_bar).contiguous()


@_prox_transpose.register_fake
def _(x: Tensor, t: Tensor, P_bar: Tensor, rule: str) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape), t.new_empty(t.shape)


def _setup_value_and_gradient(ctx: Any, inputs: Any, output: Any) -> None:
    x, ctx.rule = inputs
    ctx.save_for_backward(x, output[1])
    ctx.set_materialize_grads(False)


def _backward_value_and_gradient(ctx: Any, value_bar: Any, G_bar: Any) -> Any:
    x, G = ctx.saved_tensors
    x_bar = None
    if value_bar is not None:
        x_bar = value_bar[..., None, None] * G
    if G_bar is not None:
        curved = _derivative(x, G_bar, ctx.rule)
        x_bar = curved if x_bar is None else x_bar + curved
    return x_bar, None


def _setup_derivative(ctx: Any, inputs: Any, output: Any) -> None:
    x, _, ctx.rule = inputs
    ctx.save_for_backward(x)


def _backward_derivative(ctx: Any, dG_bar: Any) -> Any:
    if ctx.needs_input_grad[0]:
        raise OrderError
    return None, _derivative(ctx.saved_tensors[0], dG_bar, ctx.rule), None


def _setup_prox(ctx: Any, inputs: Any, output: Any) -> None:
    x, t, ctx.rule = inputs
    ctx.save_for_backward(x, t)


def _backward_prox(ctx: Any, P_bar: Any) -> Any:
    return *_prox_transpose(*ctx.saved_tensors, P_bar, ctx.rule), None


def _setup_value(ctx: Any, inputs: Any, output: Any) -> None:
    x, ctx.rule = inputs
    ctx.save_for_backward(x)


def _backward_value(ctx: Any, value_bar: Any) -> Any:
    G = _value_and_gradient(*ctx.saved_tensors, ctx.rule)[1]
    return value_bar[..., None, None] * G, None


_value.register_autograd(_backward_value, setup_context=_setup_value)
_value_and_gradient.register_autograd(
    _backward_value_and_gradient, setup_context=_setup_value_and_gradient
)
_derivative.register_autograd(_backward_derivative, setup_context=_setup_derivative)
_prox.register_autograd(_backward_prox, setup_context=_setup_prox)


@_mapped(_value)
def _(info: Any, in_dims: Any, x: Tensor, rule: str) -> Any:
    return _value(x.movedim(in_dims[0], 0), rule), 0


@_mapped(_value_and_gradient)
def _(info: Any, in_dims: Any, x: Tensor, rule: str) -> Any:
    return _value_and_gradient(x.movedim(in_dims[0], 0), rule), (0, 0)


@_mapped(_derivative)
def _(info: Any, in_dims: Any, x: Tensor, E: Tensor, rule: str) -> Any:
    x, E = (_front(y, dim, info.batch_size) for y, dim in zip((x, E), in_dims, strict=False))
    return _derivative(x, E, rule), 0


@_mapped(_prox)
def _(info: Any, in_dims: Any, x: Tensor, t: Tensor, rule: str) -> Any:
    x, t = (_front(y, dim, info.batch_size) for y, dim in zip((x, t), in_dims, strict=False))
    return _prox(x, t, rule), 0


@_mapped(_prox_transpose)
def _(info: Any, in_dims: Any, x: Tensor, t: Tensor, P_bar: Tensor, rule: str) -> Any:
    x, t, P_bar = (
        _front(y, dim, info.batch_size) for y, dim in zip((x, t, P_bar), in_dims, strict=False)
    )
    return _prox_transpose(x, t, P_bar, rule), (0, 0)


def _front(x: Tensor, dim: int | None, size: int) -> Tensor:
    return x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)


def value(rule: Any, x: Tensor) -> Tensor:
    """Return the norm; its gradient is computed with it if the graph will want it."""
    if x.requires_grad and torch.is_grad_enabled():
        return _value_and_gradient(x, rule.name())[0]
    return _value(x, rule.name())


def value_and_gradient(rule: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the norm and its gradient."""
    return _value_and_gradient(x, rule.name())


def hessian_product(rule: Any, x: Tensor, E: Tensor) -> Tensor:
    """Return the derivative of the gradient in the direction E."""
    return _derivative(x, E, rule.name())


def prox(rule: Any, x: Tensor, t: Tensor) -> Tensor:
    """Return the proximal point."""
    return _prox(x, t, rule.name())
