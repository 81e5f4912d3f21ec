r"""
Matrix completion with a certificate: an elevation map from half of its pixels
==============================================================================

With P the projection on the pixels that are known, nuclear-norm regularisation is to ::

    minimise  F(X) = ||P(X - B)||_F^2 / 2 + lam ||X||_*.

Accelerated proximal gradient (FISTA, with the restarts of O'Donoghue and Candes) needs one
proximal map for each iteration: the misfit's gradient is 1-Lipschitz, and a step of length 1
from Z puts the known pixels in, ``X = prox(P(B) + Z - P(Z), lam, "nuc")``.

When to stop? The dual problem is to maximise ::

    D(R) = <B, R> - ||R||_F^2 / 2   over the R on the known pixels with ||R||_2 <= lam,

where ``||.||_2`` is the dual norm of the nuclear one. Every such R bounds the minimum from below.
The residual ``P(B - X)`` is the best R at the minimiser; before that it is scaled into the ball,
which `normgrad.dual_norm` tells how. ``F(X) - D(R) >= F(X) - min F``: the gap is a certificate,
where a small change between two iterations only says that they were slow. And above ``lam_max``,
the dual norm of ``P(B)``, the minimiser is 0: there the path of regularisation begins.

The map is the digital elevation model of the Jacksboro fault that matplotlib ships. lam is chosen
by a tenth of the pixels, and the error told is that of the 40 % which nothing has seen.

References
----------
E. J. Candes, B. Recht, Exact matrix completion via convex optimization, Found. Comput. Math. 9
(2009). R. Mazumder, T. Hastie, R. Tibshirani, Spectral regularization algorithms for learning
large incomplete matrices, J. Mach. Learn. Res. 11 (2010). A. Beck, M. Teboulle, A fast iterative
shrinkage-thresholding algorithm, SIAM J. Imaging Sci. 2 (2009). B. O'Donoghue, E. Candes,
Adaptive restart for accelerated gradient schemes, Found. Comput. Math. 15 (2015).
"""

import os
import sys

import numpy as np
from matplotlib import cbook

import normgrad

SHORT = "NORMGRAD_SHORT" in os.environ
EVERY, TOLERANCE, LEVELS = (3, 1e-3, 5) if SHORT else (1, 1e-4, 6)


def relative_gap(B: np.ndarray, known: np.ndarray, X: np.ndarray, lam: float) -> float:
    """Return a bound of ``(F(X) - min F) / F(X)``."""
    R = np.where(known, B - X, 0.0)
    square, inner = (R * R).sum(), (B * R).sum()
    primal = square / 2 + lam * normgrad.nuclear_norm(X)
    # the best multiple c of R in the ball: D(c R) is a parabola in c, its top at <B, R> / ||R||^2
    c = min(inner / square, lam / normgrad.dual_norm(R, "nuc"))
    return float((primal - (c * inner - c * c * square / 2)) / primal)


def complete(
    B: np.ndarray, known: np.ndarray, lam: float, X: np.ndarray
) -> tuple[np.ndarray, int, float]:
    """Return the minimiser, begun at X, the iterations it took and its relative gap."""
    Z, momentum = X, 1.0
    for iteration in range(1, 1001):
        new = normgrad.prox(np.where(known, B, Z), lam, "nuc")
        if ((Z - new) * (new - X)).sum() > 0:  # the momentum points uphill: restart
            momentum = 1.0
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        Z = new + (momentum - 1) / following * (new - X)
        X, momentum = new, following
        if iteration % 5 == 0 and (gap := relative_gap(B, known, X, lam)) < TOLERANCE:
            break
    return X, iteration, gap


# %%
# The pixels
# ----------
# In three parts: known, for the choice of lam, and hidden.

with cbook.get_sample_data("jacksboro_fault_dem.npz") as data:
    elevation = data["elevation"][::EVERY, ::EVERY].astype(float)
draw = np.random.default_rng(0).random(elevation.shape)
known, chooser, hidden = draw < 0.5, (draw >= 0.5) & (draw < 0.6), draw >= 0.6
mean = elevation[known].mean()
B = np.where(known, elevation - mean, 0.0)


def rmse(X: np.ndarray, where: np.ndarray) -> float:
    """Return the root mean square error of mean + X in metres."""
    return float(np.sqrt(((mean + X - elevation)[where] ** 2).mean()))


# %%
# The path of regularisation
# --------------------------
# Each level is begun at the solution of the one before.

lam_max = float(normgrad.dual_norm(B, "nuc"))
m, n = elevation.shape
print(f"{m} x {n} pixels, half of them known; minimiser 0 from lam_max = {lam_max:.0f} on")
print("  lam/lam_max  iterations  relative gap  rank   RMSE (chooser)")
X, best = np.zeros_like(B), None
for fraction in np.geomspace(0.1, 0.001, LEVELS):
    X, iterations, gap = complete(B, known, fraction * lam_max, X)
    rank, error = int(np.linalg.matrix_rank(X)), rmse(X, chooser)
    print(f"  {fraction:11.4f} {iterations:11d} {gap:13.1e} {rank:5d} {error:10.1f} m")
    if best is None or error < best[0]:
        best = error, X, gap, rank

_, X, gap, rank = best
base = rmse(np.zeros_like(X), hidden)
print(f"hidden pixels filled with the mean: RMSE {base:.1f} m; completed: {rmse(X, hidden):.1f} m")
print(f"result: hidden RMSE {rmse(X, hidden):.1f} < {base / 2:.1f}, gap {gap:.1e} <= {TOLERANCE}")

# %%
# As a picture.

if len(sys.argv) > 1:
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.0), layout="constrained")
    land = ListedColormap(colormaps["gist_earth"](np.linspace(0.05, 0.92, 256)))
    scale = {"vmin": elevation.min(), "vmax": elevation.max(), "cmap": land}
    panels = (
        (elevation, "Elevation"),
        (np.where(known, elevation, np.nan), "Known: half of the pixels"),
        (mean + X, f"Completed, rank {rank}: {rmse(X, hidden):.1f} m RMSE where hidden"),
    )
    row = figure.subplots(1, 3)
    for axes, (pixels, title) in zip(row, panels, strict=True):
        picture = axes.imshow(pixels, interpolation="nearest", **scale)
        axes.set_title(title, fontsize=11)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    figure.colorbar(picture, ax=row, label="metres", shrink=0.9, pad=0.01)
    figure.savefig(sys.argv[1], dpi=100)
