"""Cotangents in a batch, and calculation under autocast."""

from typing import Any

import pytest
import torch

import normgrad

ORDS = ["fro", "nuc", 2, 1, float("inf"), normgrad.Schatten(3), normgrad.KyFan(2)]


@pytest.mark.parametrize("ord", ORDS, ids=str)
@pytest.mark.parametrize("shape", [(3, 5, 6), (3, 30, 20)], ids=str)
def test_batched_cotangents(ord: Any, shape: Any) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    y = normgrad.matrix_norm(x, ord)
    (J,) = torch.autograd.grad(y, x, torch.eye(3).double(), is_grads_batched=True)
    expected = torch.autograd.functional.jacobian(lambda x: normgrad.matrix_norm(x, ord), x)
    torch.testing.assert_close(J, expected)
    vectorized = torch.autograd.functional.jacobian(
        lambda x: normgrad.matrix_norm(x, ord), x, vectorize=True
    )
    torch.testing.assert_close(vectorized, expected)


@pytest.mark.parametrize("ord", ORDS, ids=str)
@pytest.mark.parametrize("n", [5, 60, 450])
def test_autocast_changes_nothing(ord: Any, n: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(n, n, requires_grad=True)
    E = torch.randn(n, n)

    def results() -> Any:
        value, G = normgrad.value_and_grad(x, ord)
        (first,) = torch.autograd.grad(normgrad.matrix_norm(x, ord), x)
        P = normgrad.prox(x, 0.5, ord if n == 60 else "fro")
        H = normgrad.hvp(x, E, ord if n < 100 else "fro")
        return value, G, first, P, H

    expected = results()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        received = results()
    for a, b in zip(received, expected, strict=True):
        assert a.dtype == torch.float32
        assert torch.equal(a, b)


@pytest.mark.parametrize("shape", [(200, 2, 2), (4, 100, 20), (30, 20)], ids=str)
def test_autocast_changes_nothing_of_what_is_compiled(shape: Any) -> None:
    torch.manual_seed(0)
    torch._dynamo.reset()
    x = torch.randn(shape, requires_grad=True)
    E = torch.randn(shape)

    def results(x: Any, E: Any) -> Any:
        value, G = normgrad.value_and_grad(x, "nuc")
        P = normgrad.prox(x, 0.5, "nuc")
        return value, G, normgrad.matrix_norm(x.detach(), 2), P, normgrad.hvp(x, E, "nuc")

    compiled = torch.compile(results, backend="eager")
    received = []
    for enabled in (True, False):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            value = compiled(x, E)
        received.append([*value, *torch.autograd.grad((value[3] * E).sum(), x)])
    for a, b in zip(*received, strict=True):
        assert a.dtype == torch.float32
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)
