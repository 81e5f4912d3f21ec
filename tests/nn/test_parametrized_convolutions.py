"""Convolutions of given spectral norm: that of their operator."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from normgrad.nn.torch import spectral_norm
from tests.nn.layers import matrix_of, norm_of

CONVOLUTIONS = [
    (nn.Conv2d, {"kernel_size": 3, "padding": 1}, (5, 6)),
    (nn.Conv2d, {"kernel_size": 3, "padding": "same", "padding_mode": "circular"}, (5, 6)),
    (nn.Conv2d, {"kernel_size": (2, 4), "padding": "same"}, (4, 5)),
    (nn.Conv1d, {"kernel_size": 5, "padding": 2}, (9,)),
    (nn.Conv2d, {"kernel_size": 3}, (5, 6)),
    (nn.Conv2d, {"kernel_size": 3, "padding": 2}, (4, 4)),
    (nn.Conv2d, {"kernel_size": 3, "padding": 1, "stride": 2}, (5, 6)),
    (nn.Conv2d, {"kernel_size": 3, "padding": 2, "dilation": 2, "groups": 2}, (5, 6)),
    (nn.Conv2d, {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"}, (4, 5)),
    (nn.Conv2d, {"kernel_size": 3, "padding": (0, 1), "padding_mode": "circular"}, (4, 5)),
    (nn.Conv3d, {"kernel_size": 2, "padding": 1}, (3, 2, 3)),
    (nn.ConvTranspose2d, {"kernel_size": 3, "padding": 1}, (4, 5)),
    (nn.ConvTranspose2d, {"kernel_size": 3, "stride": 2, "output_padding": 1}, (3, 4)),
    (nn.ConvTranspose1d, {"kernel_size": 4}, (6,)),
    # windows that do not overlap, along one axis or along all
    (nn.Conv2d, {"kernel_size": 1}, (5, 6)),
    (nn.Conv2d, {"kernel_size": 1, "stride": 2, "groups": 2, "padding": 1}, (5, 6)),
    (nn.Conv2d, {"kernel_size": 2, "stride": 2}, (5, 6)),
    (nn.Conv2d, {"kernel_size": 2, "stride": 3, "padding": 1}, (3, 3)),
    (nn.Conv2d, {"kernel_size": 2, "stride": 3, "padding": 1}, (4, 4)),
    (nn.Conv2d, {"kernel_size": 2, "stride": 2, "padding": 1, "padding_mode": "circular"}, (4, 4)),
    (nn.Conv2d, {"kernel_size": (1, 3), "padding": (0, 1)}, (5, 6)),
    (nn.Conv2d, {"kernel_size": (3, 2), "padding": (1, 1), "stride": (1, 2)}, (5, 6)),
    (nn.Conv1d, {"kernel_size": 2, "dilation": 2, "stride": 3}, (9,)),
    (nn.ConvTranspose2d, {"kernel_size": 2, "stride": 2}, (3, 4)),
    (nn.ConvTranspose2d, {"kernel_size": (2, 3), "stride": (2, 1), "groups": 2}, (3, 4)),
    (nn.ConvTranspose1d, {"kernel_size": 2, "stride": 3, "padding": 1}, (3,)),
    (nn.ConvTranspose1d, {"kernel_size": 2, "stride": 3, "padding": 1}, (2,)),
    (nn.ConvTranspose1d, {"kernel_size": 3, "stride": 3, "padding": 2}, (2,)),
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize(("make", "options", "grid"), CONVOLUTIONS)
def test_convolutions_have_the_norm_of_the_operator(make: Any, options: Any, grid: Any) -> None:
    torch.manual_seed(2)
    layer = make(2, 4, **options, dtype=torch.float64)
    spectral_norm(layer, bound=0.9, grid=grid)
    assert norm_of(layer, 2, *grid) == pytest.approx(0.9, rel=1e-12)
    W = layer.parametrizations.weight.original
    E = torch.randn_like(W)
    layer.weight.square().sum().backward()
    h = 1e-5
    f = [layer.parametrizations.weight[0](W.detach() + t * E).square().sum() for t in (h, -h)]
    assert (W.grad * E).sum().item() == pytest.approx((f[0] - f[1]).item() / (2 * h), rel=1e-6)
    assert layer(torch.ones(1, 2, *grid, dtype=torch.float64)).isfinite().all()


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize(("make", "options", "grid"), CONVOLUTIONS)
def test_a_circular_upper_bound(make: Any, options: Any, grid: Any) -> None:
    """For zeros around the input: not below the norm, and not far above."""
    torch.manual_seed(2)
    layer = make(2, 4, **options, dtype=torch.float64)
    plain = {"stride", "dilation", "groups", "padding_mode"}.isdisjoint(options)
    if not plain or make is nn.Conv3d:
        with pytest.raises(ValueError, match="zeros around its input, stride 1"):
            spectral_norm(layer, grid=grid, padding="circular")
        return
    spectral_norm(layer, grid=grid, padding="circular")
    assert 0.6 < norm_of(layer, 2, *grid) <= 1 + 1e-12


def test_half_precision_convolutions() -> None:
    layer = nn.Conv2d(2, 3, 3, padding=1)
    exact = spectral_norm(copy.deepcopy(layer), grid=(5, 5)).weight.detach()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        received = spectral_norm(copy.deepcopy(layer), grid=(5, 5)).weight
        torch.testing.assert_close(received, exact)
    low = spectral_norm(layer.bfloat16(), grid=(5, 5))
    low.weight.sum().backward()
    torch.testing.assert_close(low.weight.float(), exact, atol=1e-2, rtol=0)


@pytest.mark.parametrize(
    ("options", "grid"),
    [
        ({"padding": 1}, (9, 8)),
        ({"padding": 1, "stride": 2}, (13, 12)),
        ({"padding": 1, "padding_mode": "reflect"}, (9, 8)),
        ({"padding": (0, 1), "kernel_size": (1, 3)}, (4, 60)),
    ],
    ids=str,
)
def test_training_keeps_the_bound(options: Any, grid: Any, monkeypatch: Any) -> None:
    """Followed from step to step, never afresh: the norm, and the gradient through it."""
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 5, **{"kernel_size": 3} | options)
    spectral_norm(layer, grid=grid)
    parametrization: Any = layer.parametrizations.weight[0]
    again = copy.deepcopy(parametrization)
    weight = layer.parametrizations.weight.original
    optimizer = torch.optim.Adam([weight], lr=1e-2)
    C = torch.randn_like(weight)
    for _ in range(25):
        W = weight.detach().double().requires_grad_()
        (G,) = torch.autograd.grad((again._afresh(W) * C.double()).sum(), W)
        s = np.linalg.svd(matrix_of(layer, 4, *grid), compute_uv=False)
        assert s[0] == pytest.approx(1, rel=1e-5)
        monkeypatch.setattr(parametrization, "_afresh", None)
        optimizer.zero_grad()
        (layer.weight * C).sum().backward()
        gap = 1 - s[s < s[0] * (1 - 1e-6)][0] / s[0]  # (the tied are copies)
        error = (weight.grad - G).abs().max() / G.abs().max()
        assert error <= 1e-5 / gap or gap < 1e-4
        optimizer.step()
    monkeypatch.undo()
    layer.eval()
    fresh = spectral_norm(nn.Conv2d(4, 5, **{"kernel_size": 3} | options), grid=grid).eval()
    fresh.load_state_dict(layer.state_dict())
    for _ in range(2):
        assert torch.equal(fresh.weight, layer.weight)
