"""PyTorch: what the graph keeps in memory, and for how long."""

import weakref
from typing import Any

import numpy as np
import pytest
import torch
import torch.utils.checkpoint

import normgrad
from tests.engines.test_torch import every_norm, randn


@every_norm
def test_a_training_step_keeps_one_matrix(ord: Any) -> None:
    """The graph saves the input, which lives anyway, and the gradient; not U, s and V."""
    x, saved = randn(30, 20).requires_grad_(), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        normgrad.matrix_norm(x, ord)
    beside_x = [t for t in saved if t.data_ptr() != x.data_ptr()]
    assert sum(t.untyped_storage().nbytes() for t in beside_x) <= x.untyped_storage().nbytes()


@every_norm
def test_the_matrix_may_change_after_its_norm(ord: Any) -> None:
    """The first derivative is known by then; the second one is refused, as PyTorch does."""
    x = randn(4, 3).requires_grad_()
    y = x * 1
    value, G = normgrad.matrix_norm(y, ord), normgrad.grad(x.detach(), ord)
    y.mul_(2)
    torch.testing.assert_close(torch.autograd.grad(value, x)[0], G)


@pytest.mark.parametrize("shape", [(4, 3), (20, 20)], ids=str)
@pytest.mark.parametrize("ord", ["fro", "nuc"])
@pytest.mark.skipif(torch.__version__ < "2.5", reason="PyTorch does not say what it frees")
def test_the_graph_is_freed_by_backward(ord: Any, shape: Any) -> None:
    """The gradient goes with it; a second backward is PyTorch's own error."""
    x, second = randn(*shape).requires_grad_(), "backward through the graph a second time"
    value = normgrad.matrix_norm(x, ord)
    value.backward(retain_graph=True)
    kept = weakref.ref(value.grad_fn.G)
    assert kept() is not None
    value.backward()
    torch.testing.assert_close(x.grad, 2 * normgrad.grad(x.detach(), ord))
    assert kept() is None
    with pytest.raises(RuntimeError, match=second):
        value.backward()
    value = normgrad.matrix_norm(x, ord)
    (G,) = torch.autograd.grad(value, x, create_graph=True, retain_graph=False)
    (dG,) = torch.autograd.grad(G, x, torch.ones_like(G))
    torch.testing.assert_close(dG, normgrad.hvp(x.detach(), torch.ones_like(G), ord))
    with pytest.raises(RuntimeError, match=second):
        torch.autograd.grad(value, x, create_graph=True)


def test_compiled_autograd() -> None:
    """A backward that is itself compiled, in one piece."""
    x = randn(5, 4).requires_grad_()
    compiler = torch.compile(backend="eager", fullgraph=True)
    with torch._dynamo.compiled_autograd._enable(compiler):
        normgrad.nuclear_norm(x).backward()
    torch.testing.assert_close(x.grad, normgrad.grad(x.detach(), "nuc"))


@pytest.mark.parametrize("map", [normgrad.prox, normgrad.project])
@pytest.mark.parametrize("ord", ["nuc", 2, 1, normgrad.KyFan(2), normgrad.Schatten(3)], ids=str)
def test_derivatives_of_maps_mapped_over_the_matrix_or_the_step(ord: Any, map: Any) -> None:
    x, W = torch.randn(2, 4, 3, 2, dtype=torch.float64)
    t, a = torch.linspace(0.1, 1.5, 4).double(), torch.linspace(0.5, 2.0, 4).double()

    def of_matrix(a: Any) -> Any:
        return torch.func.grad(lambda x: (map(a * x, t, ord) * W).sum())(x)

    def of_step(t: Any) -> Any:
        return torch.func.grad(lambda x: (map(x, t, ord) * W[0]).sum())(x[0])

    def of_number(a: Any) -> Any:
        return torch.func.grad(lambda x: (map(a * x, 0.3, ord) * W).sum())(x)

    for f, y in ((of_matrix, a), (of_step, t), (of_number, a)):
        expected = torch.stack([f(each) for each in y])
        torch.testing.assert_close(torch.func.vmap(f)(y), expected)


@pytest.mark.parametrize("ord", ["fro", "nuc", 1, normgrad.Squared("fro")], ids=str)
@pytest.mark.parametrize("shape", [(4, 3), (80, 70)], ids=str)
@pytest.mark.parametrize("library", [np.asarray, torch.asarray])
def test_the_gradient_of_linearize_is_given_away(
    library: Any, shape: Any, ord: Any, rng: Any
) -> None:
    A, E = (library(rng.standard_normal(shape)) for _ in range(2))
    G, product = normgrad.linearize(A, ord)
    expected = np.asarray(product(E)).copy()
    G *= -3
    np.testing.assert_array_equal(product(E), expected)


def test_the_default_device_is_not_that_of_a_matrix(rng: Any) -> None:
    A = torch.from_numpy(rng.standard_normal((60, 50)))
    with torch.device("meta"):
        for found in (normgrad.matrix_norm(A, 2), normgrad.prox(A, 0.3, "nuc")):
            assert found.device.type == "cpu"
        assert normgrad.track(A)[0].device.type == "cpu"


def test_the_image_of_a_wide_matrix_is_no_view(rng: Any) -> None:
    x = torch.from_numpy(rng.standard_normal((30, 2000)))
    expected = normgrad.prox(x.numpy(), 0.3, "nuc")
    with torch.autograd.forward_ad.dual_level():
        P = normgrad.prox(torch.autograd.forward_ad.make_dual(x, x + 1), 0.3, "nuc")
        primal = torch.autograd.forward_ad.unpack_dual(P).primal
        np.testing.assert_allclose(primal.numpy(), expected, atol=1e-12)
    P = normgrad.prox(torch.randn(60, 50, requires_grad=True), 0.3, float("inf"))
    doubled = 2 * P.detach()
    assert torch.equal(P.mul_(2), doubled)


def test_checkpoints_of_operators() -> None:
    """Hooks for saved tensors, which torch.func refuses, are there after a norm as before."""
    kernel = torch.rand(300, dtype=torch.float64, requires_grad=True)

    def norm(kernel: Any) -> Any:
        A = normgrad.Operator(lambda v, k: k * v.roll(1) + v, (300, 300), (kernel,))
        return normgrad.spectral_norm(A)

    (expected,) = torch.autograd.grad(norm(kernel), kernel)
    value = torch.utils.checkpoint.checkpoint(norm, kernel, use_reentrant=False)
    torch.testing.assert_close(torch.autograd.grad(value, kernel)[0], expected)
    packed: list[Any] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: packed.append(x) or x, lambda x: x):
        norm(kernel)
        before = len(packed)
        kernel.exp()
    assert len(packed) == before + 1
