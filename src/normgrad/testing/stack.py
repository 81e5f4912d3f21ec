"""The matrices of one check, and the errors found at them."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from normgrad._api import grad, matrix_norm
from normgrad.arithmetic import shift
from normgrad.norms import Norm, UnitarilyInvariantNorm
from normgrad.testing.differences import Difference, central_difference
from normgrad.testing.paths import Path, Paths

__all__ = ["Stack"]

_EPS = float(np.finfo(float).eps)


class Stack:
    """A stack of matrices, for a norm each scaled by a power of two to entries near 1.

    Errors are relative to the size of what is differentiated: for the gradient the norm of
    the direction, for the Hessian product that over the norm of the matrix, or the product
    itself if it is greater. Matrices and directions have entries of size about 1.
    """

    def __init__(self, norm: Norm, A: Any) -> None:
        self.norm = norm
        self.batch = A.shape[:-2]
        self.exponent = np.frexp(np.max(np.abs(A), axis=(-2, -1)))[1]
        if norm.degree != 1:  # the gradient changes with the scale
            self.exponent = 0 * self.exponent
        self.A = self.flat(shift(A, -self.exponent))
        self.paths = [Paths(M) for M in self.A]
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

    def check_first(self, G: Any, rng: np.random.Generator) -> None:
        """Compare ``Re<G, E>`` with the differences of values, and ``Re<G, A>`` with the value."""
        E = self.random(rng)
        for i, (A, G_i, E_i) in enumerate(zip(self.A, self.flat(G), E, strict=True)):
            value = float(matrix_norm(A, self.norm))
            noise = 2 * _EPS * max(value, 1.0) * A.shape[-1] ** 0.5
            difference = central_difference(_values(self.norm, _line(A, E_i)), noise)
            self.kinks[i] |= difference.kink
            self._compare_slopes(G_i, E_i, difference, blurred=self.paths[i].blurred)
            if isinstance(self.norm, UnitarilyInvariantNorm):
                path, E_i = self.paths[i].random(rng)
                difference = central_difference(_values(self.norm, path), noise)
                self._compare_slopes(G_i, E_i, difference, blurred=False)
                if self.norm.degree is not None:
                    euler = abs(_real_inner(G_i, A) - self.norm.degree * value)
                    self._record(1, euler / max(float(np.linalg.norm(A)), value, 1.0), 0.0)

    def _compare_slopes(self, G: Any, E: Any, difference: Difference, blurred: bool) -> None:
        slope, scale = _real_inner(G, E), max(float(np.linalg.norm(E)), 1.0)
        if difference.kink:
            low, high = sorted((difference.backward, difference.forward))
            self._record(1, max(low - slope, slope - high, 0.0) / scale, difference.error / scale)
        elif not blurred:
            self._record(1, abs(slope - difference.value) / scale, difference.error / scale)

    def check_second(self, hessian_product: Any, rng: np.random.Generator) -> None:
        """Compare the product with the differences of gradients, in two directions.

        `hessian_product` takes a direction as given and returns the product so. The first
        direction is random, where the differences can resolve the norm along a line; the
        second keeps every tie and every zero, where there are singular values.
        """
        E = self.random(rng)
        dG = self.flat(hessian_product(self.as_given(E)))
        for i, (A, E_i, dG_i) in enumerate(zip(self.A, E, dG, strict=True)):
            if not self.kinks[i] and not self.paths[i].blurred:
                self._compare_products(i, E_i, dG_i, _line(A, E_i))
        if isinstance(self.norm, UnitarilyInvariantNorm):
            paths, directions = zip(*(path.random(rng) for path in self.paths), strict=True)
            E = np.stack(directions)
            dG = self.flat(hessian_product(self.as_given(E)))
            for i, (E_i, dG_i, path) in enumerate(zip(E, dG, paths, strict=True)):
                self._compare_products(i, E_i, dG_i, path)

    def _gradient(self, i: int, A: Any) -> Any:
        """Return the gradient at A; of a norm of singular values from that at A turned."""
        if isinstance(self.norm, UnitarilyInvariantNorm):
            return self.paths[i].turned(lambda A: grad(A, self.norm), A)
        return grad(A, self.norm)

    def _compare_products(self, i: int, E: Any, dG: Any, path: Path) -> None:
        A, gradient = self.A[i], functools.partial(self._gradient, i)
        # the noise of gradients is what the rounding of A changes in them
        rng = np.random.default_rng(0)
        size = _EPS * float(np.linalg.norm(A)) / A.size**0.5
        rounded = [A + size * rng.standard_normal(A.shape) for _ in range(4)]
        G = grad(A, self.norm)
        changes = [np.linalg.norm(gradient(B) - G) for B in (A, path(0.0), *rounded)]
        noise = 8 * _EPS + float(max(changes))
        difference = central_difference(lambda h: gradient(path(h)), noise)
        if difference.kink:
            return
        sizes = [np.linalg.norm(dG), np.linalg.norm(difference.value)]
        if np.any(A):
            sizes.append(np.linalg.norm(E) / np.linalg.norm(A))
        scale = max(*map(float, sizes), 1.0)
        miss = float(np.linalg.norm(dG - difference.value))
        self._record(2, miss / scale, difference.error / scale)

    def _record(self, order: int, error: float, estimate: float) -> None:
        # (error > worst is false for a NaN, which must not pass)
        worst = self.errors[order - 1]
        self.errors[order - 1] = worst if error <= worst else error
        self.estimates[order - 1] = max(self.estimates[order - 1], estimate)


def _real_inner(a: Any, b: Any) -> float:
    return float(np.sum(np.real(np.conj(a) * b)))


def _line(A: Any, E: Any) -> Path:
    return lambda h: A + h * E


def _values(norm: Norm, path: Path) -> Callable[[float], float]:
    return lambda h: float(matrix_norm(path(h), norm))
