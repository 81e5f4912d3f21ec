r"""
Robust PCA: a photograph out of gross corruptions
=================================================

A matrix D is the sum of one of low rank and one with few entries different from zero. Principal
component pursuit finds the two by convex minimisation::

    minimise  ||L||_* + lam ||S||_1   subject to  L + S = D,        lam = 1 / sqrt(max(m, n)),

exactly, with high probability, if the rank is low, the singular vectors are spread out and the
corrupted entries lie at random, however large they are (Candes, Li, Ma, Wright). ADMM, which is
the augmented Lagrangian method of Lin, Chen, Ma, takes turns between the two proximal maps::

    L = prox(D - S + Y / mu, 1 / mu, "nuc")        singular values made smaller by 1 / mu
    S = soft(D - L + Y / mu, lam / mu)             entries made smaller by lam / mu
    Y = Y + mu (D - L - S)

It stops on the duality gap. The dual problem is to maximise ``<D, Y>`` over the Y with
``||Y||_2 <= 1``, the ball of the nuclear norm's dual, and ``|Y_ij| <= lam``, the same for lam times
the entrywise norm. ADMM's multiplier, scaled into both, gives a lower bound of the minimum;
``L, D - L`` give an upper one. Where they agree, L is a minimiser to this accuracy, whatever the
algorithm was.

The truth is known here: the best approximation of rank 20 of a photograph that scikit-learn
ships. A tenth of its pixels are replaced by values between black and white.

References
----------
E. J. Candes, X. Li, Y. Ma, J. Wright, Robust principal component analysis?, J. ACM 58 (2011).
Z. Lin, M. Chen, Y. Ma, The augmented Lagrange multiplier method for exact recovery of corrupted
low-rank matrices, arXiv:1009.5055 (2010).
"""

import os
import sys

import numpy as np
from sklearn.datasets import load_sample_image

import normgrad

SHORT = "NORMGRAD_SHORT" in os.environ
EVERY, RANK, CORRUPTED, TOLERANCE = (4, 8, 0.05, 1e-3) if SHORT else (2, 20, 0.1, 5e-4)


def soft(x: np.ndarray, t: float) -> np.ndarray:
    """Return the proximal point of ``t sum |x_ij|``."""
    return np.sign(x) * np.maximum(np.abs(x) - t, 0.0)


def pursue(D: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the low-rank part L and the sparse part S of D, and the relative duality gap."""
    lam = 1.0 / np.sqrt(max(D.shape))
    mu = D.size / (4.0 * np.abs(D).sum())
    S, Y = np.zeros_like(D), np.zeros_like(D)
    for iteration in range(1, 501):
        L = normgrad.prox(D - S + Y / mu, 1.0 / mu, "nuc")
        S = soft(D - L + Y / mu, lam / mu)
        Y += mu * (D - L - S)
        if iteration % 10:
            continue
        primal = normgrad.nuclear_norm(L) + lam * np.abs(D - L).sum()
        scale = max(1.0, normgrad.dual_norm(Y, "nuc"), np.abs(Y).max() / lam)
        gap = (primal - (D * Y).sum() / scale) / primal
        print(f"  {iteration:4d} {primal:12.4f} {gap:14.1e} {np.linalg.matrix_rank(L):6d}")
        if gap < TOLERANCE:
            break
    return L, S, gap


# %%
# The problem
# -----------
# A truth of known rank, and gross errors at random places.

rng = np.random.default_rng(0)
photograph = load_sample_image("china.jpg").mean(axis=2)[::EVERY, ::EVERY] / 255.0
U, s, Vh = np.linalg.svd(photograph, full_matrices=False)
truth = (U[:, :RANK] * s[:RANK]) @ Vh[:RANK]
hit = rng.random(truth.shape) < CORRUPTED
D = np.where(hit, rng.random(truth.shape), truth)

print(f"{truth.shape[0]} x {truth.shape[1]} pixels, rank {RANK}, {CORRUPTED:.0%} corrupted")
print("  iter    objective   relative gap   rank")
L, S, gap = pursue(D)

# %%
# The result
# ----------
# Against the truth, and against the best that PCA does without knowing of corruptions.

U, s, Vh = np.linalg.svd(D, full_matrices=False)
pca = (U[:, :RANK] * s[:RANK]) @ Vh[:RANK]
before, plain, after = (np.linalg.norm(x - truth) / np.linalg.norm(truth) for x in (D, pca, L))
found = (np.abs(S) > 1e-2) & hit
print("relative error against the truth:")
print(f"  corrupted {before:.4f}, truncated SVD {plain:.4f}, robust PCA {after:.5f}")
visible = hit & (np.abs(D - truth) > 2e-2)
print(f"  corruptions above 0.02 found: {(found & visible).sum()} of {visible.sum()}")
print(f"result: relative error {after:.1e} < 1e-2, gap {gap:.1e} <= {TOLERANCE}")

# %%
# As a picture.

if len(sys.argv) > 1:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7.4), layout="constrained")
    panels = (
        (truth, f"Truth, rank {RANK}"),
        (D, f"Seen: {CORRUPTED:.0%} of the pixels corrupted, error {before:.0%}"),
        (pca, f"Truncated SVD, rank {RANK}: error {plain:.1%}"),
        (L, f"Robust PCA: error {after:.2%}"),
    )
    for axes, (pixels, title) in zip(figure.subplots(2, 2).flat, panels, strict=True):
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=1)
        axes.set_title(title, fontsize=12)
        axes.set_axis_off()
    figure.savefig(sys.argv[1], dpi=100)
