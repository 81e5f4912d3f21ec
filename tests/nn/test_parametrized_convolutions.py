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
    (
        nn.ConvTranspose1d,
        {"kernel_size": 1, "stride": 2, "dilation": 4, "padding": 1, "output_padding": 3},
        (2,),
    ),
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
    first = fresh.weight
    torch.testing.assert_close(first, layer.weight, rtol=1e-5, atol=0)
    assert torch.equal(fresh.weight, first)


@pytest.mark.parametrize("noise", [0.0, 1e-5, 1e-3, 1e-1])
@pytest.mark.parametrize("groups", [1, 2])
def test_next_to_the_identity(noise: float, groups: int) -> None:
    """Where hundreds of singular values are tied, or nearly so: more than are followed."""
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 4, 3, padding=1, groups=groups)
    nn.init.dirac_(layer.weight, groups)
    with torch.no_grad():
        layer.weight += noise * torch.randn_like(layer.weight)
    spectral_norm(layer, grid=(8, 9))
    weight = layer.parametrizations.weight.original
    for _ in range(4):
        assert norm_of(layer, 4, 8, 9) == pytest.approx(1, rel=1e-5)
        weight.grad = None
        layer.weight.sum().backward()
        assert weight.grad.isfinite().all()
        with torch.no_grad():
            weight += 1e-2 * torch.randn_like(weight) * noise


def test_a_large_grid_next_to_the_identity() -> None:
    """Too large to be formed, and more singular values are tied than products can tell apart."""
    layer = nn.Conv2d(4, 4, 3, padding=1)
    nn.init.dirac_(layer.weight)
    weight = spectral_norm(layer, grid=(40, 40)).weight
    torch.testing.assert_close(weight, layer.parametrizations.weight.original)
    weight.sum().backward()
    assert layer.parametrizations.weight.original.grad.isfinite().all()


def test_one_channel_may_overtake_the_others() -> None:
    """By far, and in a step: the vectors have no part in it."""
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 2, 3, padding=1, groups=2, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(2, 1, 3, 3) * 0.01)
        layer.weight[:, :, 1, 1] += 1
        layer.weight[1] *= 0.5
    spectral_norm(layer, grid=(20, 20))
    for _ in range(5):
        layer.weight  # noqa: B018
    layer.eval()
    for _ in range(3):
        with torch.no_grad():
            layer.parametrizations.weight.original[1] *= 2.2
        assert norm_of(layer, 2, 20, 20) == pytest.approx(1, rel=1e-5)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_compiled_and_without_memory() -> None:
    torch.manual_seed(0)
    for options in ({"padding": 1}, {"padding": 1, "padding_mode": "circular"}, {"stride": 3}):
        layer = spectral_norm(nn.Conv2d(3, 4, 3, **options), grid=(8, 8))
        x = torch.randn(2, 3, 8, 8)
        received = torch.compile(layer, backend="aot_eager")(x)
        torch.testing.assert_close(received, layer(x), rtol=1e-5, atol=1e-6)
    with torch.device("meta"):
        layer = spectral_norm(nn.Conv2d(3, 4, 3, padding=1), grid=(32, 32))
        assert layer(torch.randn(2, 3, 32, 32)).shape == (2, 4, 32, 32)


def test_an_identity_at_first_is_followed_later() -> None:
    layer = nn.Conv2d(16, 16, 3, padding=1)
    nn.init.dirac_(layer.weight)
    layer = spectral_norm(layer, grid=(16, 16), tol=1e-5)
    assert layer.parametrizations.weight[0].vectors is not None
    assert norm_of(layer, 16, 16, 16) == pytest.approx(1, rel=1e-5)
