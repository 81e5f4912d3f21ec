"""A 1-Lipschitz classifier of digits, with certificates.

Every layer has spectral norm 1, exactly, so that the network is 1-Lipschitz. Two outputs differ by
at most ``sqrt(2) L |x - y|`` more or less at y than at x: where the largest exceeds the second
by a margin, no change of the image smaller than ``margin / (sqrt(2) L)`` changes the answer.

PyTorch's own `spectral_norm` divides by an estimate from one step of power iteration per
step of training. It is below the norm, so that its layers have norms above 1: a certificate that
takes them for 1 is wrong. Here both are trained, and the norms are measured by an SVD.

Run with ``python examples/plot_lipschitz_digits.py [digits.png]``.
"""

import argparse
import itertools
import math
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from normgrad.nn.torch import lipschitz_bound, spectral_norm

WIDTHS = (64, 128, 128, 10)
METHODS: dict[str, Callable[[Any], Any]] = {
    "normgrad": spectral_norm,
    "normgrad, tol=1e-3": lambda layer: spectral_norm(layer, tol=1e-3),
    "PyTorch": parametrizations.spectral_norm,
}


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return images with entries from 0 to 1 and labels, to train and to test."""
    X, y = load_digits(return_X_y=True)
    X, y = torch.tensor(X, dtype=torch.float32) / 16, torch.tensor(y)
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(0))
    X, y = X[order], y[order]
    return X[:1400], y[:1400], X[1400:], y[1400:]


def network(constrain: Callable[[Any], Any]) -> nn.Sequential:
    """Return a chain of linear layers, each constrained, with ReLU between; always the same."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for n, m in itertools.pairwise(WIDTHS):
        layers += [constrain(nn.Linear(n, m)), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def norms(net: nn.Sequential) -> list[float]:
    """Return the spectral norms of the weights, by SVD; nothing in the network changes."""
    net.eval()
    with torch.no_grad():
        found = [torch.linalg.matrix_norm(layer.weight.double(), 2).item() for layer in net[::2]]
    net.train()
    return found


def train(net: nn.Sequential, X: Tensor, y: Tensor, epochs: int) -> tuple[list[float], list[float]]:
    """Return the errors ``|norm - 1|`` during training, and the processor seconds of the steps."""
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    errors, seconds = [], []
    generator = torch.Generator().manual_seed(1)
    for _ in range(epochs):
        for batch in torch.randperm(len(X), generator=generator).split(100):
            start = time.process_time()
            optimizer.zero_grad()
            # a margin as large as can be had: outputs of a 1-Lipschitz function are small
            nn.functional.cross_entropy(20 * net(X[batch]), y[batch]).backward()
            optimizer.step()
            seconds.append(time.process_time() - start)
        errors += [norm - 1 for norm in norms(net)]
    return errors, seconds


def certificates(net: nn.Sequential, X: Tensor, y: Tensor) -> tuple[float, Tensor]:
    """Return the accuracy, and for each image the radius at which its answer is certain, or 0."""
    net.eval()
    with torch.no_grad():
        bound = lipschitz_bound(net)
        (first, second), (answer, _) = (t.T for t in net(X).topk(2, dim=1))
        radius = (first - second) / (math.sqrt(2) * bound)
        right = answer == y
    return right.float().mean().item(), torch.where(right, radius, 0.0)


def main(arguments: list[str] | None = None) -> None:
    """Train, certify and compare."""
    parser = argparse.ArgumentParser(description="A 1-Lipschitz classifier of digits.")
    parser.add_argument("picture", nargs="?", help="draw the certified accuracy here")
    options = parser.parse_args(arguments)
    epochs = 2 if os.environ.get("NORMGRAD_SHORT") else 25
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    X, y, X_test, y_test = digits()
    radii, times = {}, {}
    print(f"{'':20}{'norms - 1, in training':>28}{'per step: least, median':>30}")
    for name, constrain in METHODS.items():
        net = network(constrain)
        errors, seconds = train(net, X, y, epochs)
        step = f"{1e3 * min(seconds):15.2f}, {1e3 * median(seconds):.2f} ms"
        print(f"{name:20}{min(errors):14.1e} to {max(errors):9.1e}{step}")
        accuracy, radii[name] = certificates(net, X_test, y_test)
        times[name] = min(seconds), median(seconds)
        if constrain is spectral_norm:
            L, report = lipschitz_bound(net).item(), (accuracy, radii[name])
    for name in ("normgrad", "normgrad, tol=1e-3"):
        least, middle = (a / b for a, b in zip(times[name], times["PyTorch"], strict=True))
        print(f"time of a step, {name} : PyTorch = {least:.2f}, {middle:.2f}")
    accuracy, radius = report
    half, least = radius.median().item(), radius[radius > 0].min().item()
    print(f"accuracy {accuracy:.3f}, Lipschitz constant at most {L:.7f}")
    print(f"certified radius: median {half:.3f}, least of those right {least:.4f}")
    for r in (0.1, 0.25, 0.5):
        print(f"right, whatever change of the image below {r}: {(radius >= r).float().mean():.3f}")
    if options.picture:
        plot(radii, options.picture)
    torch.set_num_threads(threads)
    print(f"result: accuracy {accuracy:.3f} > 0.8, lipschitz_bound {L:.6f} <= 1.00001")


def plot(radii: dict[str, Tensor], path: str) -> None:
    """Draw the share of images that are right within a radius."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axes = figure.subplots()
    for name, radius in radii.items():
        style = "--" if "tol" in name else "-"  # (it lies on the one without)
        axes.plot(radius.sort().values, torch.linspace(1, 0, len(radius)), style, label=name)
    axes.set(xlabel="size of the change", ylabel="certified accuracy", xlim=(0, None))
    axes.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
