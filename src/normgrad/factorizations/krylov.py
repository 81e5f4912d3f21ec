r"""One run of Lanczos' method on ``M = A^H A``.

A run builds an orthonormal basis ``q_1, q_2, ...`` of the Krylov space of M and a start, in
which M is tridiagonal. With ``T y = theta y`` the Ritz value theta has the residual

    |M x - theta x| = beta |y_last|,    x = Q y.

It ends when the eigenvalues wanted have converged, or when an eigenvalue is out of the question:
if there were one from ``theta`` on, then after j steps from a random start in dimension n the
largest Ritz value would be below ``(1 - g) theta`` with probability at most
``1.648 sqrt(n) exp(-sqrt(g) (2j - 1))`` (Kuczynski, Wozniakowski, SIAM J. Matrix Anal. Appl. 13,
1992, theorem 3.2). The run stops as soon as that is below 1e-4, by a bound that is far from sharp.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from normgrad.arithmetic import (
    Array,
    conj,
    device,
    first_rows,
    integer,
    is_traced,
    machine_epsilon,
    namespace,
    number,
    put,
    real,
    vector_norm,
    when,
    while_loop,
)

__all__ = [
    "CONVERGED",
    "EXCLUDED",
    "FAILED",
    "GOING",
    "Problem",
    "Run",
    "Search",
    "ritz",
    "ritz_vectors",
    "run_from",
    "scalars",
]

_MISSED = 1e-4
_FIRST_CHECK = 6
GOING, CONVERGED, EXCLUDED, FAILED = range(4)


class Problem(NamedTuple):
    """The largest eigenvalues of which matrix, and when they are good enough.

    Parameters
    ----------
    product : callable
        ``v -> M v`` for v of shape (n,).
    n : int
    model : array
        Of the dtype and place of the vectors.
    steps : int
        The most products that are worth while.
    tie : float
        The relative gap of eigenvalues that counts as a tie.
    tol : float, optional
        The residual, relative to the eigenvalue, at which a vector has converged; rounding
        level by default.
    """

    product: Callable[[Array], Array]
    n: int
    model: Array
    steps: int
    tie: float
    tol: float = 0.0

    @property
    def accuracy(self) -> float:
        """Return the residual at which a vector has converged."""
        return max(self.tol, 8 * machine_epsilon(self.model))


class Run(NamedTuple):
    """A run from the row `start` of the orthonormal rows q on; those before are the found.

    In the basis ``q[start:j]`` M is ``T = tridiag(beta, alpha, beta)``. The rest is what the
    last check found: after how many `steps`, the logarithm of the residual, the Ritz values
    wanted, and their vectors y.
    """

    q: Array
    j: Any
    alpha: Array
    beta: Array
    start: Any
    check_at: Any
    steps: Any
    logarithm: Any
    theta: Any
    y: Any
    status: Any


class Search(NamedTuple):
    """The eigenvectors found, in the first rows of q, and the status of the last run."""

    q: Array
    theta: Any
    count: Any
    status: Any
    products: Any


def scalars(problem: Problem) -> Any:
    """Return the library for the small arithmetic: NumPy, or XLA where M is traced."""
    return namespace(problem.model) if is_traced(problem.model) else np


def _orthogonal(w: Array, Q: Array) -> Array:
    """Return w less its components in the rows of Q."""
    return w - (conj(Q) @ w) @ Q


def _unit(w: Array, Q: Array) -> Array:
    """Return w made orthogonal to the rows of Q, and of norm 1; twice is enough."""
    for _ in range(2):
        w = w / vector_norm(w)
        w = _orthogonal(w, Q)
    return w / vector_norm(w)


def _same(run: Run) -> Run:
    return run


def run_from(
    problem: Problem, search: Search, start: Array, wanted: int, reference: Any = None
) -> Run:
    """Return a run that has come to its end.

    Without a reference it ends when the `wanted` largest eigenvalues have converged. With
    one, from which on an eigenvalue counts as tied, also when there is certainly none.
    """
    xp, rows = scalars(problem), search.q.shape[0] - 1
    accuracy, n = problem.accuracy, problem.n
    certain = math.log(1.648 * n**0.5 / _MISSED)  # sqrt(g) (2j - 1) is enough

    epsilon = machine_epsilon(problem.model)

    def step(run: Run) -> Run:
        q, j, alpha, beta = run.q, run.j, run.alpha, run.beta
        i = j - run.start
        last = q[j]
        w = problem.product(last)
        a = number(real(conj(last) @ w))
        # (at i = 0 this is the last beta, which is 0); after it the rest is nearly orthogonal to
        # all rows, and once more is enough
        w = w - a * last - number(beta[i - 1]) * q[j - 1]
        w = _orthogonal(w, first_rows(q, j + 1))
        b = vector_norm(w)
        exhausted = b <= epsilon * a
        q = put(q, j + 1, w / number(xp.where(b > 0, b, 1.0)) if is_traced(q) else w / (b or 1.0))
        run = Run(q, j + 1, put(alpha, i, a), put(beta, i, b), *run[4:])
        return when((j + 1 >= run.check_at) | exhausted, check, _same, run)

    def check(run: Run) -> Run:
        j = run.j
        steps = j - run.start
        theta, y = ritz(problem, run.alpha, run.beta, steps, wanted)
        scale = xp.maximum(theta[0] if reference is None else reference, 1e-30)
        residual = run.beta[steps - 1] * xp.max(xp.abs(y[steps - 1])) / scale
        logarithm = xp.log(xp.maximum(residual, 1e-30))
        # the residual falls about geometrically: after how many more steps is it small enough?
        slope = xp.minimum((logarithm - run.logarithm) / (steps - run.steps), -1e-3)
        more = (math.log(accuracy) - logarithm) / slope
        ahead = xp.minimum(0.8 * more + 1, steps)
        status = xp.where(residual <= accuracy, CONVERGED, GOING)
        if reference is not None:
            gap = xp.maximum(1 - theta[0] / scale, 1e-30)
            enough = (certain / xp.sqrt(gap) + 1) / 2
            status = xp.where(steps >= enough, EXCLUDED, status)
            ahead = xp.minimum(ahead, enough - steps + 1)
        hopeless = (steps >= 64) & (0.5 * more > rows - j)
        status = xp.where((status == GOING) & (hopeless | (j >= rows)), FAILED, status)
        check_at = xp.minimum(j + xp.maximum(ahead, 2), rows)
        return run._replace(
            check_at=integer(check_at),
            steps=integer(steps),
            logarithm=logarithm,
            theta=theta,
            y=y,
            status=integer(status),
        )

    q, count = search.q, search.count
    if is_traced(q):  # the rows of the run before must not count
        q = xp.where(xp.arange(rows + 1)[:, None] < count, q, 0.0)
    q = put(q, count, _unit(start, first_rows(q, count)))
    none = xp.zeros(rows, dtype=search.theta.dtype)
    y = xp.zeros((rows, wanted), dtype=none.dtype)
    check_at = xp.minimum(count + max(_FIRST_CHECK, 2 * wanted), rows)
    zero = 0 * count
    run = Run(
        q,
        j=count,
        alpha=none,
        beta=none + 0,
        start=count,
        check_at=integer(check_at),
        steps=zero,
        logarithm=none[0],
        theta=none[:wanted],
        y=y,
        status=zero + GOING,
    )
    return while_loop(lambda run: run.status == GOING, step, run)


def ritz(problem: Problem, alpha: Array, beta: Array, steps: Any, wanted: int) -> tuple[Any, Any]:
    """Return the largest Ritz values, descending, and their vectors y, in columns.

    Where traced, T has a fixed size; its rows and columns beyond the steps are zero.
    """
    xp = scalars(problem)
    library = namespace(problem.model)
    if xp is np:
        alpha, beta = alpha[:steps], beta[: steps - 1]
    else:
        beta = xp.where(xp.arange(beta.shape[0]) < steps - 1, beta, 0.0)[:-1]
    T = library.asarray(xp.diag(alpha) + xp.diag(beta, 1) + xp.diag(beta, -1))
    # (by the library of the matrix: two pools of threads would stall each other)
    theta, Y = library.linalg.eigh(T)
    theta, Y = xp.asarray(theta), xp.asarray(Y)
    return xp.flip(theta)[:wanted], xp.flip(Y, axis=1)[:, :wanted]


def ritz_vectors(problem: Problem, run: Run) -> Array:
    """Return the Ritz vectors of a run, in rows."""
    q, xp = run.q, namespace(problem.model)
    rows = xp.roll(q, -run.start, axis=0)[:-1] if is_traced(q) else q[run.start : run.j]
    return xp.asarray(run.y.T + 0.0, dtype=q.dtype, device=device(q)) @ rows
