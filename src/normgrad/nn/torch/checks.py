"""What is asked of modules before their weights are read."""

from typing import Any

from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

__all__ = ["check_initialized", "check_module"]


def check_module(module: Any) -> None:
    """Raise TypeError for what is no module."""
    if not isinstance(module, nn.Module):
        is_class = isinstance(module, type)
        given = f"the class {module.__name__}" if is_class else f"a {type(module).__name__}"
        raise TypeError(
            "expected a torch.nn.Module, as a layer or a torch.nn.Sequential of layers; got "
            f"{given}. The norm of a tensor is normgrad.matrix_norm(tensor, ord)"
        )


def check_initialized(name: str, parameter: Any) -> None:
    """Raise ValueError for a parameter without a shape, by its name."""
    if isinstance(parameter, (UninitializedParameter, UninitializedBuffer)):
        raise ValueError(
            f"{name!r} does not know its shape yet; pass an input through the module first"
        )
