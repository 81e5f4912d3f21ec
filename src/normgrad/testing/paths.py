"""Curves of matrices on which every tie and every zero singular value stays."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Path", "Paths"]

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


def _skew(rng: np.random.Generator, n: int, is_complex: bool) -> Any:
    """Return a random skew-Hermitian matrix of norm about 1."""
    X = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if is_complex else 0)
    return (X - X.conj().T) / (4 * n**0.5)


def _exponential(X: Any) -> Any:
    """Return the exponential of a skew-Hermitian matrix, real if X is."""
    w, Q = np.linalg.eigh(1j * X)
    unitary = (Q * np.exp(-1j * w)) @ Q.conj().T
    return unitary if np.iscomplexobj(X) else unitary.real
