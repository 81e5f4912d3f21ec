"""PyTorch tensors: eager ones by autograd functions, those in a compiler by opaque operators."""

from collections.abc import Callable
from typing import Any, final

import torch
from torch.autograd import forward_ad

from normgrad.arithmetic import Array
from normgrad.calculus import NormRule, ProxRule, TrackedSpectral
from normgrad.engines import torch_compile, torch_derivative, torch_norm, torch_prox
from normgrad.engines.base import Engine
from normgrad.norms import SpectralFunction

__all__ = ["ENGINE", "TorchEngine"]


def _is_symbolic(x: Any) -> bool:
    """Whether x stands for a tensor that is not there yet: in a compiler, or without storage."""
    if not (torch.compiler.is_compiling() or x.is_meta):
        return False
    if forward_ad._current_level >= 0:
        raise NotImplementedError(
            "torch.compile has no forward mode for operators from outside PyTorch, and would "
            "take the norm for a constant; call the norm outside the compiled function"
        )
    return True


def _refuse_hidden(rule: NormRule, x: Any) -> None:
    """Raise TypeError if functions of a user depend on a tensor that is differentiated.

    A norm is a function of the matrix alone: the gradient would not reach that tensor.
    """
    norm, forward = rule.norm, forward_ad._current_level >= 0
    if not (isinstance(norm, SpectralFunction) and (forward or torch.is_grad_enabled())):
        return
    one = torch.ones(1, dtype=(x.real if x.is_complex() else x).dtype, device=x.device)
    for name in ("f", "df", "d2f"):
        function = getattr(norm, name)
        y = None if function is None else function(one)
        if not isinstance(y, torch.Tensor):
            continue
        if y.requires_grad or (forward and forward_ad.unpack_dual(y).tangent is not None):
            raise TypeError(
                f"{name} of the {norm} depends on a tensor that is differentiated, and the "
                "gradient would not reach it. If it is not wanted, detach that tensor: "
                "t.detach(). If it is, write the sum over torch.linalg.svdvals(x) instead"
            )


@final
class TorchEngine(Engine):
    """PyTorch tensors."""

    name = "torch"

    def owns(self, x: Any) -> bool:
        return isinstance(x, torch.Tensor)

    def dense(self, x: Any) -> Array:
        if not isinstance(x, torch.Tensor):
            x = torch.as_tensor(x)
        if x.layout is not torch.strided:
            raise TypeError(
                f"got a tensor of layout {x.layout}, shape {tuple(x.shape)}; this takes dense "
                "tensors: x.to_dense() gives one"
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

    def real(self, x: Array) -> Array:
        return torch.real(x)

    def concatenate(self, arrays: list[Array]) -> Array:
        return torch.cat(arrays, dim=-1)

    def number(self, t: Any, like: Array, shape: tuple[int, ...]) -> Array:
        real = like.real if like.is_complex() else like
        return torch.as_tensor(t, dtype=real.dtype, device=like.device).expand(shape)

    def value(self, rule: NormRule, x: Array) -> Array:
        _refuse_hidden(rule, x)
        if _is_symbolic(x):
            return torch_compile.value(rule, x)
        value = torch_norm.value(rule, x)
        return value if value.ndim < 2 else value.contiguous()

    def value_and_gradient(self, rule: NormRule, x: Array) -> tuple[Array, Array]:
        _refuse_hidden(rule, x)
        if _is_symbolic(x):
            return torch_compile.value_and_gradient(rule, x)
        return torch_norm.value_and_gradient(rule, x)

    def hessian(self, rule: NormRule, x: Array) -> Callable[[Array], Array]:
        _refuse_hidden(rule, x)
        if _is_symbolic(x):
            return lambda E: torch_compile.hessian_product(rule, x, E)
        memory = torch_derivative.Memory(rule)
        return lambda E: torch_derivative.derivative(memory, E, x)

    def linearize(self, rule: NormRule, x: Array) -> tuple[Array, Callable[[Array], Array]]:
        _refuse_hidden(rule, x)
        if _is_symbolic(x):  # (operators return tensors alone: two factorizations)
            return self.value_and_gradient(rule, x)[1], self.hessian(rule, x)
        return torch_norm.linearize(rule, x)

    def track(self, rule: TrackedSpectral, x: Array, state: Array | None) -> tuple[Array, ...]:
        return rule.track(x.detach(), state)

    def constant(self, f: Callable[..., Array], *arrays: Array) -> Array:
        return torch_derivative.untraced(f, *(x.detach() for x in arrays))

    def prox(self, rule: ProxRule, x: Array, t: Array) -> Array:
        if _is_symbolic(x):
            return torch_compile.prox(rule, x, t)
        return torch_prox.prox(rule, x, t)


ENGINE = TorchEngine()
