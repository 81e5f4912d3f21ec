"""One matrix of a check, and what is compared at it."""

from typing import Any

import numpy as np

from normgrad._api import grad, hvp, matrix_norm
from normgrad.arithmetic import shift
from normgrad.norms import Norm, UnitarilyInvariantNorm
from normgrad.testing.autodiff import Answer
from normgrad.testing.differences import Difference, central_difference
from normgrad.testing.outcome import Outcome
from normgrad.testing.paths import EntryPaths, Path, Paths
from normgrad.testing.seen import as_seen

__all__ = ["Point"]

_EPS = float(np.finfo(float).eps)


class Point:
    """A matrix A, and the function ``F(A) = norm(2^e A)`` with its derivatives in float64.

    Errors are relative: of ``Re<G, E>`` to ``|G| |E|`` or to the one-sided slopes, of the
    Hessian product to ``|G| |E| / |A|`` or to itself, to the greater of these.

    Parameters
    ----------
    norm : Norm
    given : (m, n) array
        With entries near 1.
    exponent : int
    epsilon : float
        Of the precision in which the derivatives were computed: it says what is a tie, and
        how well they can be known where they are sensitive to A.
    outcomes : list of Outcome
        For each order.
    """

    def __init__(
        self, norm: Norm, given: Any, exponent: Any, epsilon: float, outcomes: list[Outcome]
    ) -> None:
        self.norm, self.exponent, self.outcomes = norm, np.asarray(exponent), outcomes
        self.A = as_seen(norm, given, epsilon)
        self.curves: Any = (Paths if isinstance(norm, UnitarilyInvariantNorm) else EntryPaths)(
            self.A
        )
        self.kink = False
        """Whether there is one along a line."""
        self.G = self._gradient(self.A)
        self.moved = _length(self.A - given) / (_length(given) or 1.0)
        self.near = self._rounded(epsilon)
        self.change = self._change(self.near)
        self.noise = 8 * _EPS * _length(self.G) + self._change(self._rounded(_EPS))
        # values have rounding errors relative to their size here and beside
        beside = np.random.default_rng(0).uniform(-1, 1, given.shape)
        values = abs(self._value(self.A)), abs(self._value(self.A + beside))
        self.size = max(*values, _length(self.G) * _length(self.A))
        self.rounding = 2 * _EPS * self.size * given.shape[-1] ** 0.5

    # --- the function ---

    def _value(self, A: Any) -> float:
        return float(matrix_norm(shift(A, self.exponent), self.norm))

    def _gradient(self, A: Any) -> Any:
        return shift(grad(shift(A, self.exponent), self.norm), self.exponent)

    def _product(self, A: Any, E: Any) -> Any:
        A, E = shift(A, self.exponent), shift(E, self.exponent)
        return shift(hvp(A, E, self.norm), self.exponent)

    def _turned(self, A: Any) -> Any:
        return self.curves.turned(self._gradient, A)

    def _rounded(self, epsilon: float) -> list[Any]:
        """Return matrices that differ from A by rounding errors of a precision, seen by it."""
        rng = np.random.default_rng(0)
        rounded = (self.curves.rounded(rng, epsilon) for _ in range(4))
        return [as_seen(self.norm, B, epsilon) for B in rounded]

    def _change(self, near: list[Any]) -> float:
        """Return by how much the gradients at matrices near A differ from that at A."""
        return max(_length(self._turned(B) - self.G) for B in (self.A, *near))

    def line(self, E: Any) -> Path:
        """Return the line through A in the direction E."""
        return lambda h: self.A + h * E

    # --- first order ---

    def compare_with_value(self, G: Answer) -> None:
        """Compare ``Re<G, A>`` with the degree times the value (Euler), where it has a degree."""
        if self.norm.degree is not None:
            euler = self.norm.degree * self._value(self.A)
            self._record_slope(G, self.A, euler - _real_inner(G.array, self.A), 0.0, [euler])

    def compare_slopes(self, G: Answer, path: Path, E: Any, *, is_line: bool) -> None:
        """Compare ``Re<G, E>`` with the difference along a path of the direction E."""
        difference = central_difference(lambda h: self._value(path(h)), self.rounding)
        beside = [difference.backward, difference.forward]
        if is_line:
            self.kink |= difference.kink
            if not self.norm.convex if difference.kink else self.curves.blurred:
                return
        low, high = sorted(beside) if difference.kink else (difference.value,) * 2
        slope = _real_inner(G.array, E)
        miss = np.max([low - slope, slope - high, 0.0])  # (of which a NaN is the largest)
        self._record_slope(G, E, float(miss), difference.error, beside)

    def _record_slope(
        self, G: Answer, E: Any, miss: float, error: float, slopes: list[float]
    ) -> None:
        """Take note of the difference between ``Re<G, E>`` and a slope known to an `error`."""
        length, error = _length(E), max(error, self.rounding)
        scale = self._scale(1, E, error, [_length(G.array) * length, *slopes])
        estimate = error + self.change * length + self.moved * scale
        self.outcomes[0].record(abs(miss), estimate, _length(G.rounding) * length, scale)

    def _scale(self, order: int, E: Any, error: float, sizes: list[float]) -> float:
        """Return what errors are relative to: the largest of `sizes`.

        Where all of them are zeros with an `error`, that is compared with values beside A.
        """
        largest = max(map(abs, sizes))
        if largest > 10 * error:
            return largest
        return max(largest, self.size * _length(E) / (_length(self.A) or 1.0) ** order)

    # --- second order ---

    def compare_along_lines(self, directions: list[Any], products: list[Answer]) -> None:
        """Compare two products with differences along lines, where these can resolve the norm."""
        if self.kink or self.curves.blurred:
            return
        differences = [self._difference(self.line(E)) for E in directions]
        if _are_symmetric(directions, differences):
            apart = max(_length(B - self.A) for B in self.near)
            for E, dG, difference in zip(directions, products, differences, strict=True):
                # by how much the gradient changes in other directions
                elsewhere = self.change * _length(E) / (apart or 1.0)
                self._compare_products(E, dG, difference, elsewhere)

    def compare_along_curve(self, path: Path, E: Any, dG: Answer) -> None:
        """Compare a product with the difference along a curve of the direction E."""
        self._compare_products(E, dG, self._difference(path), 0.0)

    def _difference(self, path: Path) -> Difference:
        beside = _length(self._turned(path(0.0)) - self.G)
        return central_difference(lambda h: self._turned(path(h)), max(beside, self.noise))

    def _compare_products(
        self, E: Any, dG: Answer, difference: Difference, elsewhere: float
    ) -> None:
        if difference.kink:
            return
        usual = _length(self.G) * _length(E) / (_length(self.A) or 1.0)
        sizes = [_length(dG.size), _length(difference.value), usual, elsewhere]
        scale = self._scale(2, E, difference.error, sizes)
        product = self._product(self.A, E)
        change = max(_length(self._product(B, E) - product) for B in self.near)
        estimate = difference.error + change + self.moved * scale
        miss = _length(dG.array - difference.value)
        self.outcomes[1].record(miss, estimate, _length(dG.rounding), scale)


def _are_symmetric(directions: list[Any], differences: list[Difference]) -> bool:
    """Whether ``<F, D(E)> = <E, D(F)>``, without which the gradient is not differentiable."""
    crossed = list(zip(directions[::-1], differences, strict=True))
    one, other = (_real_inner(F, difference.value) for F, difference in crossed)
    error = sum(_length(F) * difference.error for F, difference in crossed)
    size = sum(_length(F) * _length(difference.value) for F, difference in crossed)
    return abs(one - other) <= 10 * error + 1e-6 * size


def _length(X: Any) -> float:
    return float(np.linalg.norm(X))


def _real_inner(a: Any, b: Any) -> float:
    return float(np.sum(np.real(np.conj(a) * b)))
