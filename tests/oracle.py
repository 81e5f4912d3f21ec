"""Norms and their derivatives written down once more, from singular values known beforehand.

Where a norm is not differentiable, the convention is that of a smooth function which agrees
with it on the matrices of the same rank and the same ties: the mean over a tied cluster, the
sum over the nonzero singular values. Those are differenced here, with the indices of the
cluster fixed; nothing in this file decides what is a tie.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from normgrad import KyFan, Schatten

__all__ = ["dual_norm", "gradient", "hvp", "value"]


def _weights(ord: Any, s: Any) -> Any | None:
    """Return the minimum-norm slope of a piecewise linear gauge at exact s, else None."""
    s = np.asarray(s, dtype=float)
    if ord == "nuc":
        return (s > 0).astype(float)
    if ord == 2:
        return (s == s[0]) * (s > 0) / np.sum(s == s[0])
    if ord == -2:
        return (s == s[-1]) * (s > 0) / np.sum(s == s[-1])
    if isinstance(ord, KyFan):
        tied = s == s[ord.k - 1]
        above = s > s[ord.k - 1]
        return (above + tied * (ord.k - above.sum()) / tied.sum()) * (s > 0)
    return None


def _lines(A: Any, ord: Any) -> Any:
    """Return A with the lines that ord 1, -1, inf, -inf sum as its columns."""
    return A if abs(ord) == 1 else A.T


def value(A: Any, s: Any, ord: Any) -> float:
    s = np.asarray(s, dtype=float)
    if ord == "fro":
        return float(math.hypot(*s))
    if isinstance(ord, Schatten):
        return float(math.fsum(s**ord.p) ** (1 / ord.p))
    if ord in (1, -1, math.inf, -math.inf):
        sums = [math.fsum(abs(column)) for column in _lines(A, ord).T]
        return max(sums) if ord > 0 else min(sums)
    picked = {"nuc": s, 2: s[:1], -2: s[-1:]}.get(ord) if not isinstance(ord, KyFan) else s[: ord.k]
    return math.fsum(picked)


def gradient_map(s: Any, ord: Any) -> Callable[[Any], Any]:
    """Return the gradient as a function of matrices near one with singular values s."""
    s = np.asarray(s, dtype=float)
    weights, support = _weights(ord, s), np.asarray(s) > 0

    def of(A: Any) -> Any:
        if ord == "fro":
            return A / np.linalg.norm(A) if np.any(A) else np.zeros_like(A)
        if not isinstance(ord, KyFan | Schatten) and ord in (1, -1, math.inf, -math.inf):
            return _of_lines(A, ord)
        U, t, Vh = np.linalg.svd(A, full_matrices=False)
        mu = weights
        if mu is None:
            t = t * support
            phi = np.sum(t**ord.p) ** (1 / ord.p)
            mu = np.where(support, (t / (phi or 1)) ** (ord.p - 1), 0)
        return (U * mu) @ Vh

    return of


def _of_lines(A: Any, ord: Any) -> Any:
    B = _lines(A, ord)
    sums = np.abs(B).sum(axis=0)
    best = sums.max() if ord > 0 else sums.min()
    tied = np.abs(sums - best) <= 1e-9 * sums.max()
    nonzeros = np.count_nonzero(B, axis=0)
    w = np.where(tied, 1 / np.maximum(nonzeros, 1), 0) if ord > 0 else tied.astype(float)
    if not np.any(B):
        return np.zeros_like(A)
    size = np.abs(B)
    G = np.where(size > 0, B / np.where(size > 0, size, 1), 0) * (w / w.sum())
    return _lines(G, ord)


def gradient(A: Any, s: Any, ord: Any) -> Any:
    return gradient_map(s, ord)(A)


def hvp(A: Any, E: Any, s: Any, ord: Any) -> Any:
    """Return the derivative of the gradient by Richardson's central differences, good to 1e-8."""
    G = gradient_map(s, ord)

    def central(h: float) -> Any:
        return (G(A + h * E) - G(A - h * E)) / (2 * h)

    return (4 * central(5e-4) - central(1e-3)) / 3 if np.any(A) else np.zeros_like(A)


def dual_norm(G: Any, ord: Any) -> float | None:
    """Return the dual norm of G; None where ord is no norm."""
    s = np.linalg.svd(G, compute_uv=False)
    if isinstance(ord, Schatten):
        return float(np.sum(s ** (q := ord.p / (ord.p - 1))) ** (1 / q))
    if isinstance(ord, KyFan):
        return max(s[0], s.sum() / ord.k)
    # the dual of the largest column sum is the sum of the columns' largest entries
    duals = {
        "fro": lambda: math.hypot(*s),
        "nuc": lambda: s[0],
        2: lambda: s.sum(),
        1: lambda: np.abs(G).max(axis=0).sum(),
        math.inf: lambda: np.abs(G).max(axis=1).sum(),
    }
    return float(duals[ord]()) if ord in duals else None
