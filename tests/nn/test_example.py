"""The certificates of the example hold."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

EXAMPLE = Path(__file__).parents[2] / "examples" / "plot_lipschitz_digits.py"


@pytest.fixture(scope="module")
def example() -> Any:
    pytest.importorskip("sklearn")
    if not EXAMPLE.exists():
        pytest.skip("not a source checkout")
    spec = importlib.util.spec_from_file_location("plot_lipschitz_digits", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_change_within_the_radius_changes_the_answer(example: Any) -> None:
    X, y, X_test, y_test = example.digits()
    net = example.network(example.spectral_norm)
    errors, _ = example.train(net, X, y, 2)
    assert max(map(abs, errors)) < 2e-6
    accuracy, radius = example.certificates(net, X_test, y_test)
    assert accuracy > 0.8
    x = X_test.clone().requires_grad_()
    first, second = net(x).topk(2, dim=1).values.T
    (g,) = torch.autograd.grad((first - second).sum(), x)  # the steepest way to another answer
    step = 0.999 * radius[:, None] * g / g.norm(dim=1, keepdim=True)
    sure = radius > 0
    assert (net(X_test - step).argmax(1) == y_test)[sure].all()
