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
    conjugation,
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
from normgrad.factorizations.tridiagonal import largest_eigenpairs

__all__ = [
    "CONVERGED",
    "EXCLUDED",
    "FAILED",
    "GOING",
    "Basis",
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
    patient : bool, optional
        Whether to use all steps, however slowly the vectors converge: without another way it is
        better than to give up early.
    """

    product: Callable[[Array], Array]
    n: int
    model: Array
    steps: int
    tie: float
    tol: float = 0.0
    patient: bool = False

    @property
    def accuracy(self) -> float:
        """Return the residual at which a vector has converged."""
        return max(self.tol, 8 * machine_epsilon(self.model))


class Basis(NamedTuple):
    """Orthonormal rows, and what M is in them.

    The rows of q up to j, of which those from `start` on are of this run: in the basis
    ``q[start:j]`` M is ``T = tridiag(beta, alpha, beta)``, and b is the last beta. Unless the
    space is exhausted it is `live`, and other rows may follow.
    """

    q: Array
    j: Any
    start: Any
    alpha: Array
    beta: Array
    b: Any
    live: Any


class Run(NamedTuple):
    """A run, and what its last check found.

    After how many `steps` that was, the logarithm of the residual, the Ritz values wanted, and
    their vectors y.
    """

    basis: Basis
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


def _step(problem: Problem) -> Callable[[Basis], Basis]:
    """Return the function that adds a row to a basis."""
    product, bar = problem.product, conjugation(problem.model)
    epsilon = machine_epsilon(problem.model)

    def step(basis: Basis) -> Basis:
        q, j, start, alpha, beta, b, _ = basis
        last = q[j]
        w = product(last)
        a = number(real(bar(last) @ w))
        # M q_j = b_(j-1) q_(j-1) + a_j q_j + b_j q_(j+1): what is left after the first two (at the
        # start b is 0) is orthogonal to all rows up to rounding, and once more is enough
        w = w - a * last - b * q[j - 1]
        rows = first_rows(q, j + 1)
        w = w - (bar(rows) @ w) @ rows
        b = vector_norm(w)
        alpha = put(alpha, j - start, a)
        top = alpha.max()

        def again(left: tuple[Array, Any]) -> tuple[Array, Any]:
            # next to nothing is left, and of that once is not enough
            w, b = left
            w = w / (b + (b == 0))
            w = w - (bar(rows) @ w) @ rows
            c = vector_norm(w)
            return w / (c + (c == 0)), b * c

        def enough(left: tuple[Array, Any]) -> tuple[Array, Any]:
            w, b = left
            return w / (b + (b == 0)), b

        unit, b = when(b < 1e-3 * top, again, enough, (w, b))
        q = put(q, j + 1, unit)
        beta = put(beta, j - start, b)
        return Basis(q, j + 1, start, alpha, beta, b, b > 16 * epsilon * top)

    return step


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
    step = _step(problem)

    def advance(run: Run) -> Run:
        def go_on(basis: Basis) -> Any:
            return (basis.j < run.check_at) & basis.live

        return check(run, while_loop(go_on, step, run.basis))

    def check(run: Run, basis: Basis) -> Run:
        steps = basis.j - basis.start
        theta, y = ritz(problem, basis, steps, wanted)
        scale = xp.maximum(theta[0] if reference is None else reference, 1e-30)
        residual = basis.b * xp.max(xp.abs(y[steps - 1])) / scale
        logarithm = xp.log(xp.maximum(residual, 1e-30))
        # the residual falls about geometrically: after how many more steps is it small enough?
        slope = xp.minimum((logarithm - run.logarithm) / (steps - run.steps), -1e-3)
        more = (math.log(accuracy) - logarithm) / slope
        ahead = xp.minimum(0.8 * more + 1, steps)
        exhausted = xp.logical_not(basis.live)  # then the Ritz values are eigenvalues
        status = xp.where((residual <= accuracy) | exhausted, CONVERGED, GOING)
        left = rows - basis.j
        hopeless = (steps >= 64) & (0.5 * more > left) & (not problem.patient)
        if reference is not None:
            gap = xp.maximum(1 - theta[0] / scale, 1e-30)
            enough = (certain / xp.sqrt(gap) + 1) / 2
            status = xp.where(steps >= enough, EXCLUDED, status)
            ahead = xp.minimum(ahead, enough - steps + 1)
            hopeless = hopeless & (enough - steps > left)
        status = xp.where((status == GOING) & (hopeless | (left <= 0)), FAILED, status)
        status = xp.where(steps < wanted, FAILED, status)
        check_at = basis.j + xp.minimum(xp.maximum(integer(ahead), 2), left)
        status, check_at = integer(status), integer(check_at)
        return Run(basis, check_at, integer(steps), logarithm, theta, y, status)

    q, count = search.q, search.count
    if is_traced(q):  # the rows of the run before must not count
        q = xp.where(xp.arange(rows + 1)[:, None] < count, q, 0.0)
    q = put(q, count, _unit(start, first_rows(q, count)))
    none = xp.zeros(rows, dtype=search.theta.dtype)
    zero = 0 * count
    run = Run(
        Basis(q, count, count, none, none + 0, number(none[0]), count >= 0),
        check_at=integer(xp.minimum(count + max(_FIRST_CHECK, 2 * wanted), rows)),
        steps=zero,
        logarithm=none[0],
        theta=none[:wanted],
        y=xp.zeros((rows, wanted), dtype=none.dtype),
        status=zero + GOING,
    )
    return while_loop(lambda run: run.status == GOING, advance, run)


def ritz(problem: Problem, basis: Basis, steps: Any, wanted: int) -> tuple[Any, Any]:
    """Return the largest Ritz values, descending, and their vectors y, in columns."""
    alpha, beta, library = basis.alpha, basis.beta, namespace(problem.model)
    if is_traced(alpha):  # (XLA on CPUs was seen to stall in loops around LAPACK calls)
        return largest_eigenpairs(alpha, beta, steps, wanted)
    T = np.zeros((steps, steps))
    T.flat[:: steps + 1] = alpha[:steps]
    T.flat[1 :: steps + 1] = T.flat[steps :: steps + 1] = beta[: steps - 1]
    # (by the library of the matrix: two pools of threads would stall each other)
    theta, Y = map(np.asarray, library.linalg.eigh(library.asarray(T)))
    return theta[::-1][:wanted], Y[:, ::-1][:, :wanted]


def ritz_vectors(problem: Problem, run: Run) -> Array:
    """Return the Ritz vectors of a run, in rows."""
    (q, j, start, *_), xp = run.basis, namespace(problem.model)
    rows = xp.roll(q, -start, axis=0)[:-1] if is_traced(q) else q[start:j]
    return xp.asarray(run.y.T + 0.0, dtype=q.dtype, device=device(q)) @ rows
