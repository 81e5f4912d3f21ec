"""
The norm of a convolution is not that of its kernel
===================================================

Spectral normalisation, as in ``torch.nn.utils.parametrizations.spectral_norm``, divides the
weight of a convolution by the spectral norm of the kernel reshaped to a matrix,
c_out x (c_in kh kw). That is not the norm of the layer: a layer "of norm 1" can still stretch its
input up to sqrt(kh kw) times. Here is by how much, for layers as they are initialised, and for
those of a small network trained on the handwritten digits of scikit-learn.

Run with the name of a file to save the picture: ``python plot_convolution_norm.py norms.png``.
"""

import os
import sys

import torch
from sklearn.datasets import load_digits
from torch import nn

import normgrad

torch.manual_seed(0)
STEPS = 10 if "NORMGRAD_SHORT" in os.environ else 200

# %%
# A small network
# ---------------
# The digits are 8 x 8 pixels. Three convolutions, and a linear layer on the means of 2 x 2 pixels.

digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
labels = torch.tensor(digits.target)


def network():
    """Return a network of three convolutions."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, padding="same"),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding="same"),
        nn.ReLU(),
        nn.Conv2d(16, 16, 3, padding="same"),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(256, 10),
    )


def train(model, steps):
    """Train a model, and return it."""
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(steps):
        batch = torch.randint(len(images), (128,))
        loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


initial = network()
trained = train(network(), STEPS)
with torch.no_grad():
    accuracy = (trained(images).argmax(dim=1) == labels).double().mean()
print(f"after {STEPS} steps {accuracy:.1%} of the digits are recognised\n")

# %%
# Three norms of each layer
# -------------------------
# `Convolution2d` is the matrix of the layer, c_out H W x c_in H W, which is never formed.


def norms(layer, grid):
    """Return the norm of the layer, circular and padded with zeros, and that of the kernel."""
    kernel = layer.weight.detach()
    circular, zeros = (
        float(normgrad.spectral_norm(normgrad.Convolution2d(kernel, grid, padding)))
        for padding in ("circular", "zeros")
    )
    return circular, zeros, float(normgrad.spectral_norm(kernel.flatten(1)))


layers = [
    ("initialised", nn.Conv2d(3, 32, 7), (16, 16)),
    ("initialised", nn.Conv2d(32, 32, 3), (16, 16)),
]
for state, model in (("initialised", initial), ("trained", trained)):
    layers += [(state, layer, (8, 8)) for layer in model if isinstance(layer, nn.Conv2d)]

print(f"{'layer':42}{'circular':>10}{'zeros':>10}{'reshaped':>10}{'ratio':>8}")
rows = []
for state, layer, grid in layers:
    c_out, c_in, kh, kw = layer.weight.shape
    name = f"{c_in} -> {c_out}, {kh} x {kw}, on {grid[0]} x {grid[1]}, {state}"
    circular, zeros, reshaped = norms(layer, grid)
    rows.append((name, zeros / reshaped, (kh * kw) ** 0.5))
    print(f"{name:42}{circular:10.3f}{zeros:10.3f}{reshaped:10.3f}{zeros / reshaped:8.2f}")

# %%
# It is differentiable
# --------------------
# So a layer can be held to the norm that it has: the gradient lives in the kernel.

weight = initial[2].weight
normgrad.spectral_norm(normgrad.Convolution2d(weight, (8, 8), "zeros")).backward()
print(f"\nEuler: <gradient, kernel> = {float((weight.grad * weight).sum().detach()):.3f}, the norm")

# %%
# As a picture.

if len(sys.argv) > 1:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names, ratios, bounds = zip(*rows, strict=True)
    figure, axes = plt.subplots(figsize=(8, 4.4), layout="constrained")
    axes.barh(names, ratios, color="tab:blue", label="found, with zeros around the input")
    axes.scatter(
        bounds, names, marker="|", s=200, color="tab:red", label="most possible, sqrt(kh kw)"
    )
    axes.axvline(1, color="black", linewidth=0.8)
    axes.invert_yaxis()
    axes.set_xlabel("norm of the layer / norm of the reshaped kernel")
    figure.suptitle("How far a layer whose reshaped kernel has norm 1 can stretch its input")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(sys.argv[1], dpi=120)

# %%
# What was found.

worst = max(ratio for _, ratio, _ in rows)
excess = max(ratio / bound for _, ratio, bound in rows)
print(f"result: layer / kernel up to {worst:.2f} > 1.3, of sqrt(kh kw) up to {excess:.2f} <= 1")
