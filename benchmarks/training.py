"""The time of a training step with an exact spectral norm, and with PyTorch's parametrization.

Both networks are trained in turns in one process on the same batches, so that weights move as they
do in training. For a convolution PyTorch's is the norm of the reshaped kernel, another one.

    python benchmarks/training.py [--threads 1] [--only 256]
"""

import argparse
import itertools
import time
from collections.abc import Callable
from statistics import mean, median
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from normgrad.nn.torch import spectral_norm


class Case(NamedTuple):
    """Layers, from how they are constrained; the shape of a batch; the optimiser."""

    layers: Callable[[Any], list[nn.Module]]
    batch: tuple[int, ...]
    optimizer: str


def linear(*widths: int) -> Callable[[Any], list[nn.Module]]:
    """Return linear layers with ReLU after each."""
    pairs = list(itertools.pairwise(widths))
    return lambda f: [m for n, k in pairs for m in (f(nn.Linear(n, k)), nn.ReLU())]


def convolutions(
    grid: int, mode: str, *channels: int, bound: bool = False
) -> Callable[[Any], list[nn.Module]]:
    """Return convolutions with ReLU after each, and an average over the image at the end.

    `bound` takes an upper bound of the norm.
    """
    pairs = list(itertools.pairwise(channels))

    def layers(f: Any) -> list[nn.Module]:
        made: list[nn.Module] = []
        for n, k in pairs:
            layer = nn.Conv2d(n, k, 3, padding=1, padding_mode=mode)
            made += [f(layer, grid, "circular" if bound else None), nn.ReLU()]
        return [*made, nn.AdaptiveAvgPool2d(1), nn.Flatten()]

    return layers


CASES = {
    f"{name}, {optimizer}": Case(layers, batch, optimizer)
    for name, layers, batch in (
        ("64 x 64", linear(64, 64), (64, 64)),
        ("256 x 256", linear(256, 256), (64, 256)),
        ("512 x 512", linear(512, 512), (128, 512)),
        ("1024 x 1024", linear(1024, 1024), (128, 1024)),
        ("64-128-128-10", linear(64, 128, 128, 10), (100, 64)),
        ("784-256-256-10", linear(784, 256, 256, 10), (128, 784)),
        ("3-16-32 on 16 x 16, zeros", convolutions(16, "zeros", 3, 16, 32), (128, 3, 16, 16)),
        (
            "3-16-32 on 16 x 16, zeros, bound",
            convolutions(16, "zeros", 3, 16, 32, bound=True),
            (128, 3, 16, 16),
        ),
        ("3-16-32 on 16 x 16, circular", convolutions(16, "circular", 3, 16, 32), (128, 3, 16, 16)),
    )
    for optimizer in ("Adam", "SGD")
}


def ours(layer: nn.Module, grid: int | None = None, padding: str | None = None) -> nn.Module:
    return spectral_norm(layer, grid=None if grid is None else (grid, grid), padding=padding)


def theirs(layer: nn.Module, grid: int | None = None, padding: str | None = None) -> nn.Module:
    return parametrizations.spectral_norm(layer)


def data(batch: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return batches of ten classes with noise, and labels."""
    y = torch.randint(0, 10, (8, batch[0]))
    means = torch.randn(10, *batch[1 : 3 if len(batch) == 2 else 2], *(1,) * (len(batch) - 2))
    return torch.randn(8, *batch) + means[y], y


def measure(case: Case, steps: int) -> dict[str, list[float]]:
    """Return the seconds of each step, after ten to warm up."""
    torch.manual_seed(0)
    X, y = data(case.batch)
    runs: dict[str, Any] = {}
    for name, constrain in (("ours", ours), ("PyTorch", theirs)):
        torch.manual_seed(0)
        net = nn.Sequential(*case.layers(constrain), nn.LazyLinear(10))
        net(X[0])
        if case.optimizer == "Adam":
            optimizer: Any = torch.optim.Adam(net.parameters(), lr=1e-3)
        else:
            optimizer = torch.optim.SGD(net.parameters(), lr=0.03)
        runs[name] = net, optimizer
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for step in range(-10, steps):
        for name, (net, optimizer) in runs.items():
            start = time.perf_counter()
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(X[step % 8]), y[step % 8]).backward()
            optimizer.step()
            if step >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="The time of a step of training.")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print("| layers, optimiser | PyTorch, ms | ours, ms | ours : PyTorch, median | mean |")
    print("|---|---|---|---|---|")
    for name, case in CASES.items():
        if options.only in name:
            a, b = (measured := measure(case, options.steps))["ours"], measured["PyTorch"]
            print(
                f"| {name} | {1e3 * median(b):.2f} | {1e3 * median(a):.2f} "
                f"| {median(a) / median(b):.2f} | {mean(a) / mean(b):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
