"""PyTorch: reverse and forward mode, torch.func transforms, and torch.compile.

One `torch.autograd.Function` has the norm and its gradient as outputs, so that the
gradient of a value is an output that is there already, and the derivative of a gradient is
one self-adjoint map, `_Derivative`, in every mode:

    d value = Re<G, E>,    d G = D(E),    reverse:  value_bar G + D(G_bar).

Batching is native to the rules, so every `vmap` rule moves the mapped axis to the front.
"""

import inspect
from collections.abc import Callable
from typing import Any, final

import torch
from torch.autograd import forward_ad

from normgrad.arithmetic import Array
from normgrad.calculus import Derivative, NormRule, ProxRule
from normgrad.engines import torch_compile
from normgrad.engines.base import Engine, OrderError

__all__ = ["ENGINE", "TorchEngine"]


def _bound_once(function: type) -> type:
    """Keep the signature of `forward`, which PyTorch else works out anew at every call."""
    forward: Any = function.forward  # type: ignore[attr-defined]
    forward.__signature__ = inspect.signature(forward)
    return function


@torch.compiler.disable
def _untraced(f: Callable[..., Any], *arguments: Any) -> Any:
    """Call f out of reach of the compiler, which else picks it up under torch.func transforms."""
    return f(*arguments)


def _inner(a: Any, b: Any) -> Any:
    """Return Re<a, b> for each matrix."""
    product = a.conj() * b
    return (product.real if product.is_complex() else product).sum(dim=(-2, -1))


def _dual_inner(a: Any, b: Any) -> Any:
    """Return `_inner` with the tangents that an outer forward mode gave to a and b.

    PyTorch switches forward mode off while it runs the `jvp` of a Function, so that forward
    over forward would silently drop them.
    """
    with forward_ad._set_fwd_grad_enabled(True):
        return _inner(a, b)


def _add(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a + b


class _Memory:
    """The derivative at the point of one node of the graph: factorized once, at first use."""

    def __init__(self, rule: NormRule | ProxRule) -> None:
        self.rule = rule
        self._key: Any = None
        self._kept: Any = None

    def derivative(self, *operands: Any) -> tuple[Derivative, Any]:
        """Return the derivative in the matrix, and that in t (None for a norm)."""
        key = [(x.data_ptr(), x.shape, x.stride(), x._version) for x in operands]
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
class _Norm(torch.autograd.Function):
    """(x) -> (value, G), G only if `want_gradient`: else it is computed when a derivative is."""

    @staticmethod
    def forward(x: Any, rule: NormRule, want_gradient: bool) -> Any:
        if want_gradient:
            return _untraced(rule.value_and_gradient, x)
        return _untraced(rule.value, x), None

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, ctx.rule, ctx.want_gradient = inputs
        ctx.memory = _Memory(ctx.rule)
        ctx.set_materialize_grads(False)
        saved = (x, output[1]) if ctx.want_gradient else (x,)
        ctx.save_for_backward(*saved)
        ctx.save_for_forward(*saved)

    @staticmethod
    def _gradient(ctx: Any) -> Any:
        x, *rest = ctx.saved_tensors
        return rest[0] if rest else _value_and_gradient(ctx.rule, x)[1]

    @staticmethod
    def backward(ctx: Any, value_bar: Any, G_bar: Any) -> Any:
        x_bar = None
        if value_bar is not None:
            x_bar = value_bar[..., None, None] * _Norm._gradient(ctx)
        if G_bar is not None:
            x_bar = _add(x_bar, _derivative(ctx.memory, G_bar, ctx.saved_tensors[0]))
        return x_bar, None, None

    @staticmethod
    def jvp(ctx: Any, E: Any, *_: Any) -> Any:
        along = _dual_inner(_Norm._gradient(ctx), E)
        if not ctx.want_gradient:
            return along, None
        return along, _derivative(ctx.memory, E, ctx.saved_tensors[0])

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Any, rule: NormRule, want_gradient: bool) -> Any:
        x = x.movedim(in_dims[0], 0)
        if want_gradient:
            return _value_and_gradient(rule, x), (0, 0)
        return (_value(rule, x), None), (0, None)


@_bound_once
class _Guard(torch.autograd.Function):
    """The identity, for the point at which a second derivative is taken: it has none of its own.

    It is a node apart, because an engine runs a node only if its derivative is wanted.
    """

    @staticmethod
    def forward(x: Any) -> Any:
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise OrderError

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> Any:
        raise OrderError

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Any) -> Any:
        return _Guard.apply(x), in_dims[0]


@_bound_once
class _Derivative(torch.autograd.Function):
    """(E; point) -> D(E): linear and self-adjoint in E, not differentiable at the point."""

    @staticmethod
    def forward(memory: _Memory, E: Any, *operands: Any) -> Any:
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
    def vmap(info: Any, in_dims: Any, memory: _Memory, E: Any, *operands: Any) -> Any:
        rank = E.ndim - (in_dims[1] is not None)
        E = _front(E, in_dims[1], info.batch_size)
        lead = [rank, rank - 2]  # the matrix, and the step of a proximal map
        operands = tuple(map(_lead, operands, in_dims[2:], lead[: len(operands)]))
        return _Derivative.apply(memory, E, *operands), 0


def _derivative(memory: _Memory, E: Any, *operands: Any) -> Any:
    return _Derivative.apply(memory, E, *(_Guard.apply(x) for x in operands))


@_bound_once
class _Prox(torch.autograd.Function):
    """(x, t) -> prox, a lift: its derivative in x is self-adjoint, that in t a matrix."""

    @staticmethod
    def forward(x: Any, t: Any, rule: ProxRule) -> Any:
        return _untraced(rule.prox, x, t)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, t, rule = inputs
        ctx.memory = _Memory(rule)
        ctx.save_for_backward(x, t)
        ctx.save_for_forward(x, t)

    @staticmethod
    def backward(ctx: Any, P_bar: Any) -> Any:
        x, t = ctx.saved_tensors
        x_bar = _derivative(ctx.memory, P_bar, x, t) if ctx.needs_input_grad[0] else None
        t_bar = (
            _inner(_ProxStep.apply(ctx.memory, x, t), P_bar) if ctx.needs_input_grad[1] else None
        )
        return x_bar, t_bar, None

    @staticmethod
    def jvp(ctx: Any, E: Any, t_dot: Any, _: Any) -> Any:
        x, t = ctx.saved_tensors
        dP = None if E is None else _derivative(ctx.memory, E, x, t)
        if t_dot is not None:
            # no second forward mode here: both factors raise OrderError in one
            dP = _add(dP, _ProxStep.apply(ctx.memory, x, t) * t_dot[..., None, None])
        return dP

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Any, t: Any, rule: ProxRule) -> Any:
        x, t = (_front(y, dim, info.batch_size) for y, dim in zip((x, t), in_dims, strict=False))
        return _Prox.apply(x, t, rule), 0


@_bound_once
class _ProxStep(torch.autograd.Function):
    """(point) -> the derivative of the proximal map in t; not differentiable."""

    @staticmethod
    def forward(memory: _Memory, x: Any, t: Any) -> Any:
        return _untraced(memory.derivative, x, t)[1]

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise OrderError

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> Any:
        raise OrderError

    @staticmethod
    def vmap(info: Any, in_dims: Any, memory: _Memory, x: Any, t: Any) -> Any:
        x, t = (_front(y, dim, info.batch_size) for y, dim in zip((x, t), in_dims[1:], strict=True))
        return _ProxStep.apply(memory, x, t), 0


def _value(rule: NormRule, x: Any) -> Any:
    # only reverse mode makes good use of a gradient computed together with the value
    return _Norm.apply(x, rule, bool(x.requires_grad and torch.is_grad_enabled()))[0]


def _value_and_gradient(rule: NormRule, x: Any) -> tuple[Any, Any]:
    value, G = _Norm.apply(x, rule, True)
    return value, G


def _is_symbolic(x: Any) -> bool:
    """Whether x stands for a tensor that is not there yet: in a compiler, or without storage."""
    return torch.compiler.is_compiling() or x.is_meta


@final
class TorchEngine(Engine):
    """PyTorch tensors."""

    name = "torch"

    def owns(self, x: Any) -> bool:
        return isinstance(x, torch.Tensor)

    def dense(self, x: Any) -> Array:
        if x.layout is not torch.strided:
            raise TypeError(
                f"got a tensor of layout {x.layout}, shape {tuple(x.shape)}; sparse matrices are "
                "not supported yet: x.to_dense() gives a dense one"
            )
        return x

    def default_float(self) -> Any:
        return torch.get_default_dtype()

    def moveaxis(self, x: Array, source: tuple[int, int], destination: tuple[int, int]) -> Array:
        return torch.movedim(x, source, destination)

    def astype(self, x: Array, dtype: Any) -> Array:
        return x.to(getattr(torch, dtype) if isinstance(dtype, str) else dtype)

    def reshape(self, x: Array, shape: tuple[int, ...]) -> Array:
        return x.reshape(shape)

    def number(self, t: Any, like: Array, shape: tuple[int, ...]) -> Array:
        real = like.real if like.is_complex() else like
        return torch.as_tensor(t, dtype=real.dtype, device=like.device).expand(shape)

    def value(self, rule: NormRule, x: Array) -> Array:
        if _is_symbolic(x):
            return torch_compile.value(rule, x)
        return _value(rule, x)

    def value_and_gradient(self, rule: NormRule, x: Array) -> tuple[Array, Array]:
        if _is_symbolic(x):
            return torch_compile.value_and_gradient(rule, x)
        return _value_and_gradient(rule, x)

    def hessian_product(self, rule: NormRule, x: Array, E: Array) -> Array:
        if _is_symbolic(x):
            return torch_compile.hessian_product(rule, x, E)
        return _derivative(_Memory(rule), E, x)

    def prox(self, rule: ProxRule, x: Array, t: Array) -> Array:
        if _is_symbolic(x):
            return torch_compile.prox(rule, x, t)
        return _Prox.apply(x, t, rule)


ENGINE = TorchEngine()
