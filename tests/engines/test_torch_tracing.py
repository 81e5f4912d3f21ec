"""A trace of a norm holds for other matrices: small ones are no constants in it."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

import normgrad
from normgrad.arithmetic import is_recorded

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


SAMPLES = {
    "identity": torch.eye(6),
    "all the same": torch.ones(6, 6),
    "zero": torch.zeros(6, 6),
    "tiny": torch.ones(6, 5, dtype=torch.float64) * 1e-300,
    "a stack": torch.ones(3, 40, 30),
    "rank one": torch.ones(450, 450),
    "long": torch.ones(600, 20),
}


@pytest.mark.parametrize("tracer", list(TRACERS))
@pytest.mark.parametrize("ord", ["fro", "nuc", 2, 1, -1], ids=str)
@pytest.mark.parametrize("sample", list(SAMPLES))
def test_nothing_that_is_special_about_the_sample_is_recorded(
    sample: str, ord: Any, tracer: str
) -> None:
    """Neither its structure, nor its scale, nor that a factorization holds for it."""
    A = SAMPLES[sample].double()
    torch.manual_seed(0)
    B = torch.randn(A.shape, dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = TRACERS[tracer](lambda x: normgrad.matrix_norm(x, ord), A)
        for scale in (1, 1e250, 1e-250):
            expected = normgrad.matrix_norm(scale * B, ord)
            ratio = traced(scale * B) / expected
            torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=1e-10, atol=0)


def test_the_compiler_may_ask_whether_calls_are_recorded() -> None:
    """They are, by itself; a compiled function that is skipped is compiled from the inside."""
    torch._dynamo.reset()
    x = torch.ones(2, 3)
    assert not is_recorded(x)
    recorded = torch.compile(lambda x: x + is_recorded(x), fullgraph=True, backend="eager")
    assert torch.equal(recorded(x), x + 1)
    f = torch.compile(normgrad.nuclear_norm, backend="aot_eager")
    torch.func.grad(f)(x)  # (the compiler skips functions under transforms, and from then on)
    f = torch.compile(normgrad.nuclear_norm, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(f(x), normgrad.nuclear_norm(x))


@pytest.mark.parametrize("ord", ["fro", "nuc", 2, 1, normgrad.Schatten(3)], ids=str)
@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_second_derivatives(mode: Any, ord: Any) -> None:
    """Those of tensors without memory, too."""
    A, B, E = torch.randn(3, 5, 4, dtype=torch.float64)

    def twice(x: Any, E: Any) -> Any:
        x = x.detach().requires_grad_()
        (G,) = torch.autograd.grad(normgrad.matrix_norm(x, ord), x, create_graph=True)
        return torch.autograd.grad((G * E).sum(), x)[0]

    for f in (twice, lambda x, E: normgrad.linearize(x, ord)[1](E)):
        traced = make_fx(f, tracing_mode=mode)(A, E)
        torch.testing.assert_close(traced(B, E), normgrad.hvp(B, E, ord))


class Norm(torch.nn.Module):
    """A norm as a module, which is what can be exported."""

    def __init__(self, f: Any, ord: Any) -> None:
        super().__init__()
        self.f, self.ord = f, ord

    def forward(self, x: Any) -> Any:
        return self.f(x, self.ord)


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("ord", ["fro", "nuc", 1, normgrad.KyFan(2)], ids=str)
@pytest.mark.parametrize("f", [normgrad.matrix_norm, normgrad.grad])
def test_exported_for_other_sizes(f: Any, ord: Any, strict: bool) -> None:
    sizes = dict.fromkeys(range(3), torch.export.Dim.DYNAMIC)
    sample = torch.randn(3, 6, 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # (of a dictionary of dtypes, which grows)
        exported = torch.export.export(
            Norm(f, ord), (sample,), dynamic_shapes={"x": sizes}, strict=strict
        ).module()
    for shape in ((2, 9, 5), (4, 3, 8), (2, 40, 30)):
        x = torch.randn(shape)
        torch.testing.assert_close(exported(x), f(x, ord))
