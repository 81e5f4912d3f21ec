"""The product bound: each layer's constant is right, and no layer is skipped."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from normgrad.nn.torch import lipschitz_bound, spectral_norm
from tests.nn.layers import frequently, norm_of

CHAINS: list[tuple[Any, tuple[int, ...]]] = [
    ((lambda: nn.Linear(4, 6), nn.ReLU, lambda: nn.Linear(6, 3)), (4,)),
    ((lambda: nn.Linear(4, 6), nn.Tanh, nn.Sigmoid, nn.Softplus, lambda: nn.Linear(6, 3)), (2, 4)),
    ((nn.GELU, lambda: nn.GELU("tanh"), nn.SiLU, nn.Mish, lambda: nn.LeakyReLU(1.5)), (5,)),
    ((lambda: nn.Softmax(-1), nn.Hardswish, lambda: nn.Linear(4, 3), lambda: nn.Softmin(1)), (4,)),
    ((lambda: nn.ZeroPad2d(1), lambda: nn.ConstantPad2d((0, -1, 2, 0), 3.0), nn.ELU), (1, 2, 2)),
    (
        (
            lambda: nn.Conv2d(2, 3, 3, padding=1),
            nn.PReLU,
            lambda: nn.MaxPool2d(3, 2, 1),
            lambda: nn.BatchNorm2d(3),
            lambda: nn.Conv2d(3, 2, 3, stride=2),
            lambda: nn.AvgPool2d(2, 1),
            nn.Flatten,
            nn.Dropout,
            lambda: nn.Linear(2, 3),
        ),
        (2, 12, 12),
    ),
    (
        (
            lambda: nn.Conv1d(2, 4, 4),
            lambda: nn.ConvTranspose1d(4, 2, 3, stride=2),
            lambda: nn.MaxPool1d(3, 2, dilation=2),
            lambda: nn.AdaptiveAvgPool1d(2),
        ),
        (2, 8),
    ),
]


@pytest.mark.parametrize(("makes", "shape"), CHAINS)
def test_no_jacobian_has_a_larger_norm(makes: Any, shape: tuple[int, ...]) -> None:
    """A lower bound: the norms of Jacobians at random inputs."""
    net = frequently(*makes)
    for layer in net:
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_var.uniform_(0.5, 2)
            layer.weight.data.uniform_(-2, 2)
    net.eval()
    nested = nn.Sequential(net[:2], nn.Identity(), nn.Sequential(net[2:]))
    bound = lipschitz_bound(nested, shape).item()
    assert bound == pytest.approx(lipschitz_bound(net, shape).item(), rel=1e-13)
    sampled = 0.0
    for scale in (0.1, 1.0, 2.0, 2.0):
        x = scale * torch.randn(1, *shape, dtype=torch.float64)
        J = torch.func.jacrev(net)(x).reshape(-1, x.numel()).detach().numpy()
        sampled = max(sampled, float(np.linalg.norm(J, 2)))
    assert 0.01 * bound < sampled <= bound * (1 + 1e-12)


@pytest.mark.parametrize(
    ("layer", "largest"),
    [(nn.GELU(), None), (nn.GELU("tanh"), None), (nn.SiLU(), None), (nn.Mish(), None),
     (nn.Sigmoid(), None), (nn.Tanh(), None), (nn.LeakyReLU(0.1), None), (nn.ReLU6(), None),
     (nn.LeakyReLU(-3.0), 3.0), (nn.Softsign(), None), (nn.Softshrink(), None),
     (nn.LogSigmoid(), None), (nn.Hardtanh(), None), (nn.Softplus(2.0), None),
     (nn.Softplus(-2.0, 30.0), None), (nn.Tanhshrink(), None), (nn.Hardsigmoid(), None),
     (nn.Hardswish(), None), (nn.SELU(), None), (nn.ELU(0.5), None), (nn.ELU(2.5), None),
     (nn.ELU(-3.0), None), (nn.CELU(0.3), None), (nn.CELU(4.0), None)],
    ids=str,
)  # fmt: skip
def test_constants_are_the_largest_derivatives(layer: Any, largest: float | None) -> None:
    x = torch.linspace(-30, 30, 600_001, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(layer(x).sum(), x)
    assert lipschitz_bound(layer).item() == pytest.approx(slope.abs().max().item(), rel=1e-7)
    if largest is not None:
        assert lipschitz_bound(layer).item() == largest


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.AvgPool1d(3), (2, 9)),
        (nn.AvgPool2d((2, 3)), (1, 6, 6)),
        (nn.AdaptiveAvgPool2d(1), (2, 3, 5)),
        (nn.AdaptiveAvgPool2d((2, None)), (2, 4, 3)),
        (nn.MaxPool2d(2), (1, 4, 4)),
        (nn.PixelShuffle(2), (4, 2, 2)),
        (nn.ConstantPad1d(2, 5.0), (1, 3)),
    ],
)
def test_layers_whose_constant_is_attained(layer: Any, shape: tuple[int, ...]) -> None:
    J = torch.func.jacrev(layer)(torch.randn(1, *shape, dtype=torch.float64))
    J = J.reshape(-1, math.prod(shape)).numpy()
    assert lipschitz_bound(layer, shape).item() == pytest.approx(np.linalg.norm(J, 2), rel=1e-6)


@pytest.mark.parametrize(("k", "s", "d"), [(3, 1, 1), (3, 2, 1), (4, 2, 1), (3, 2, 2), (2, 3, 1)])
def test_overlapping_windows(k: int, s: int, d: int) -> None:
    """The most windows that an entry is in, counted."""
    n = 40
    windows = [{o + j * d for j in range(k)} for o in range(0, n - (k - 1) * d, s)]
    most = max(sum(x in window for window in windows) for x in range(n))
    pool = nn.MaxPool1d(k, s, dilation=d)
    assert lipschitz_bound(pool, (1, n)).item() == pytest.approx(math.sqrt(most))
    x = torch.zeros(1, 1, n, dtype=torch.float64)
    x[0, 0, n // 2] = 1  # one entry changes all of its windows
    assert pool(x).norm() <= math.sqrt(most) + 1e-12
    if d == 1:
        mean = nn.AvgPool1d(k, s)
        J = torch.func.jacrev(mean)(x).reshape(-1, n).numpy()
        assert np.linalg.norm(J, 2) <= lipschitz_bound(mean, (1, n)).item() + 1e-7


def test_it_is_the_product_and_differentiable() -> None:
    net = frequently(lambda: nn.Conv2d(1, 2, 3, padding=1), nn.Flatten, lambda: nn.Linear(32, 2))
    bound = lipschitz_bound(net, (1, 4, 4))
    norms = norm_of(net[0], 1, 4, 4), norm_of(net[2], 32)
    assert bound.item() == pytest.approx(norms[0] * norms[1], rel=1e-12)
    bound.backward()
    for layer in (net[0], net[2]):  # Euler, in each weight
        assert (layer.weight.grad * layer.weight).sum().item() == pytest.approx(bound.item())


def test_parametrized_layers_have_their_bound() -> None:
    net = frequently(lambda: nn.Conv2d(1, 2, 3, padding=1), nn.Flatten, lambda: nn.Linear(32, 2))
    spectral_norm(net[0], grid=(4, 4), bound=2.0)
    spectral_norm(net[2], bound=3.0)
    assert lipschitz_bound(net, (1, 4, 4)).item() == pytest.approx(6, rel=1e-12)


def test_a_layer_counts_as_often_as_it_is_there() -> None:
    net = frequently(lambda: nn.Linear(3, 3, bias=False), nn.Identity)
    twice = nn.Sequential(net[0], net[1], nn.Sequential(net[0], net[1]))
    assert lipschitz_bound(twice).item() == pytest.approx(norm_of(net[0], 3) ** 2, rel=1e-12)
    pool = nn.MaxPool2d(2)
    chain = nn.Sequential(pool, pool, nn.Flatten(), nn.Linear(4, 1))
    assert lipschitz_bound(chain, (1, 8, 8)).item() == lipschitz_bound(chain[3]).item()


def test_sizes_are_followed_as_far_as_they_are_known() -> None:
    with pytest.raises(ValueError, match=r"2, a Linear, takes 3 features; got .* \(\.\.\., 4\)"):
        lipschitz_bound(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(3, 4)))
    flat = frequently(lambda: nn.Linear(3, 2), nn.Flatten, lambda: nn.Linear(14, 2))  # of (7, 3)
    assert lipschitz_bound(flat) == lipschitz_bound(flat, (7, 3))


def test_half_precision_is_computed_in_single() -> None:
    linear, learned = nn.Linear(1, 1).half(), nn.PReLU(init=300.0).half()
    nn.init.constant_(linear.weight, 300)
    norm = nn.BatchNorm1d(1).half().eval()
    nn.init.constant_(norm.running_var, 0)
    for layer, constant in ((linear, 300), (learned, 300), (norm, norm.eps**-0.5)):
        bound = lipschitz_bound(nn.Sequential(layer, layer))
        assert bound.item() == pytest.approx(constant**2, rel=1e-6)


def test_the_cut_of_softplus_is_a_jump_or_rounding() -> None:
    """Beyond its threshold it is x: less than before, by log(1 + exp(-threshold)) / beta."""
    for beta in (0.3, 1.0, 7.0):
        with pytest.raises(ValueError, match=f"beta={beta}, threshold=12.0 has no constant.*at 20"):
            lipschitz_bound(nn.Softplus(beta, 12.0))
        for threshold in (14.0, 20.0):
            layer, cut = nn.Softplus(beta, threshold), threshold / beta
            assert lipschitz_bound(layer).item() == 1
            ulp = float(np.spacing(np.float32(cut)))
            steps = layer(cut + ulp * torch.arange(-50, 51)).diff()
            assert -ulp <= steps.min() <= steps.max() <= 2 * ulp


class Chain(nn.Sequential):
    """A class for a chain, which is what it was."""

    def __init__(self) -> None:
        super().__init__(nn.LeakyReLU(2.0), nn.LeakyReLU(3.0))


class Backwards(Chain):
    def forward(self, x: Any) -> Any:
        return super().forward(-10 * x)


def test_classes_of_chains() -> None:
    assert lipschitz_bound(Chain()).item() == 6
    with pytest.raises(TypeError, match=r"the module, a .*Backwards, is not known"):
        lipschitz_bound(Backwards())


def test_hooks_are_refused() -> None:
    """They may change anything; weights of the old weight_norm are those of the last pass."""
    layer = nn.Linear(2, 2)
    for register in (layer.register_forward_hook, layer.register_forward_pre_hook):
        for net, name in ((layer, "the module"), (nn.Sequential(nn.Sequential(layer)), "0.0")):
            handle = register(lambda *_: None)
            with pytest.raises(ValueError, match=f"^{name}, a Linear, has hooks.*parametrizations"):
                lipschitz_bound(net)
            handle.remove()
    chain = nn.Sequential(layer)
    chain.register_forward_hook(lambda m, i, o: 10 * o)
    with pytest.raises(ValueError, match="the module, a Sequential, has hooks"):
        lipschitz_bound(chain)
    for net in (nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2))):
        net.forward = lambda x: 10 * x  # type: ignore[method-assign]
        with pytest.raises(ValueError, match="a forward that is not that of its class"):
            lipschitz_bound(net)
    fresh = nn.utils.parametrizations.weight_norm(layer)
    before = lipschitz_bound(fresh).item()
    with torch.no_grad():
        fresh.parametrizations.weight.original0.mul_(5)
    assert lipschitz_bound(fresh).item() == pytest.approx(5 * before)


class Doubled(nn.ReLU):
    """Not what its base class is."""

    def forward(self, x: Any) -> Any:
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    ("layer", "shape", "error", "words"),
    [
        (nn.Sequential(nn.ReLU(), nn.Sequential(nn.LayerNorm(3))), (3,), TypeError,
         r"1\.0, a torch.*LayerNorm, is not known"),
        (Doubled(), None, TypeError, "the module, a .*Doubled, is not known"),
        (nn.Sequential(nn.BatchNorm1d(3)), (3,), ValueError, r"0, a BatchNorm1d,.*eval\(\)"),
        (nn.BatchNorm1d(3, track_running_stats=False).eval(), (3,), ValueError, "running stat"),
        (nn.Dropout(), (3,), ValueError, r"random in training mode; call eval\(\)"),
        (nn.Conv1d(1, 1, 3), None, ValueError, "give input_shape.*2 axes; got None"),
        (nn.Conv1d(1, 1, 3), (1, 4, 4), ValueError, r"2 axes; got \(1, 4, 4\)"),
        (nn.Conv1d(2, 1, 3), (1, 4), ValueError, r"takes 2 channels; got shape \(1, 4\)"),
        (nn.Linear(2, 1), (3,), ValueError, r"takes 2 features; got inputs of shape \(3,\)"),
        (nn.AdaptiveAvgPool1d(2), (1, 5), ValueError, "unequal size"),
        (nn.AvgPool1d(2, padding=1, count_include_pad=False), (1, 6), ValueError, "same number"),
        (nn.AvgPool2d(2, ceil_mode=True), (1, 5, 5), ValueError, "ceil_mode=False"),
        (nn.MaxPool2d(2, return_indices=True), (1, 4, 4), ValueError, "return_indices=False"),
        (nn.Sequential(nn.MaxPool2d(2)), (3,), ValueError, r"0, a MaxPool2d, .* shape \(3,\): Dim"),
        (nn.Unflatten(1, (2, 3)), (7,), ValueError, r"does not take inputs of shape \(7,\)"),
        (nn.Softplus(threshold=0), None, ValueError, "threshold=0 has no constant: it jumps"),
        (nn.Softplus(0), None, ValueError, "beta=0, "),
        (nn.CELU(-1.0), None, ValueError, "alpha <= 0"),
        (nn.Softmax(0), None, ValueError, "dim=0 may have its sums over a batch.*dim=-1"),
        (nn.Softmax(-2), (4,), ValueError, "dim=-2 may"),
        (nn.Sequential(nn.LazyLinear(3)), None, ValueError, r"'0\.weight' does not know its shape"),
        (nn.Linear(3, 2), 3, ValueError, r"a tuple of positive integers.*\(10,\); got 3"),
        (nn.ReLU(), (-3,), ValueError, r"positive integers.*got \(-3,\)"),
        (nn.ReLU(), "3", ValueError, "positive integers.*got '3'"),
        (torch.eye(2), None, TypeError, "a torch.nn.Module.*got a Tensor.*matrix_norm"),
        (torch.relu, None, TypeError, "a torch.nn.Module.*got a builtin_function"),
        (nn.ReLU, None, TypeError, "got the class ReLU"),
        (nn.ModuleList([nn.ReLU()]), None, TypeError, "a .*ModuleList, is not known"),
    ],
)  # fmt: skip
def test_nothing_is_skipped(layer: Any, shape: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        lipschitz_bound(layer, shape)
