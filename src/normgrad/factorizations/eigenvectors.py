r"""The largest eigenvalues of ``M = A^H A`` with their vectors, ties included.

By the block Lanczos process (`normgrad.factorizations.krylov`): in the basis Q of the Krylov space
of b random vectors M is T, and with ``T y = theta y`` the Ritz vector ``x = Q y`` has the residual

    |M x - theta x| = |R_j y_last|.

*Accuracy.* The Ritz vectors wanted, and those of values tied with the last of them, have
converged at a residual of ``8 eps theta_1``.

*Ties.* One start vector would show one vector of each eigenspace; b of them show up to b. For if
an eigenspace of an eigenvalue has more vectors than were found, let e be a further one. Of the b
random starts there are combinations without the vectors found, b - 1 dimensions of them if one
was found. Their Krylov spaces are part of the whole, and in each of them the next Ritz value, if
it has converged to a residual r at a distance g below the tie, tells that the start had hardly any
component of e: about r/g of that of the vector it converged to. So a tie is missed with
a probability of about ``(r/g)^(b-1)``, and the run ends when that is below 1e-4. A cluster of b
values is not told from a larger one, and counts as a failure.

*Restarts.* A basis takes memory; where it is full, the b leading Ritz vectors start another.
What they have of each eigenspace is what the random ones had, so the above holds of them.

References
----------
B. N. Parlett, The Symmetric Eigenvalue Problem (1980), chapter 13.
"""

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from normgrad.arithmetic import (
    Array,
    divide,
    from_host,
    host,
    integer,
    is_torch,
    is_traced,
    namespace,
    when,
    window,
)
from normgrad.factorizations.krylov import Basis, Problem, begun, extended, small

__all__ = [
    "CROWDED",
    "FAILED",
    "FOUND",
    "MORE",
    "Found",
    "largest_eigenvectors",
    "small_eigh",
]

_MISSED = 1e-4
"""The probability of missing a tie."""
_FIRST_CHECK = 6
_PATIENCE = 20
"""So many steps are made before it is asked whether it is hopeless."""
_RESTARTS = 4
"""So many times the leading Ritz vectors start again, where there is no other way."""
_GROWTH, _GROWTH_COMPILED = 1.1, 1.5
"""The room of a stage to that of the one before. (XLA compiles each.)"""
_LEAP, _LEAP_COMPILED = 0.6, 1.5
"""The most steps to the next check, to those so far."""
MORE = 16
"""So many Ritz vectors are returned besides those wanted."""
GOING, FOUND, CROWDED, FAILED = range(4)


class Found(NamedTuple):
    """The leading Ritz vectors, as rows; those that count, `count` of them, have converged.

    The status is FOUND, or CROWDED where more may be tied, or FAILED to converge in so many
    `products` with vectors.
    """

    rows: Array
    count: Any
    status: Any
    products: Any

    def leading(self, most: int) -> Array:
        """Return the rows that count; where it is not known which, `most`, the others zero."""
        if not is_traced(self.count):
            return self.rows[: self.count]
        xp = namespace(self.rows)
        return xp.where(xp.arange(most)[:, None] < self.count, self.rows[:most], 0.0)

    @property
    def failure(self) -> str:
        """Return what is wrong; "" if nothing is, or where that is not known yet."""
        if is_traced(self.status) or self.status == FOUND:
            return ""
        if self.status == CROWDED:
            return "no convergence, as more singular values are tied than are tried at once"
        return f"no convergence in {self.products} products"


class _Check(NamedTuple):
    """What was found after so many `steps`.

    The vectors y, how many of them count, the logarithm of the factor by which their residuals
    are too large, and after how many steps they are expected to be small enough.
    """

    y: Array
    count: Any
    status: Any
    steps: Any
    logarithm: Any
    expected: Any


def largest_eigenvectors(problem: Problem, wanted: int) -> Found:
    """Return vectors for the `wanted` largest eigenvalues, and for all tied with the last."""
    found, logarithm = _in_one_run(problem, wanted)
    before = -math.log(problem.accuracy)
    for left in range(_RESTARTS, 0, -1):
        if is_traced(found.status) or found.status != FAILED or not problem.patient:
            break
        if logarithm > left * (before - logarithm):  # each divides the residual by as much
            break
        start = found.rows[: problem.start.shape[0]]
        before, products = logarithm, found.products
        found, logarithm = _in_one_run(problem._replace(start=start), wanted)
        found = found._replace(products=products + found.products)
    return found


def _in_one_run(problem: Problem, wanted: int) -> tuple[Found, Any]:
    """Return what is found from the start, and the logarithm of what residuals are too large by."""
    sizes = _sizes(problem, wanted)

    def stage(i: int, steps: Any, state: tuple[Basis, _Check]) -> tuple[Found, Any]:
        # (stages, not a loop: each has a size of its own, which XLA has to know)
        basis, check = state
        size, last = sizes[i], i + 1 == len(sizes)
        to = 0 * steps + size if last else small(problem.start).minimum(check.expected, size)
        to = integer(to)
        basis = extended(problem, basis, steps, to, size)
        checked = functools.partial(_checked, problem, wanted, basis, to, size, last)
        check = when((check.expected <= size) | last, checked, lambda check: check, check)
        if last:
            return result(to, (basis, check))
        further, there = functools.partial(stage, i + 1, to), functools.partial(result, to)
        return when(check.status == GOING, further, there, (basis, check))

    def result(steps: Any, state: tuple[Basis, _Check]) -> tuple[Found, Any]:
        basis, check = state
        y = from_host(check.y.T, basis.q)
        rows = y @ basis.q[: y.shape[1]]
        products = steps * problem.start.shape[0]
        return Found(rows, check.count, check.status, products), check.logarithm

    basis = begun(problem, sizes[-1])
    none, far = integer(basis.norm), basis.norm - math.log(problem.accuracy)
    y = basis.t[: -problem.start.shape[0], : wanted + MORE]
    check = _Check(y, none, none + GOING, none, far, none + sizes[0])
    return stage(0, none, (basis, check))


def _sizes(problem: Problem, wanted: int) -> list[int]:
    """Return for how many steps there is room in each stage."""
    least = -(-(wanted + MORE) // problem.start.shape[0])
    last = max(problem.steps, least)  # (rows that exceed the space are zero)
    growth = _GROWTH_COMPILED if is_traced(problem.start) else _GROWTH
    sizes = [min(max(_FIRST_CHECK, least), last)]
    while sizes[-1] < last:
        sizes.append(min(max(int(growth * sizes[-1]), sizes[-1] + 2), last))
    return sizes


def _checked(
    problem: Problem, wanted: int, basis: Basis, steps: Any, size: int, last: bool, before: _Check
) -> _Check:
    """Return the Ritz vectors after so many steps, and whether they will do."""
    (b, n), xp = problem.start.shape, small(basis.q)
    k, top = b * size, wanted + b
    t = basis.t[:k, :k]
    theta, Y = small_eigh((t + xp.conj(t.T)) / 2, problem.start)
    theta, Y = theta[:top], Y[:, : wanted + MORE]
    residual = host(basis.r) @ window(Y, b * (steps - 1), b)[:, :top]
    residual = xp.linalg.vector_norm(residual, axis=0)
    # allowed: rounding level for those that count; for the next, what sets it apart from a tie
    tie = problem.tie or 0.0
    reference = theta[wanted - 1] * (1 - tie)
    counts = theta >= reference if problem.tie is not None else xp.arange(top) < wanted
    count = xp.sum(counts)
    apart = _MISSED ** (1 / max(b - 1, 1))
    allowed = xp.where(counts, 0.0, apart * (reference - theta))
    allowed = xp.maximum(allowed, problem.accuracy * theta[0])
    relevant = xp.arange(top) < count + (problem.tie is not None)
    excess = xp.max(xp.where(relevant, divide(residual, allowed), 0.0))
    # b eigenvalues together may be more, unless the space is the entire one
    together = counts[b - 1 :] & (theta[b - 1 :] >= theta[: wanted + 1] * (1 - tie))
    crowded = xp.where(b * steps < n, xp.any(together), counts[-1] & (top < n))
    crowded = crowded & (theta[0] > 0) & (problem.tie is not None)
    # the residual falls about geometrically: after how many more steps is it small enough?
    logarithm = xp.log(xp.maximum(excess, 1e-30))
    slope = (logarithm - before.logarithm) / (steps - before.steps)
    more = logarithm / xp.maximum(-slope, 1e-3)
    # (and by all the steps so far, for what may still come to light takes time to converge)
    pace = xp.maximum(-math.log(problem.accuracy) - logarithm, 1e-3) / steps
    hopeless = (steps >= _PATIENCE) & (0.5 * logarithm / pace > problem.steps - steps)
    hopeless = (hopeless & (not problem.patient)) | last
    status = xp.where(hopeless, FAILED, GOING)
    status = xp.where(excess <= 1, xp.where(crowded, CROWDED, FOUND), status)
    leap = _LEAP_COMPILED if is_traced(more) else _LEAP
    ahead = xp.maximum(xp.minimum(0.9 * more + 1, leap * steps), 2)
    y = xp.concat([Y, xp.zeros((before.y.shape[0] - k, Y.shape[1]), dtype=Y.dtype)])
    return _Check(y, integer(count), integer(status), steps, logarithm, steps + integer(ahead))


def small_eigh(t: Array, of: Array) -> tuple[Array, Array]:
    """Return all eigenvalues, descending, and eigenvectors of a small matrix of NumPy or XLA."""
    if is_traced(t):
        theta, Y = namespace(t).linalg.eigh(t)
    else:
        # (by the library of the matrix: two pools of threads would stall each other)
        library = namespace(of)
        place = {"device": "cpu"} if is_torch(of) else {}  # (whatever the default is)
        theta, Y = map(np.asarray, library.linalg.eigh(library.asarray(t, **place)))
    return theta[::-1], Y[:, ::-1]
