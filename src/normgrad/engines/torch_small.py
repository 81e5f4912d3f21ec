"""Small tensors by NumPy, whose calls cost less than those of PyTorch."""

from typing import Any

import numpy as np
import torch

from normgrad.arithmetic import is_recorded
from normgrad.calculus import is_small
from normgrad.engines.numpy import ENGINE as NUMPY

__all__ = [
    "NUMPY",
    "as_small",
    "as_unrecorded_small",
    "from_small",
    "is_legacy_batched",
    "is_plain",
]

_PLAIN = (torch.Tensor, torch.nn.Parameter)

is_legacy_batched = torch._C._functorch.is_legacy_batchedtensor
"""Whether it is one of ``torch.autograd.grad(..., is_grads_batched=True)``."""


def is_plain(x: Any) -> bool:
    """Whether it is a tensor in host memory, of no class with ways of its own."""
    return x.is_cpu and type(x) in _PLAIN


def as_small(rule: Any, *tensors: Any) -> list[Any] | None:
    """Return small tensors as arrays of NumPy, else None; and where their calls are recorded."""
    return None if is_recorded(tensors[0]) else as_unrecorded_small(rule, *tensors)


def as_unrecorded_small(rule: Any, *tensors: Any) -> list[Any] | None:
    """Return the same where it is known that no calls are recorded."""
    if not rule.any_library:
        return None
    arrays = []
    for x in tensors:
        if not is_small(x.shape) or not is_plain(x) or is_legacy_batched(x):
            return None
        x = x.detach()
        if x.is_conj() or x.is_neg():
            x = x.resolve_conj().resolve_neg()
        arrays.append(x.numpy())
    return arrays


def from_small(*arrays: Any) -> Any:
    """Return arrays, or the only one, as tensors that share memory with nothing else."""
    tensors = [torch.from_numpy(_owner(np.asarray(x))) for x in arrays]
    return tensors[0] if len(tensors) == 1 else tuple(tensors)


def _owner(x: Any) -> Any:
    return x if x.flags.owndata else x.copy()
