"""A trace of a norm holds for other matrices: small ones are no constants in it."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

import normgrad

TRACERS: dict[str, Callable[[Any, Any], Any]] = {
    "jit.trace": lambda f, x: torch.jit.trace(f, (x,), check_trace=False),
    "make_fx": lambda f, x: make_fx(f)(x),
}


@pytest.mark.parametrize("tracer", list(TRACERS))
@pytest.mark.parametrize("ord", ["fro", "nuc", 2, 1, normgrad.Schatten(3)], ids=str)
@pytest.mark.parametrize("size", [3, 20])
def test_values(size: int, ord: Any, tracer: str) -> None:
    for f in (
        lambda x: normgrad.matrix_norm(x, ord),
        lambda x: normgrad.value_and_grad(x, ord)[0],
    ):
        A, B = torch.randn(2, size, size + 1, dtype=torch.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            traced = TRACERS[tracer](f, A)
            torch.testing.assert_close(traced(B), f(B))
