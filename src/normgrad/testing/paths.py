"""Curves of matrices on which what makes a kink stays: ties and zeros, or zero entries."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["EntryPaths", "Path", "Paths"]

Path = Callable[[float], Any]
"""A matrix as a function of one real number."""

_RESOLVED = 2.0**-12


class Paths:
    """The curves through one matrix, ``A = U diag(s) V^H``.

        A(h) = exp(hX) U diag(s exp(h f(s))) V^H exp(hY)

    with X and Y skew-Hermitian and f smooth: equal singular values stay equal, zeros zero,
    and nearly equal or nearly zero ones stay so. Along them a unitarily invariant norm and
    its gradient are smooth on the scale 1, whatever kink lies beside.
    """

    def __init__(self, A: Any) -> None:
        self.A = A
        self.U, self.s, self.Vh = np.linalg.svd(A, full_matrices=False)
        counted = self.s[self.s > A.shape[-1] * np.finfo(float).eps * self.s[0]]
        self.blurred = bool(counted.size and counted[-1] < _RESOLVED * counted[0])
        """Whether there is a singular value too small for differences along a line to see."""

    @functools.cached_property
    def _turns(self) -> list[Any]:
        rng = np.random.default_rng(0)
        return [np.linalg.qr(rng.standard_normal((n, n)))[0] for n in self.A.shape]

    def turned(self, f: Callable[[Any], Any], A: Any) -> Any:
        """Return ``Q^T f(Q A R) R^T`` with orthogonal Q and R: ``f(A)`` for the lift of a map.

        Between tied singular values LAPACK takes small entries beside a diagonal for zeros,
        where the differences of f may be those entries.
        """
        Q, R = self._turns
        return Q.T @ f(Q @ A @ R) @ R.T

    def random(self, rng: np.random.Generator) -> tuple[Path, Any]:
        """Return a random curve and its direction at 0."""
        X, Y = (_skew(rng, n, np.iscomplexobj(self.A)) for n in self.A.shape)
        a, b = rng.uniform(-0.5, 0.5, 2)
        f = a + b * self.s / (self.s[0] or 1)

        def path(h: float) -> Any:
            left, right = _exponential(h * X) @ self.U, self.Vh @ _exponential(h * Y)
            return (left * (self.s * np.exp(h * f))) @ right

        E = X @ self.A + self.A @ Y + (self.U * (self.s * f)) @ self.Vh
        return path, E

    def toward(self, G: Any) -> tuple[Path, Any]:
        """Return a curve whose direction is that of G, in the singular values large enough."""
        mu = np.real(np.sum(np.conj(self.U) * (G @ np.conj(self.Vh.T)), axis=0))
        least = max(min(self.s[self.s > 0], default=1.0), _RESOLVED * self.s[0])
        f = mu / (np.abs(mu).max() or 1) * least / np.maximum(self.s, least)
        return lambda h: (self.U * (self.s * np.exp(h * f))) @ self.Vh, (
            self.U * self.s * f
        ) @ self.Vh

    def rounded(self, rng: np.random.Generator, epsilon: float) -> Any:
        """Return A with a random error as a factorization makes, relative to its norm."""
        return self.A + epsilon * self.s[0] * rng.standard_normal(self.A.shape)


class EntryPaths:
    """The curves ``A o exp(h F)`` through one matrix, entry by entry: zero entries stay zero.

    Along them every modulus is smooth. A largest or smallest sum of moduli has no kinks but at
    ties, and there its slope is between those of the tied sums, whether it is convex or not.
    """

    blurred = False

    def __init__(self, A: Any) -> None:
        self.A = A

    def turned(self, f: Callable[[Any], Any], A: Any) -> Any:
        """Return ``f(A)``."""
        return f(A)

    def random(self, rng: np.random.Generator) -> tuple[Path, Any]:
        """Return a random curve and its direction at 0."""
        F = rng.uniform(-0.5, 0.5, self.A.shape)
        if np.iscomplexobj(self.A):
            F = F + 1j * rng.uniform(-0.5, 0.5, F.shape)
        return lambda h: self.A * np.exp(h * F), self.A * F

    def toward(self, G: Any) -> tuple[Path, Any]:
        """Return a curve on which the entries grow where G is large."""
        F = np.abs(G) / (np.abs(G).max() or 1)
        return lambda h: self.A * np.exp(h * F), self.A * F

    def rounded(self, rng: np.random.Generator, epsilon: float) -> Any:
        """Return A with a rounding error of each entry: sums of moduli have no other."""
        return self.A * (1 + epsilon * rng.standard_normal(self.A.shape))


def _skew(rng: np.random.Generator, n: int, is_complex: bool) -> Any:
    """Return a random skew-Hermitian matrix of norm about 1."""
    X = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if is_complex else 0)
    return (X - X.conj().T) / (4 * n**0.5)


def _exponential(X: Any) -> Any:
    """Return the exponential of a skew-Hermitian matrix, real if X is."""
    w, Q = np.linalg.eigh(1j * X)
    unitary = (Q * np.exp(-1j * w)) @ Q.conj().T
    return unitary if np.iscomplexobj(X) else unitary.real
