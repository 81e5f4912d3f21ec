"""The polar factor by products alone: Newton-Schulz iteration with optimal polynomials.

Each step ``X <- X (a I + b X^H X + c (X^H X)^2)`` maps every singular value by an odd
polynomial of degree 5, the nearest to 1 in the maximum norm on the interval in which the
singular values lie by then (the Polar Express). It starts from an interval [l, 1]; if all
singular values lie in it, X is orthonormal to rounding level in the end, and if one does not,
``X^H X - I`` is not small, which is tested: then the SVD takes over.

Rounding turns X no further than a rounding of A would, as long as no step makes a singular
value much smaller, against the largest, than it was (Nakatsukasa, Higham 2012); else X may
become orthonormal and not be the factor of A. The nearest polynomial on [l, u] has a minimum
within as small as its value at l: so each step takes at least u / 10 for l, which costs no
more steps.
"""

import functools
from dataclasses import dataclass
from typing import final

import numpy as np

from normgrad.arithmetic import (
    Array,
    absolute_sum,
    adjoint,
    branch,
    divide,
    frobenius,
    gram,
    identity,
    is_single,
    machine_epsilon,
    namespace,
    real_inner,
)
from normgrad.calculus.by_singular_values import NormBySingularValues, is_empty
from normgrad.calculus.normalise import normalise, restore
from normgrad.calculus.rules import Derivative, NormRule
from normgrad.norms import Nuclear

__all__ = ["PolarByIteration"]


@final
@dataclass(frozen=True)
class PolarByIteration(NormRule):
    """The nuclear norm, its gradient by products. The derivative is that by singular values."""

    norm: Nuclear
    method: str = "iteration"

    @property
    def any_library(self) -> bool:
        return self.norm.any_library

    def settled(self, A: Array) -> "PolarByIteration":
        return self

    def value(self, A: Array) -> Array:
        return self.value_and_gradient(A)[0]

    def value_and_gradient(self, A: Array) -> tuple[Array, Array]:
        rule = NormBySingularValues(self.norm)
        if is_empty(A):
            return rule.value_and_gradient(A)
        scaled = normalise(A)
        B: Array = scaled.matrix
        X, holds = _iterated(B) if B.shape[-2] >= B.shape[-1] else _of_wide(B)
        xp = namespace(A)
        known = real_inner(X, B), X

        def general(B: Array) -> tuple[Array, Array]:
            value, G = rule.value_and_gradient(B)
            return xp.where(holds, known[0], value), xp.where(holds[..., None, None], X, G)

        value, G = branch(xp.all(holds), lambda B: known, general, B)
        return scaled.value(value), restore(G, (scaled, 0))

    def linearized(self, A: Array) -> tuple[Array, Array, Derivative]:
        return (*self.value_and_gradient(A), self.derivative(A))

    def derivative(self, A: Array) -> Derivative:
        return NormBySingularValues(self.norm).derivative(A)


def _of_wide(A: Array) -> tuple[Array, Array]:
    X, holds = _iterated(adjoint(A))
    return adjoint(X), holds


def _iterated(A: Array) -> tuple[Array, Array]:
    """Return X for a tall A, and whether it is orthonormal to rounding level, (...)."""
    xp, n = namespace(A), A.shape[-1]
    # two upper bounds of the largest singular value
    lines = [xp.max(absolute_sum(A, axis), axis=-1) for axis in (-1, -2)]
    bound = xp.minimum(frobenius(A), xp.sqrt(lines[0] * lines[1]))
    X = A * divide(xp.ones_like(bound), bound)[..., None, None]
    unit = identity(n, A)
    for a, b, c in _plan(1e-3 if is_single(A.real) else 1e-6):
        S = gram(X)
        X = X @ (a * unit + S @ (b * unit + c * S))
    residual = frobenius(gram(X) - unit)
    return X, residual <= 32 * n * machine_epsilon(A)


@functools.cache
def _plan(lower: float) -> tuple[tuple[float, float, float], ...]:
    """Return the coefficients of the steps that take [lower, 1] to 1."""
    steps, upper = [], 1 + 1e-7  # (the bounds are rounded)
    while True:
        least = max(lower, upper / 10)
        a, b, c = _optimal(least, upper)
        steps.append((a, b, c))
        if lower / upper > 1 - 5e-6:
            return tuple(steps)
        lower, least = (a * x + b * x**3 + c * x**5 for x in (lower, least))
        upper = 2 - least


def _optimal(lower: float, upper: float) -> tuple[float, float, float]:
    """Return the odd polynomial of degree 5 that is nearest to 1 on an interval (Remez)."""
    if lower / upper > 1 - 5e-6:
        return 15 / 8 / upper, -10 / 8 / upper**3, 3 / 8 / upper**5
    inner = np.array([(3 * lower + upper) / 4, (lower + 3 * upper) / 4])
    for _ in range(100):
        x = np.array([lower, *inner, upper])
        equations = np.stack([x, x**3, x**5, [1, -1, 1, -1]], axis=1)
        a, b, c, _error = np.linalg.solve(equations, np.ones(4))
        before = inner
        root = np.sqrt(9 * b * b - 20 * a * c)
        inner = np.sqrt((-3 * b + np.array([-root, root])) / (10 * c))
        if np.allclose(inner, before, rtol=1e-12, atol=0):
            break
    return float(a), float(b), float(c)
