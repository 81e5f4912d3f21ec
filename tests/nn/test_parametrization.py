"""Weights of given spectral norm: exact, with exact gradients, and good citizens of PyTorch."""

import copy
import io
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

import normgrad
from normgrad.nn.torch import SpectralNorm, spectral_norm


def linear(m: int = 7, n: int = 5, **options: Any) -> Any:
    torch.manual_seed(1)
    return spectral_norm(nn.Linear(n, m, dtype=torch.float64), **options)


def numpy_norm(weight: Any) -> float:
    return float(np.linalg.norm(weight.detach().double().numpy(), 2))


@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (1, 6), (4, 2), (1, 1), (60, 60)], ids=str)
@pytest.mark.parametrize("mode", ["normalise", "cap"])
@pytest.mark.parametrize("bound", [0.1, 1.0, 50.0])
def test_the_norm_is_the_bound(shape: Any, mode: Any, bound: float) -> None:
    torch.manual_seed(1)
    layer = nn.Linear(shape[1], shape[0], dtype=torch.float64)
    W = layer.weight.detach().clone()
    before = numpy_norm(W)
    spectral_norm(layer, bound=bound, mode=mode)
    if mode == "cap" and before <= bound:
        assert torch.equal(layer.weight, W)
    else:
        np.testing.assert_allclose(layer.weight.detach(), W * (bound / before), rtol=1e-13)


@pytest.mark.parametrize("mode", ["normalise", "cap"])
@pytest.mark.parametrize("training", [True, False])
def test_the_gradient_goes_through_the_norm(mode: Any, training: bool) -> None:
    """Against differences, to second order."""
    layer = linear(4, 3, mode=mode, bound=0.3).train(training)
    parametrization = layer.parametrizations.weight[0]
    W = layer.parametrizations.weight.original
    assert torch.autograd.gradcheck(parametrization, W)
    assert torch.autograd.gradgradcheck(parametrization, W)


def test_ties_are_shared() -> None:
    """At an orthogonal matrix Q of n columns the subgradient of least norm is Q / n."""
    for n in (2, 3, 6):
        Q = torch.linalg.qr(torch.randn(n, n, dtype=torch.float64))[0].requires_grad_()
        E = torch.randn(n, n, dtype=torch.float64)
        parametrization = SpectralNorm(Q)
        (parametrization(Q) * E).sum().backward()
        Q_ = Q.detach()
        torch.testing.assert_close(Q.grad, E - Q_ / n * (E * Q_).sum(), atol=1e-12, rtol=0)
    # two of five, noticed within a few steps
    W = torch.diag(torch.tensor([3.0, 3.0, 1.0, 0.5, 0.2]).double()).requires_grad_()
    parametrization = SpectralNorm(W)
    for _ in range(20):
        parametrization(W)
    (G,) = torch.autograd.grad(parametrization(W)[0, 0], W)
    expected = torch.zeros(5, 5, dtype=torch.float64)
    expected[0, 0], expected[1, 1] = 1 / 6, -1 / 6  # (E - W <G, E> / 3) / 3
    torch.testing.assert_close(G, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("mode", ["normalise", "cap"])
@pytest.mark.parametrize("shape", [(3, 4), (4, 4, 3, 3)], ids=str)
def test_a_zero_weight(mode: Any, shape: Any) -> None:
    layer: Any = nn.Linear(4, 3) if len(shape) == 2 else nn.Conv2d(4, 4, 3, padding=1)
    nn.init.zeros_(layer.weight)
    spectral_norm(layer, bound=2.0, mode=mode, grid=None if len(shape) == 2 else (5, 5))
    assert not layer.weight.any()
    layer.weight.sum().backward()
    slope = 2.0 if mode == "normalise" else 1.0
    original = layer.parametrizations.weight.original
    torch.testing.assert_close(original.grad, torch.full(shape, slope))


def test_the_kink_of_cap() -> None:
    """At and below the bound the identity; above it, the derivative of W / ||W||."""
    W = torch.diag(torch.tensor([2.0, 1.0], dtype=torch.float64))
    for scale, slope in ((0.999, 1.0), (1.0, 1.0), (1.001, 0.0)):
        X = (scale * W).requires_grad_()
        (G,) = torch.autograd.grad(SpectralNorm(W, bound=2.0, mode="cap")(X)[0, 0], X)
        assert G[0, 0].item() == pytest.approx(slope, abs=1e-15)


@pytest.mark.parametrize("scale", [1e-310, 1e-300, 1e-30, 1e30, 1e300])
def test_scale(scale: float) -> None:
    layer = nn.Linear(4, 3, dtype=torch.float64)
    expected = spectral_norm(copy.deepcopy(layer)).weight
    with torch.no_grad():
        layer.weight.mul_(scale)
    received = spectral_norm(layer).weight
    rtol = 1e-12 if scale > 1e-308 else 1e-1  # (subnormal entries have few digits)
    torch.testing.assert_close(received, expected, rtol=rtol, atol=0)
    received.sum().backward()
    if scale > 1e-305:  # it grows as 1 / scale
        assert layer.parametrizations.weight.original.grad.isfinite().all()


def test_nan_stays_nan() -> None:
    layer = linear()
    with torch.no_grad():
        layer.parametrizations.weight.original[0, 0] = torch.nan
    assert layer.weight.isnan().all()
    with torch.no_grad():  # the state recovers
        layer.parametrizations.weight.original[0, 0] = 1.0
    assert numpy_norm(layer.weight) == pytest.approx(1, rel=1e-13)


@pytest.mark.parametrize("tol", [None, 1e-3])
@pytest.mark.parametrize("mode", ["normalise", "cap"])
@pytest.mark.parametrize("n", [30, 200])
def test_training_keeps_the_bound(tol: Any, mode: Any, n: int) -> None:
    """Large steps, at each of which the norm is measured."""
    torch.manual_seed(0)
    layer = spectral_norm(nn.Linear(n, 150), mode=mode, bound=0.7, tol=tol)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    X, Y = torch.randn(64, n), torch.randn(64, 150)
    for _ in range(30):
        norm = numpy_norm(layer.weight)
        assert norm <= 0.7 * (1 + (tol or 2e-6))
        if mode == "normalise":
            assert norm >= 0.7 * (1 - (tol or 2e-6))
        optimizer.zero_grad()
        (layer(X) - Y).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize(
    "layer", [nn.Linear(60, 50), nn.Linear(20, 30), nn.Linear(200, 150)], ids=str
)
def test_no_norm_is_computed_afresh_in_training(layer: Any, monkeypatch: Any) -> None:
    layer = spectral_norm(layer.double(), tol=0.0)
    runs: list[Any] = []
    run = normgrad.spectral_norm
    monkeypatch.setattr(normgrad, "spectral_norm", lambda *a: runs.append(a) or run(*a))
    W = layer.parametrizations.weight.original
    for training in (True, False):
        layer.train(training)
        for _ in range(5):
            with torch.no_grad():
                W += 1e-2 * torch.randn_like(W)
            layer.weight.square().sum().backward()
    assert not runs
    W.grad = None
    E, F = torch.randn_like(W), torch.randn_like(W)
    (layer.weight * F).sum().backward()
    parametrization = layer.parametrizations.weight[0]
    h = 1e-6
    with torch.no_grad():
        change = parametrization(W + h * E) - parametrization(W - h * E)
    torch.testing.assert_close((W.grad * E).sum(), (change * F).sum() / (2 * h), rtol=1e-6, atol=0)


def test_evaluation_is_repeatable_and_writes_nothing() -> None:
    layer = linear(150, 140).eval()
    state = layer.parametrizations.weight[0].vectors
    version, first = state._version, layer.weight.clone()
    assert all(torch.equal(layer.weight, first) for _ in range(3))
    assert state._version == version
    assert layer.train().weight is not None
    assert state._version > version


def test_state_dict() -> None:
    """Into a fresh module, and through a file; the output is the same bit by bit."""
    layer = linear(150, 140, tol=1e-2)
    for _ in range(3):
        with torch.no_grad():
            layer.parametrizations.weight.original += 0.1
        layer(torch.ones(140, dtype=torch.float64))
    layer.eval()
    names = {"bias", "parametrizations.weight.original", "parametrizations.weight.0.vectors"}
    assert set(layer.state_dict()) == names
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    torch.manual_seed(5)
    fresh = spectral_norm(nn.Linear(140, 150, dtype=torch.float64), tol=1e-2).eval()
    assert not torch.equal(fresh.weight, layer.weight)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(fresh.weight, layer.weight)
    assert torch.equal(copy.deepcopy(layer).weight, layer.weight)
    # a copy is on its own
    other = copy.deepcopy(layer).train()
    with torch.no_grad():
        other.parametrizations.weight.original.neg_().sub_(1)
    before = layer.parametrizations.weight[0].vectors.clone()
    assert numpy_norm(other.weight) == pytest.approx(1, rel=1e-4)
    assert torch.equal(layer.parametrizations.weight[0].vectors, before)


def test_assignment_and_removal() -> None:
    layer = linear()
    W = torch.randn(7, 5, dtype=torch.float64)
    layer.weight = W
    torch.testing.assert_close(layer.weight, W / np.linalg.norm(W.numpy(), 2))
    inside = layer.weight.detach().clone()
    layer.weight = inside
    torch.testing.assert_close(layer.weight, inside, rtol=1e-14, atol=0)
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear
    assert isinstance(layer.weight, nn.Parameter)
    torch.testing.assert_close(layer.weight.detach(), inside, rtol=1e-14, atol=0)
    layer = linear(bound=3.0)
    original = layer.parametrizations.weight.original.detach().clone()
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    assert torch.equal(layer.weight, original)


def test_functional_transforms() -> None:
    """functional_call, torch.func.grad and vmap over an ensemble; no state is written."""
    layer, x = linear(150, 140), torch.ones(140, dtype=torch.float64)
    state = layer.parametrizations.weight[0].vectors
    params = {k: v.detach() for k, v in layer.named_parameters()}

    def loss(params: Any) -> Any:
        return torch.func.functional_call(layer, params, (x,)).square().sum()

    layer(x).square().sum().backward()
    version = state._version
    gradients = torch.func.grad(loss)(params)
    for name, p in layer.named_parameters():
        torch.testing.assert_close(gradients[name], p.grad, atol=1e-12, rtol=1e-10)
    stacked = {k: torch.stack([v, 2 * v]) for k, v in params.items()}
    values = torch.func.vmap(loss)(stacked)
    torch.testing.assert_close(values[0], loss(params))
    E = {k: torch.ones_like(v) for k, v in params.items()}
    slope = torch.func.jvp(loss, (params,), (E,))[1]
    torch.testing.assert_close(slope, sum(g.sum() for g in gradients.values()))
    assert state._version == version + 1  # by loss(params), which is no transform


def test_replicas_do_not_share_a_state() -> None:
    """As DataParallel makes them: shallow copies with buffers of their own."""
    layer = linear(150, 140, tol=1e-3)
    replica = layer._replicate_for_data_parallel()
    replica._modules = copy.deepcopy(layer._modules)
    before = layer.parametrizations.weight[0].vectors.clone()
    with torch.no_grad():
        replica.parametrizations.weight.original.neg_().sub_(1)
    assert numpy_norm(replica.weight) == pytest.approx(1, rel=1e-5)
    assert torch.equal(layer.parametrizations.weight[0].vectors, before)
    # two passes before one backward pass: no saved tensor has been written over
    x = torch.ones(2, 140, dtype=torch.float64)
    (layer(x).sum() + layer(2 * x).sum()).backward()


def test_precision_and_device() -> None:
    layer = linear()
    exact = layer.weight.detach().clone()
    for dtype, tol in ((torch.float32, 1e-6), (torch.bfloat16, 2e-2), (torch.float16, 2e-3)):
        low = copy.deepcopy(layer).to(dtype)
        assert low.weight.dtype == dtype
        torch.testing.assert_close(low.weight.double(), exact, rtol=0, atol=tol)
        low.weight.sum().backward()
        assert low.parametrizations.weight.original.grad.dtype == dtype
    single = copy.deepcopy(layer).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert single(torch.ones(1, 5)).dtype == torch.bfloat16
        torch.testing.assert_close(single.weight.double(), exact, rtol=0, atol=1e-6)
    meta = spectral_norm(nn.Linear(5, 7, device="meta", dtype=torch.float64))
    assert meta.weight.is_meta
    meta = meta.to_empty(device="cpu")
    meta.load_state_dict(layer.state_dict())
    torch.testing.assert_close(meta.weight, exact)


@pytest.mark.parametrize("n", [30, 150])
def test_second_derivatives_under_autocast(n: int) -> None:
    W, E = torch.randn(2, n, n, requires_grad=True)
    parametrization = SpectralNorm(W)
    expected = torch.autograd.functional.vhp(lambda W: (parametrization(W) * E).sum(), W, E)[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (G,) = torch.autograd.grad((parametrization(W) * E).sum(), W, create_graph=True)
        (received,) = torch.autograd.grad((G * E).sum(), W)
    torch.testing.assert_close(received, expected, rtol=1e-3, atol=1e-4)


def test_penalties_of_gradients() -> None:
    """A gradient in the input, differentiated in the weight, as in WGAN-GP."""
    layer, x = linear(), torch.ones(3, 5, dtype=torch.float64, requires_grad=True)
    (g,) = torch.autograd.grad(layer(x).tanh().sum(), x, create_graph=True)
    g.square().sum().backward()
    assert layer.parametrizations.weight.original.grad.isfinite().all()


def test_embedding() -> None:
    layer = spectral_norm(nn.Embedding(9, 4, dtype=torch.float64))
    layer(torch.tensor([1, 1, 3])).sum().backward()
    assert numpy_norm(layer.weight) == pytest.approx(1, rel=1e-13)
    assert layer.parametrizations.weight.original.grad[0].any()  # by the norm


def test_a_matrix_of_ones_own() -> None:
    """A structured weight, by its map to a normgrad.Matrix."""
    W = torch.tensor([3.0, -4.0])
    torch.testing.assert_close(SpectralNorm(W, matrix=normgrad.Diagonal)(W), W / 4)
    with pytest.raises(ValueError, match=r"must return one matrix; got shape \(2, 3, 4\)"):
        SpectralNorm(torch.ones(2, 3, 4), matrix=lambda W: W)
    for n in (4, 150):  # or to an array
        W = torch.randn(n, 3, n)
        W.requires_grad_()
        C = torch.randn_like(W)
        received = SpectralNorm(W, matrix=lambda W: W.flatten(1))(W)
        expected = W / normgrad.spectral_norm(W.flatten(1))
        torch.testing.assert_close(received, expected)
        (G,), (exact,) = (torch.autograd.grad((x * C).sum(), W) for x in (received, expected))
        torch.testing.assert_close(G, exact, rtol=0, atol=2e-3 * float(exact.abs().max()))


@pytest.mark.parametrize("n", [3, 150])
def test_traces_hold_for_other_weights(n: int) -> None:
    layer, x = spectral_norm(nn.Linear(n, n + 1, bias=False)), torch.ones(1, n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(layer, (x,))
    exported = torch.export.export(layer, (x,)).module()
    for f in (traced, exported):
        with torch.no_grad():
            for p in f.parameters():
                p.mul_(10).sub_(0.01)
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(next(traced.parameters()))
    for f in (traced, exported):
        torch.testing.assert_close(f(x), layer(x), rtol=1e-4, atol=1e-5)
