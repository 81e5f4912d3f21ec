"""Sums of norms over the matrices of a module, and of a pytree."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from normgrad.nn.torch import (
    lipschitz_bound,
    nuclear_penalty,
    spectral_norm,
    spectral_penalty,
)
from tests.nn.layers import frequently, matrix_of

PENALTIES = [(nuclear_penalty, "nuc"), (spectral_penalty, 2)]


def norm(W: Any, ord: Any) -> float:
    return float(np.linalg.norm(np.asarray(W), ord))


def net() -> Any:
    return frequently(
        lambda: nn.Conv2d(2, 3, 3, padding=1),
        nn.ReLU,
        lambda: nn.Conv2d(3, 2, 3, stride=2),
        lambda: nn.BatchNorm2d(2),
        nn.Flatten,
        lambda: nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 3)),
    )


@pytest.mark.parametrize(("penalty", "ord"), PENALTIES)
def test_the_sum_over_all_matrices(penalty: Any, ord: Any) -> None:
    f = net()
    linear = sum(norm(W.detach(), ord) for W in (f[5][0].weight, f[5][2].weight))
    reshaped = sum(norm(f[i].weight.detach().flatten(1), ord) for i in (0, 2))
    operators = norm(matrix_of(f[0], 2, 5, 6), ord), norm(matrix_of(f[2], 3, 5, 6), ord)
    for grid, expected in [
        ("reshape", linear + reshaped),
        ((5, 6), linear + sum(operators)),
        (
            {"0.weight": (5, 6), "2.weight": "reshape"},
            linear + operators[0] + norm(f[2].weight.detach().flatten(1), ord),
        ),
    ]:
        total = penalty(f, grid=grid)
        assert total.item() == pytest.approx(expected, rel=1e-12)
        f.zero_grad()
        total.backward()
        euler = sum((p.grad * p).sum().item() for p in f.parameters() if p.grad is not None)
        assert euler == pytest.approx(expected, rel=1e-12)
    assert penalty(f, skip=["0", "2.weight"]).item() == pytest.approx(linear, rel=1e-12)
    assert penalty(f, skip=["0", "2", "5"]).item() == 0


def test_sizes_go_by_the_names_of_weights() -> None:
    with pytest.raises(ValueError, match=r"grid has sizes for \['0'\].*names: .*'0.weight'"):
        nuclear_penalty(nn.Sequential(nn.Conv2d(1, 1, 3)), grid={"0": (8, 8)})


@pytest.mark.parametrize(("penalty", "ord"), PENALTIES)
def test_shared_and_parametrized_weights(penalty: Any, ord: Any) -> None:
    torch.manual_seed(0)
    f = nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 6, bias=False))
    f[1].weight = f[0].weight
    assert penalty(f).item() == pytest.approx(norm(f[0].weight.detach(), ord), rel=1e-5)
    g = nn.Sequential(spectral_norm(nn.Linear(5, 4)), spectral_norm(nn.Linear(4, 3)))
    expected = sum(norm(layer.weight.detach(), ord) for layer in g)
    assert penalty(g).item() == pytest.approx(expected, rel=1e-5)
    assert penalty(g, skip=["1.weight"]).item() < expected - 0.5
    assert penalty(nn.Linear(2, 2).requires_grad_(False)).item() > 0


def test_a_stored_weight_counts_once() -> None:
    """Also where each of the layers that share it parametrizes it."""
    f = frequently(lambda: nn.Linear(3, 3), lambda: nn.Linear(3, 3), lambda: nn.Linear(3, 3))
    f[1].weight = f[0].weight
    for layer in f:
        spectral_norm(layer)
    assert spectral_penalty(f).item() == pytest.approx(2, rel=1e-12)
    assert spectral_penalty(f, skip=["0"]).item() == pytest.approx(2, rel=1e-12)
    assert spectral_penalty(f, skip=["0", "1"]).item() == pytest.approx(1, rel=1e-12)


def test_names_of_what_is_stored_are_no_names_of_weights() -> None:
    """They would leave out nothing."""
    f = nn.Sequential(spectral_norm(nn.Linear(3, 3)))
    weight = "0.parametrizations.weight"
    for name in ("", "0.parametrizations", weight, f"{weight}.0", f"{weight}.original"):
        with pytest.raises(ValueError, match=rf"\['{name}'\]; its parameters.*'0\.weight'"):
            nuclear_penalty(f, skip=[name])


def test_weights_without_a_shape() -> None:
    f = nn.Sequential(nn.Linear(3, 2), nn.LazyLinear(4))
    with pytest.raises(ValueError, match=r"'1\.weight' does not know its shape yet; pass an input"):
        nuclear_penalty(f)
    assert nuclear_penalty(f, skip=["1"]).item() == nuclear_penalty(f[0]).item()


def test_transposed_kernels_have_their_outputs_as_rows() -> None:
    layer = nn.ConvTranspose2d(2, 3, 2)
    expected = norm(layer.weight.detach().movedim(1, 0).flatten(1), "nuc")
    assert nuclear_penalty(layer, grid="reshape").item() == pytest.approx(expected, rel=1e-5)


def test_half_precision() -> None:
    total = nuclear_penalty(nn.Linear(5, 4).bfloat16())
    assert total.dtype == torch.float32


@pytest.mark.parametrize(
    ("module", "options", "error", "words"),
    [
        (nn.Sequential(nn.Conv2d(1, 1, 3)), {}, ValueError, "'0.weight' is the kernel.*reshape"),
        (nn.Conv2d(1, 1, 3), {"grid": {}}, ValueError, "'weight' is the kernel"),
        (nn.Conv2d(1, 1, 3), {"grid": "flat"}, ValueError, "'flat' is not known"),
        (nn.Conv2d(1, 1, 3), {"grid": 3}, ValueError, "positive integers; got 3"),
        (nn.Sequential(nn.LSTM(2, 3)), {}, TypeError, "'0.weight_ih_l0'.*LSTM.*skip="),
        (nn.Bilinear(2, 3, 4), {}, TypeError, r"'weight', of shape \(4, 2, 3\), of a Bilinear"),
        (nn.Linear(2, 3), {"skip": ["wieght"]}, ValueError, r"of these names: \['wieght'\]"),
        (nn.Linear(2, 3), {"skip": "weight"}, TypeError, "list of names"),
        (nn.Linear(2, 3), {"grid": {"w": 3}}, ValueError, r"\['w'\]"),
        (None, {}, TypeError, "expected a torch.nn.Module.*got a NoneType"),
        (torch.eye(2), {}, TypeError, "got a Tensor.*matrix_norm"),
    ],
)
def test_nothing_is_skipped_silently(
    module: Any, options: Any, error: type[Exception], words: str
) -> None:
    for penalty, _ in PENALTIES:
        with pytest.raises(error, match=words):
            penalty(module, **options)


def test_what_is_skipped_by_name() -> None:
    f = nn.Sequential(nn.LSTM(2, 3), nn.Linear(3, 2))
    assert nuclear_penalty(f, skip=["0"]).item() == pytest.approx(
        norm(f[1].weight.detach(), "nuc"), rel=1e-5
    )


@pytest.mark.parametrize("of", [nuclear_penalty, spectral_penalty, lipschitz_bound])
def test_in_a_compiled_step_of_training(of: Any) -> None:
    f = frequently(lambda: spectral_norm(nn.Linear(5, 6)), nn.ReLU, lambda: nn.Linear(6, 4))
    torch._dynamo.reset()
    gradients = []
    for norm in (of, torch.compile(of, fullgraph=True, backend="aot_eager")):
        f.zero_grad()
        norm(f).backward()
        gradients.append([p.grad for p in f.parameters() if p.ndim == 2])
    torch.testing.assert_close(*gradients)
