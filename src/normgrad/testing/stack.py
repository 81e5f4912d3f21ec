"""The matrices of one check, and the errors found at them."""

from typing import Any

import numpy as np

from normgrad._api import grad, matrix_norm
from normgrad.arithmetic import shift
from normgrad.norms import Norm, UnitarilyInvariantNorm
from normgrad.testing.differences import central_difference

__all__ = ["Stack"]


class Stack:
    """A stack of matrices, each scaled by a power of two to entries near 1.

    Errors are relative to the size of what is differentiated: for the gradient the norm of
    the direction, for the Hessian product that over the norm of the matrix, or the product
    itself if it is greater. Matrices and directions have entries of size about 1.
    """

    def __init__(self, norm: Norm, A: Any) -> None:
        self.norm = norm
        self.batch = A.shape[:-2]
        self.exponent = np.frexp(np.max(np.abs(A), axis=(-2, -1)))[1]
        self.A = self.flat(shift(A, -self.exponent))
        self.kinks = np.zeros(len(self.A), dtype=bool)
        self.errors, self.estimates = [0.0, 0.0], [0.0, 0.0]

    def flat(self, X: Any) -> Any:
        """Return the matrices of an array, one after the other."""
        return X.reshape((-1, *X.shape[-2:]))

    def as_given(self, E: Any) -> Any:
        """Return a direction scaled and shaped like the array that was given."""
        return shift(E.reshape(*self.batch, *E.shape[-2:]), self.exponent)

    def random(self, rng: np.random.Generator) -> Any:
        """Return a random direction, its entries of few bits: every precision has them."""
        E = rng.integers(-31, 32, self.A.shape) / 32
        if np.iscomplexobj(self.A):
            E = E + 1j * rng.integers(-31, 32, self.A.shape) / 32
        return E

    def check_first(self, G: Any, E: Any) -> None:
        """Compare ``Re<G, E>`` with the differences of values, and ``Re<G, A>`` with the value."""
        for i, (A, G_i, E_i) in enumerate(zip(self.A, self.flat(G), E, strict=True)):
            value = float(matrix_norm(A, self.norm))
            scale = float(np.linalg.norm(E_i))
            noise = 2 * np.finfo(float).eps * max(value, 1.0) * A.shape[-1] ** 0.5

            def along(h: float, A: Any = A, E_i: Any = E_i) -> float:
                return float(matrix_norm(A + h * E_i, self.norm))

            difference = central_difference(along, noise)
            slope, error = _real_inner(G_i, E_i), difference.error
            self.kinks[i] |= difference.kink
            if difference.kink:
                low, high = sorted((difference.backward, difference.forward))
                miss, error = max(low - slope, slope - high, 0.0), noise * 2**23
            else:
                miss = abs(slope - difference.value)
            self._record(1, miss / scale, error / scale)
            if isinstance(self.norm, UnitarilyInvariantNorm):
                euler = abs(_real_inner(G_i, A) - value) / max(float(np.linalg.norm(A)), 1.0)
                self._record(1, euler, 0.0)

    def check_second(self, hessian_product: Any, rng: np.random.Generator) -> None:
        """Compare the product with the differences of gradients, in a random direction.

        `hessian_product` takes a direction as given and returns the product so.
        """
        E = self.random(rng)
        turns: dict[int, tuple[Any, Any]] = {}
        for i in map(int, np.flatnonzero(self.kinks)):
            # along exp(hX) A exp(hY) the singular values stay as they are
            turns[i] = tuple(_skew(rng, n, np.iscomplexobj(self.A)) for n in self.A.shape[-2:])
            E[i] = turns[i][0] @ self.A[i] + self.A[i] @ turns[i][1]
        dG = self.flat(hessian_product(self.as_given(E)))
        for i, (A, E_i, dG_i) in enumerate(zip(self.A, E, dG, strict=True)):
            if self.kinks[i] and not isinstance(self.norm, UnitarilyInvariantNorm):
                continue

            def along(h: float, i: int = i, A: Any = A, E_i: Any = E_i) -> Any:
                if i in turns:
                    X, Y = turns[i]
                    return grad(_exponential(h * X) @ A @ _exponential(h * Y), self.norm)
                return grad(A + h * E_i, self.norm)

            difference = central_difference(along, 8 * np.finfo(float).eps)
            self.kinks[i] |= difference.kink
            if difference.kink:
                continue
            scale = max(float(np.linalg.norm(dG_i)), float(np.linalg.norm(difference.value)))
            if np.any(A):
                scale = max(scale, float(np.linalg.norm(E_i) / np.linalg.norm(A)))
            miss = float(np.linalg.norm(dG_i - difference.value))
            self._record(2, miss / max(scale, 1.0), difference.error / max(scale, 1.0))

    def _record(self, order: int, error: float, estimate: float) -> None:
        # (error > worst is false for a NaN, which must not pass)
        worst = self.errors[order - 1]
        self.errors[order - 1] = worst if error <= worst else error
        self.estimates[order - 1] = max(self.estimates[order - 1], estimate)


def _real_inner(a: Any, b: Any) -> float:
    return float(np.sum(np.real(np.conj(a) * b)))


def _skew(rng: np.random.Generator, n: int, is_complex: bool) -> Any:
    """Return a random skew-Hermitian matrix of norm about 1."""
    X = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if is_complex else 0)
    return (X - X.conj().T) / (4 * n**0.5)


def _exponential(X: Any) -> Any:
    """Return the exponential of a skew-Hermitian matrix, real if X is."""
    w, Q = np.linalg.eigh(1j * X)
    unitary = (Q * np.exp(-1j * w)) @ Q.conj().T
    return unitary if np.iscomplexobj(X) else unitary.real
