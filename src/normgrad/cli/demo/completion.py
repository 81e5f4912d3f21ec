r"""A matrix from a part of its entries, by nuclear-norm proximal gradient.

Minimises ``||P(X - B)||_F^2 / 2 + t ||X||_*`` with P the projection on the entries seen, for
thresholds t that fall by steps, each begun where the one before it ended (Mazumder, Hastie,
Tibshirani, Spectral regularization algorithms for learning large incomplete matrices, J. Mach.
Learn. Res. 11, 2010), accelerated as FISTA (Beck, Teboulle, SIAM J. Imaging Sci. 2, 2009).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import normgrad

__all__ = ["LEVELS", "Iterate", "complete", "rank_of"]

LEVELS = 10
"""How many thresholds."""

_LIMIT = 30
"""The most iterations for one threshold."""

_HIGHEST, _LOWEST = 0.5, 4e-3
"""The first and the last threshold, over the largest singular value of what is seen."""

_SETTLED = 1e-4
"""The relative change of an iteration below which the next threshold's turn comes."""


@dataclass(frozen=True)
class Iterate:
    """Where the minimisation stands.

    Parameters
    ----------
    X : (m, n) array
    threshold : float
    level : int
        Which threshold, from 0.
    iterations : int
        In all.
    """

    X: NDArray[Any]
    threshold: float
    level: int
    iterations: int

    def objective(self, B: NDArray[Any], seen: NDArray[np.bool_]) -> float:
        """Return the value that is minimised."""
        misfit = normgrad.frobenius_norm(np.where(seen, self.X - B, 0.0))
        return float(misfit**2 / 2 + self.threshold * normgrad.nuclear_norm(self.X))


def complete(B: NDArray[Any], seen: NDArray[np.bool_]) -> Iterator[Iterate]:
    """Yield the iterates for a matrix B of which the entries `seen` are known."""
    B = np.where(seen, B, 0.0)
    top = float(normgrad.spectral_norm(B))
    X, iterations = np.zeros_like(B), 0
    for level, t in enumerate(np.geomspace(_HIGHEST * top, _LOWEST * top, LEVELS)):
        Y, momentum = X, 1.0
        for _ in range(_LIMIT):
            # prox of the gradient step, of length 1: the misfit's gradient is P(Y - B)
            new = normgrad.prox(np.where(seen, B, Y), float(t), "nuc")
            following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
            Y = new + (momentum - 1) / following * (new - X)
            change, size = np.linalg.norm(new - X), np.linalg.norm(new)
            X, momentum, iterations = new, following, iterations + 1
            yield Iterate(X, float(t), level, iterations)
            if change <= _SETTLED * size:
                break


def rank_of(X: NDArray[Any]) -> int:
    """Return how many singular values are more than rounding errors."""
    return int(np.linalg.matrix_rank(X))
