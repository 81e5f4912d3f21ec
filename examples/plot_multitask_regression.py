r"""
Multi-task regression: the lower half of a digit from its upper half
====================================================================

Each of the 32 lower pixels of scikit-learn's digits is a regression on the 32 upper ones. The
tasks are related, so the matrix W of all coefficients should have low rank, a few features that
all tasks share. The nuclear norm says so convexly::

    minimise  f(W) + lam ||W||_*,        f(W) = ||A W - B||_F^2 / (2 N).

Proximal gradient with backtracking: a step is as long as the last two gradients suggest (Barzilai,
Borwein), halved until f is below its quadratic model. The map is that of the nuclear norm;
`normgrad.singular_value_threshold` is this map together with the rank of its result.

W is a minimiser if and only if ``-grad f(W) / lam`` is a subgradient of the nuclear norm at W, so
the iteration stops on `normgrad.subgradient_distance`: lam times it is the least norm of all
subgradients of the objective at W, which says how far from stationary W is, whatever the last
step was. At ``W = 0`` the subgradients are the ball of the dual norm: from
``lam_max = dual_norm(grad f(0))`` on the solution is 0, and the path begins there.

The result is set against least squares of the same rank (the ordinary solution, its fitted values
projected on their leading directions), known as reduced rank regression, and of full rank.

References
----------
A. Argyriou, T. Evgeniou, M. Pontil, Convex multi-task feature learning, Mach. Learn. 73 (2008).
M. Yuan, A. Ekici, Z. Lu, R. Monteiro, Dimension reduction and coefficient estimation in
multivariate linear regression, J. R. Stat. Soc. B 69 (2007). S. J. Wright, R. D. Nowak, M. A. T.
Figueiredo, Sparse reconstruction by separable approximation, IEEE Trans. Signal Process. 57
(2009). A. J. Izenman, Reduced-rank regression for the multivariate linear model, J. Multivariate
Anal. 5 (1975).
"""

import os
import sys

import numpy as np
from sklearn.datasets import load_digits

import normgrad

SHORT = "NORMGRAD_SHORT" in os.environ
LEVELS, TOLERANCE = (5, 1e-2) if SHORT else (12, 1e-3)
TRAINED, CHOOSER = 150, 300


def fit(
    A: np.ndarray, B: np.ndarray, lam: float, W: np.ndarray
) -> tuple[np.ndarray, int, int, float]:
    """Return the minimiser, begun at W, its rank, the iterations, and how far from stationary."""

    def f(W: np.ndarray) -> tuple[float, np.ndarray]:
        residual = A @ W - B
        return float((residual**2).sum()) / (2 * len(A)), A.T @ residual / len(A)

    (value, G), step, rank = f(W), 1.0, 0
    for iteration in range(1, 2001):
        while True:
            new, rank = normgrad.singular_value_threshold(W - step * G, step * lam)
            move = new - W
            new_value, new_G = f(new)
            model = value + (G * move).sum() + (move**2).sum() / (2 * step)
            if new_value <= model + 1e-14 * value:
                break
            step /= 2
        curvature = (move * (new_G - G)).sum()
        if curvature > 0:
            step = float((move**2).sum() / curvature)
        W, value, G = new, new_value, new_G
        if iteration % 5 == 0:
            distance = float(normgrad.subgradient_distance(W, -G / lam, "nuc"))
            if distance < TOLERANCE:
                break
    return W, int(rank), iteration, distance


# %%
# The halves
# ----------
# Centred by the digits trained on.

pixels = load_digits().data / 16.0
order = np.random.default_rng(0).permutation(len(pixels))
train, chooser, test = np.split(pixels[order], [TRAINED, TRAINED + CHOOSER])
mean = train.mean(axis=0)
A, B = np.hsplit(train - mean, 2)


def rmse(W: np.ndarray, digits: np.ndarray) -> float:
    """Return the error of prediction of pixels in [0, 1]."""
    upper, lower = np.hsplit(digits - mean, 2)
    return float(np.sqrt(((upper @ W - lower) ** 2).mean()))


# %%
# The path of regularisation
# --------------------------
# Each level is begun at the solution of the one before.

lam_max = float(normgrad.dual_norm(A.T @ B / len(A), "nuc"))
print(f"{TRAINED} digits to train on, {CHOOSER} to choose lam by, {len(test)} to test")
print(f"solution 0 from lam_max = {lam_max:.4f} on")
print("  lam/lam_max  iterations  subgradient distance  rank   RMSE (chooser)  RMSE (test)")
W, path = np.zeros((A.shape[1], B.shape[1])), []
for fraction in np.geomspace(0.7, 0.01, LEVELS):
    W, rank, iterations, distance = fit(A, B, fraction * lam_max, W)
    path.append((rmse(W, chooser), fraction, rank, W, distance))
    print(f"  {fraction:11.4f} {iterations:11d} {distance:21.1e} {rank:5d}", end="")
    print(f" {rmse(W, chooser):16.4f} {rmse(W, test):12.4f}")
_, fraction, rank, W, _ = min(path, key=lambda level: level[0])

# %%
# The rivals
# ----------
# Least squares, and its fitted values projected on their leading directions.

full = np.linalg.lstsq(A, B, rcond=None)[0]
V = np.linalg.svd(A @ full)[2].T
reduced = [full @ V[:, :k] @ V[:, :k].T for k in range(V.shape[1] + 1)]
k = int(np.argmin([rmse(M, chooser) for M in reduced]))
error, rivals = rmse(W, test), [rmse(M, test) for M in (reduced[0], full, reduced[k])]
print("test RMSE: mean digit {:.4f}, least squares {:.4f}, ".format(*rivals), end="")
print(f"of rank {k} {rivals[2]:.4f}; nuclear norm {error:.4f} at rank {rank}")
worst = max(level[-1] for level in path)
print(f"result: RMSE {error:.4f} < {min(rivals):.4f}, distance {worst:.1e} <= {TOLERANCE}")

# %%
# As a picture.

if len(sys.argv) > 1:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
    _, fractions, ranks, solutions, _ = zip(*path, strict=True)
    errors = [rmse(M, test) for M in solutions]
    left.semilogx(fractions, errors, "o-", color="#1f77b4", label="nuclear norm")
    left.axhline(rivals[1], color="#b0651d", label="least squares")
    left.axhline(rivals[2], color="#b0651d", linestyle=":", label=f"least squares, rank {k}")
    for x, y, r in zip(fractions, errors, ranks, strict=True):
        left.annotate(str(r), (x, y), (0, 7), textcoords="offset points", ha="center", fontsize=8)
    left.set_xlabel("lam / lam_max  (rank above each point)")
    left.set_ylabel("test RMSE")
    left.legend(frameon=False, loc="center left", bbox_to_anchor=(0.0, 0.69))
    left.spines[["top", "right"]].set_visible(False)
    digit_of = load_digits().target[order[TRAINED + CHOOSER :]]
    shown = np.stack([test[digit_of == digit][0] for digit in (0, 2, 3, 5, 6, 8)])
    upper = np.hsplit(shown, 2)[0]
    drawn = [np.hstack([upper, mean[32:] + (upper - mean[:32]) @ M]) for M in (full, W)]
    rows = [shown, *drawn]
    tiles = [np.hstack([np.pad(d.reshape(8, 8), 1) for d in np.clip(row, 0, 1)]) for row in rows]
    right.imshow(np.vstack(tiles), cmap="gray_r", vmin=0, vmax=1)
    right.set_yticks([4.5, 14.5, 24.5], ["digit", "least\nsquares", "nuclear\nnorm"])
    right.set_xticks([])
    right.tick_params(length=0)
    right.spines[:].set_visible(False)
    right.set_title("Lower halves predicted from upper halves", fontsize=11)
    figure.savefig(sys.argv[1], dpi=100)
