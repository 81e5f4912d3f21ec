"""The derivative of a gradient or of a proximal map, in every mode of PyTorch.

It is linear and self-adjoint in the direction, so one autograd function serves forward and
reverse mode, and their compositions. Batching is native to the rules: every `vmap` rule
moves the mapped axis to the front.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch._compile import _disable_dynamo
from torch.autograd import forward_ad

from normgrad.arithmetic import is_recorded
from normgrad.calculus import ProxRule
from normgrad.engines.base import OrderError
from normgrad.engines.torch_small import NUMPY, as_small, from_small

__all__ = [
    "Memory",
    "NotDifferentiable",
    "bound_once",
    "derivative",
    "in_full_precision",
    "mapped_first",
    "only_reverse",
    "untraced",
    "with_outer_tangents",
]


def bound_once(function: type) -> type:
    """Keep the signature of `forward`, which PyTorch else works out anew at every call."""
    forward: Any = function.forward  # type: ignore[attr-defined]
    forward.__signature__ = inspect.signature(forward)
    return function


def in_full_precision(f: Callable[..., Any], *arguments: Any) -> Any:
    """Call f without autocast, which would lower the precision of the products in it."""
    device = next((x.device.type for x in arguments if isinstance(x, torch.Tensor)), "cpu")
    if device == "meta" or not torch.is_autocast_enabled(device):
        return f(*arguments)
    with torch.autocast(device, enabled=False):
        return f(*arguments)


@_disable_dynamo  # torch.compiler.disable itself imports the compiler at once: a second
def untraced(f: Callable[..., Any], *arguments: Any) -> Any:
    """Call f out of reach of the compiler, which else picks it up under torch.func transforms."""
    return in_full_precision(f, *arguments)


def with_outer_tangents(f: Callable[..., Any], a: Any, *rest: Any) -> Any:
    """Return ``f(a, ...)`` with the tangents that an outer forward mode gave to the arguments.

    PyTorch switches forward mode off while it runs the `jvp` of a Function, so that forward
    over forward would silently drop them in its arithmetic. The tangent of a in this forward
    mode is no part of the derivative.
    """
    a = forward_ad.unpack_dual(a).primal
    with forward_ad._set_fwd_grad_enabled(True):
        return f(a, *rest)


def only_reverse() -> bool:
    """Whether neither forward mode nor a transform of torch.func is on."""
    return forward_ad._current_level < 0 and not torch._C._are_functorch_transforms_active()


class Memory:
    """The derivative at the point of one node of the graph: factorized once, at first use.

    If `linearized`, the gradient, or the image of a map, comes from the same factorization.
    """

    def __init__(self, rule: Any, gradient: Any = None, *, linearized: bool = False) -> None:
        self.rule = rule
        self.gradient = gradient
        self.linearized = linearized
        self._key: Any = None
        self._kept: Any = None

    def value_and_gradient(self, x: Any) -> Any:
        """Return both; the value is not used where the gradient is known."""
        if self.gradient is not None:
            return x.new_empty(()), self.gradient.clone()
        small = as_small(self.rule, x)
        if not self.linearized:
            both = self._ask("value_and_gradient", small, x)
        else:
            *both, derivative = self._ask("linearized", small, x)
            self._keep((derivative, None), small, x)
        return both if small is None else from_small(*both)

    def prox(self, x: Any, t: Any) -> Any:
        """Return the image of a map."""
        small = as_small(self.rule, x, t)
        if not self.linearized:
            P = self._ask("prox", small, x, t)
        else:
            P, *derivatives = self._ask("linearized", small, x, t)
            self._keep(derivatives, small, x, t)
        return P if small is None else from_small(P)

    def in_t(self, x: Any, t: Any) -> Any:
        """Return the derivative of a map in t."""
        small = as_small(self.rule, x, t)
        _, in_t = self._derivatives(small, x, t)
        return in_t if small is None else from_small(in_t)

    def apply(self, E: Any, *operands: Any) -> Any:
        """Return the derivative in the matrix, in the direction E."""
        small = as_small(self.rule, E, *operands)
        if small is None:
            return self._derivatives(None, *operands)[0](E)
        E, *arrays = small
        return from_small(NUMPY.apply(self._derivatives(arrays, *operands)[0], E))

    def _ask(self, method: str, small: list[Any] | None, *operands: Any) -> Any:
        """Return the results of a method of the rule: for small operands arrays of NumPy."""
        if small is None:
            return getattr(self.rule, method)(*operands)
        return getattr(NUMPY, method)(self.rule, *small)

    def _derivatives(self, small: list[Any] | None, *operands: Any) -> Any:
        """Return the derivative in the matrix, and that in t (None for a norm)."""
        if self._key != (small is None, _identity(operands)):
            if isinstance(self.rule, ProxRule):
                derivatives = self._ask("linearized", small, *operands)[1:]
            else:
                derivatives = self._ask("derivative", small, *operands), None
            self._keep(derivatives, small, *operands)
        return self._kept

    def _keep(self, derivatives: Any, small: list[Any] | None, *operands: Any) -> None:
        self._key, self._kept = (small is None, _identity(operands)), derivatives


def _identity(operands: Any) -> Any:
    """Return what changes with the operands, or with what is in them."""
    if is_recorded(operands[0]):  # (they stand for others, and may have no memory)
        return object()
    return [
        (x.data_ptr(), x.shape, x.stride(), None if x.is_inference() else x._version)
        for x in operands
    ]


def mapped_first(x: Any, dim: int | None, size: int) -> Any:
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


class NotDifferentiable(torch.autograd.Function):
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


@bound_once
class _Guard(NotDifferentiable):
    """The identity, for the point at which a second derivative is taken.

    It is a node apart, because an engine runs a node only if its derivative is wanted.
    """

    @staticmethod
    def forward(x: Any) -> Any:
        return x.view_as(x)

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Any) -> Any:
        return _Guard.apply(x), in_dims[0]


@bound_once
class _Derivative(torch.autograd.Function):
    """(E; point) -> D(E): linear and self-adjoint in E, not differentiable at the point."""

    @staticmethod
    def forward(memory: Memory, E: Any, *operands: Any) -> Any:
        return untraced(memory.apply, E, *operands)

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
        E = mapped_first(E, in_dims[1], info.batch_size)
        lead = [rank, rank - 2]  # the matrix, and the step of a proximal map
        dims: Any = in_dims[2:]
        if any(dim is not None for dim in dims):  # then all are mapped, to have axes that agree
            operands = tuple(
                mapped_first(x, dim, info.batch_size) for x, dim in zip(operands, dims, strict=True)
            )
            dims = (0,) * len(operands)
        operands = tuple(map(_lead, operands, dims, lead[: len(operands)]))
        return _Derivative.apply(memory, E, *operands), 0


def derivative(memory: Memory, E: Any, *operands: Any) -> Any:
    """Return the derivative at the operands, applied to E; differentiable in E alone."""
    if not torch.is_grad_enabled() and only_reverse():  # (in a backward pass without a graph)
        return untraced(memory.apply, E, *operands)
    return _Derivative.apply(memory, E, *(_Guard.apply(x) for x in operands))
