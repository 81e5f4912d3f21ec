"""PyTorch: what the graph keeps in memory, and for how long."""

import weakref
from typing import Any

import pytest
import torch

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
