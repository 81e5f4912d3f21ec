"""The matrices of one check, scaled, and the rounds of comparisons at them."""

from typing import Any

import numpy as np

from normgrad.arithmetic import shift
from normgrad.norms import Norm
from normgrad.testing.autodiff import Answer
from normgrad.testing.outcome import Outcome
from normgrad.testing.point import Point

__all__ = ["Stack"]


class Stack:
    """A stack of matrices, each over a power of two, ``A = 2^e A'`` with entries of A' near 1.

    What is differentiated is a function of A': one of degree d over ``2^(e d)``, which is the
    same function; one that is not homogeneous as it is, ``F(2^e A')``. Directions have entries
    near 1, too.

    Parameters
    ----------
    norm : Norm
    A : (..., m, n) array
    epsilon : float
        Of the precision in which the derivatives were computed.
    outcomes : list of Outcome
        For each order.
    """

    def __init__(self, norm: Norm, A: Any, epsilon: float, outcomes: list[Outcome]) -> None:
        self.batch, self.degree = A.shape[:-2], norm.degree or 0
        self.exponent = np.frexp(np.max(np.abs(A), axis=(-2, -1)))[1]
        self.A = self.flat(shift(A, -self.exponent))
        inside = np.ravel(self.exponent) * (norm.degree is None)
        pairs = zip(self.A, inside, strict=True)
        self.points = [Point(norm, M, e, epsilon, outcomes) for M, e in pairs]

    def flat(self, X: Any) -> Any:
        """Return the matrices of an array, one after the other."""
        return X.reshape((-1, *X.shape[-2:]))

    def answers(self, answer: Answer, rest: Any = 0) -> list[Answer]:
        """Return for each matrix the gradient in A', or its derivative over ``2^rest``."""
        e = rest - self.exponent * (self.degree - 1)
        scaled = (self.flat(shift(X, e)) for X in answer)
        return [Answer(*each) for each in zip(*scaled, strict=True)]

    def random(self, rng: np.random.Generator) -> Any:
        """Return a random direction, its entries of few bits: every precision has them."""
        E = rng.integers(-31, 32, self.A.shape) / 32
        if np.iscomplexobj(self.A):
            E = E + 1j * rng.integers(-31, 32, self.A.shape) / 32
        return E

    def check_size(self, gradient: Answer) -> None:
        """Compare ``Re<G, A>`` with the degree times the value, and a difference towards G."""
        for point, G in zip(self.points, self.answers(gradient), strict=True):
            point.compare_with_value(G)
            point.compare_slopes(G, *point.curves.toward(G.array), is_line=False)

    def check_first(self, gradient: Answer, rng: np.random.Generator) -> None:
        """Compare ``Re<G, E>`` with the differences of values, along a line and along a curve."""
        for point, G, E in zip(self.points, self.answers(gradient), self.random(rng), strict=True):
            point.compare_slopes(G, point.line(E), E, is_line=True)
            point.compare_slopes(G, *point.curves.random(rng), is_line=False)

    def check_second(self, hessian_product: Any, rng: np.random.Generator) -> None:
        """Compare products with the differences of gradients, along lines and along a curve.

        `hessian_product` takes a direction as given and returns the product so. It is linear:
        the direction is taken halfway to the scale of A, so that for a tiny A it is not tiny,
        nor the product huge, and every dtype has both.
        """
        half = self.exponent // 2

        def products(E: Any) -> list[Answer]:
            given = shift(E.reshape(*self.batch, *E.shape[-2:]), half)
            return self.answers(hessian_product(given), self.exponent - half)

        E, F = self.random(rng), self.random(rng)
        for point, *pair in zip(self.points, E, F, products(E), products(F), strict=True):
            point.compare_along_lines(pair[:2], pair[2:])
        paths, curved = zip(*(point.curves.random(rng) for point in self.points), strict=True)
        E = np.stack(curved)
        for point, path, E_i, dG in zip(self.points, paths, E, products(E), strict=True):
            point.compare_along_curve(path, E_i, dG)
