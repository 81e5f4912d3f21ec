r"""The largest eigenvalues of ``M = A^H A`` by Lanczos' method, ties included.

One run builds an orthonormal basis ``q_1, q_2, ...`` of the Krylov space of M and a random
start, in which M is tridiagonal. Each vector is orthogonalised against all before, twice.
With ``T y = theta y`` the Ritz value theta has the residual

    |M x - theta x| = beta |y_last|,    x = Q y.

A run cannot see that an eigenvalue is multiple: its space contains one vector of each
eigenspace. But a second eigenvector of a tie is orthogonal to the one found. So another run
follows, from a random start and in the orthogonal complement of the vectors found. It ends in
one of two ways.

* The largest Ritz value converges to a tie. The vector is kept, and yet another run follows.
* There is no tie. If an eigenvalue ``theta_1`` existed there, then after j steps from a
  random start in dimension n its Ritz value would be below ``(1 - g) theta_1`` with probability
  at most ``1.648 sqrt(n) exp(-sqrt(g) (2j - 1))`` (Kuczynski, Wozniakowski, SIAM J. Matrix
  Anal. Appl. 13, 1992, theorem 3.2). The run stops as soon as that is below 1e-4, by
  a bound that is far from sharp.

No run is needed if the trace of M, less the eigenvalues found, tells that there is no tie.
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
    gaussian,
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
    "Eigenvectors",
    "Problem",
    "largest_eigenvectors",
    "polished",
    "single_eigenvector",
]

_MISSED = 1e-4
_TIES = 6
_FIRST_CHECK = 6
_GOING, _CONVERGED, _EXCLUDED, _FAILED = range(4)


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


class Eigenvectors(NamedTuple):
    """Orthonormal rows, of which those from the `count`-th on are zero.

    `converged` is False if a run did not come to its end.
    """

    rows: Array
    count: Any
    converged: Any
    products: Any


class _Run(NamedTuple):
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


class _Search(NamedTuple):
    """The eigenvectors found, in the first rows of q, and the status of the last run."""

    q: Array
    theta: Any
    count: Any
    status: Any
    products: Any


def _scalars(problem: Problem) -> Any:
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


def _same(run: _Run) -> _Run:
    return run


def _run(
    problem: Problem, search: _Search, start: Array, wanted: int, reference: Any = None
) -> _Run:
    """Return a run that has come to its end.

    Without a reference it ends when the `wanted` largest eigenvalues have converged. With
    one, from which on an eigenvalue counts as tied, also when there is certainly none.
    """
    xp, rows = _scalars(problem), search.q.shape[0] - 1
    accuracy, n = problem.accuracy, problem.n
    certain = math.log(1.648 * n**0.5 / _MISSED)  # sqrt(g) (2j - 1) is enough

    epsilon = machine_epsilon(problem.model)

    def step(run: _Run) -> _Run:
        q, j, alpha, beta = run.q, run.j, run.alpha, run.beta
        i = j - run.start
        last = q[j]
        w = problem.product(last)
        a = number(real(conj(last) @ w))
        # (at i = 0 this is the last beta, which is 0); after it the rest is nearly orthogonal to
        # all rows, and once more is enough
        w = w - a * last - beta[i - 1] * q[j - 1]
        w = _orthogonal(w, first_rows(q, j + 1))
        b = vector_norm(w)
        exhausted = b <= epsilon * a
        q = put(q, j + 1, w / number(xp.where(b > 0, b, 1.0)) if is_traced(q) else w / (b or 1.0))
        run = _Run(q, j + 1, put(alpha, i, a), put(beta, i, b), *run[4:])
        return when((j + 1 >= run.check_at) | exhausted, check, _same, run)

    def check(run: _Run) -> _Run:
        j = run.j
        steps = j - run.start
        theta, y = _ritz(problem, run.alpha, run.beta, steps, wanted)
        scale = xp.maximum(theta[0] if reference is None else reference, 1e-30)
        residual = run.beta[steps - 1] * xp.max(xp.abs(y[steps - 1])) / scale
        logarithm = xp.log(xp.maximum(residual, 1e-30))
        # the residual falls about geometrically: after how many more steps is it small enough?
        slope = xp.minimum((logarithm - run.logarithm) / (steps - run.steps), -1e-3)
        more = (math.log(accuracy) - logarithm) / slope
        ahead = xp.minimum(0.8 * more + 1, steps)
        status = xp.where(residual <= accuracy, _CONVERGED, _GOING)
        if reference is not None:
            gap = xp.maximum(1 - theta[0] / scale, 1e-30)
            enough = (certain / xp.sqrt(gap) + 1) / 2
            status = xp.where(steps >= enough, _EXCLUDED, status)
            ahead = xp.minimum(ahead, enough - steps + 1)
        hopeless = (steps >= 64) & (0.5 * more > rows - j)
        status = xp.where((status == _GOING) & (hopeless | (j >= rows)), _FAILED, status)
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
    run = _Run(
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
        status=zero + _GOING,
    )
    return while_loop(lambda run: run.status == _GOING, step, run)


def _ritz(problem: Problem, alpha: Array, beta: Array, steps: Any, wanted: int) -> tuple[Any, Any]:
    """Return the largest Ritz values, descending, and their vectors y, in columns.

    Where traced, T has a fixed size; its rows and columns beyond the steps are zero.
    """
    xp = _scalars(problem)
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


def _vectors(problem: Problem, run: _Run) -> Array:
    """Return the Ritz vectors of a run, in rows."""
    q, xp = run.q, namespace(problem.model)
    rows = xp.roll(q, -run.start, axis=0)[:-1] if is_traced(q) else q[run.start : run.j]
    return xp.asarray(run.y.T + 0.0, dtype=q.dtype, device=device(q)) @ rows


def _without_ties(problem: Problem, run: _Run, start: Array) -> tuple[bool, int]:
    """Return whether a second run shows that nothing is tied with what the first has found.

    The eigenvector of a tie is orthogonal to the Krylov space of the first run, so that M may
    be compressed to the complement of that: most of what comes near to theta is in there, and
    the second run is short. Only of its part up to a residual of the root of eps, because
    rounding brings that eigenvector in: by the time one converges to r, eps of the other has
    grown to eps/r. (In the first run's last vectors the two may be mixed.)
    """
    q, kept = run.q, int(run.j)
    while kept > 1:
        _, y = _ritz(problem, run.alpha, run.beta, kept, len(run.theta))
        least = run.beta[kept - 1] * abs(y[-1]).min() / run.theta[0]
        if least >= machine_epsilon(problem.model) ** 0.5:
            break
        kept = 3 * kept // 4
    search = _Search(q, run.theta, kept, _CONVERGED, 0)
    reference = run.theta[-1] * (1 - problem.tie)
    second = _run(problem, search, start, 1, reference)
    # converged to r, with a gap g, it can have missed a tie only if its start had a component
    # of r/g in it
    gap = 1 - second.theta[0] / reference
    apart = second.status == _CONVERGED and gap >= 1e3 * problem.accuracy
    return bool(second.status == _EXCLUDED or apart), int(second.steps)


def _found(search: _Search, run: _Run, X: Array) -> _Search:
    """Return the search with the Ritz vectors X of a run after the vectors found before."""
    q, count, theta = run.q, search.count, search.theta
    for i in range(X.shape[0]):
        q, theta = put(q, count + i, X[i]), put(theta, count + i, run.theta[i])
    return _Search(q, theta, count + X.shape[0], run.status, search.products + run.steps)


def _begun(problem: Problem, most: int, zero: Any) -> _Search:
    xp, model = _scalars(problem), problem.model
    q = namespace(model).zeros(
        (problem.steps + 1, problem.n), dtype=model.dtype, device=device(model)
    )
    real_dtype = real(model).dtype if is_traced(model) else np.float64
    return _Search(q, xp.zeros(most, dtype=real_dtype), zero, zero + _CONVERGED, zero)


def _eigenvectors(search: _Search) -> Eigenvectors:
    most = search.theta.shape[0]
    rows = search.q[:most]
    if is_traced(rows):
        xp = namespace(rows)
        rows = xp.where(xp.arange(most)[:, None] < search.count, rows, 0.0)
    room = (search.count < most) | (most == rows.shape[1])
    converged = (search.status != _FAILED) & room
    return Eigenvectors(rows, search.count, converged, search.products)


def largest_eigenvectors(problem: Problem, trace: Any, wanted: int) -> Eigenvectors:
    """Return vectors for the `wanted` largest eigenvalues, and for all tied with the last.

    Parameters
    ----------
    problem : Problem
    trace : number
        Of M.
    wanted : int

    Returns
    -------
    Eigenvectors
        In `wanted` + 6 rows; more ties than five do not converge.
    """
    xp = _scalars(problem)
    most = min(wanted + _TIES, problem.n)
    starts = gaussian((1 + _TIES, problem.n), problem.model)

    def reference(theta: Any) -> Any:
        return xp.flip(xp.sort(theta))[:wanted][-1]

    def possible(theta: Any) -> Any:
        # what is left of the trace bounds all eigenvalues that are not found
        return trace - xp.sum(theta) > 0.9 * reference(theta) * (1 - problem.tie)

    def go_on(search: _Search) -> Any:
        more = (search.status == _CONVERGED) & (search.count < most)
        return more & possible(search.theta)

    def another(search: _Search) -> _Search:
        last = reference(search.theta) * (1 - problem.tie)
        run = _run(problem, search, starts[search.count - wanted + 1], 1, last)
        tied = (run.status == _CONVERGED) & (run.theta[0] >= last)

        def leave(run: _Run) -> _Search:
            status = integer(xp.where(run.status == _FAILED, _FAILED, _EXCLUDED))
            products = search.products + run.steps
            return search._replace(q=run.q, status=status, products=products)

        return when(tied, lambda run: _found(search, run, _vectors(problem, run)), leave, run)

    search = _begun(problem, most, 0 * integer(trace))
    run = _run(problem, search, starts[0], wanted)
    X = _vectors(problem, run)
    if is_traced(X) or run.status != _CONVERGED or not possible(run.theta):
        search = _found(search, run, X)
    else:
        alone, steps = _without_ties(problem, run, starts[1])
        search = _found(search, run, X)
        status = _EXCLUDED if alone else _CONVERGED
        search = search._replace(status=status, products=search.products + steps)
    return _eigenvectors(while_loop(go_on, another, search))


def single_eigenvector(problem: Problem, start: Array) -> tuple[Array, Any]:
    """Return the eigenvector that a run from `start` comes to, and whether it converged."""
    zero = 0 * integer(vector_norm(start))
    run = _run(problem, _begun(problem, 1, zero), start, 1)
    return _vectors(problem, run)[0], run.status == _CONVERGED


def polished(problem: Problem, rough: Eigenvectors) -> Eigenvectors:
    """Return eigenvectors of full accuracy from such of less: one run from each.

    The start makes up for the accuracy that it has: about half of the steps are left.
    """

    def go_on(search: _Search) -> Any:
        return (search.status != _FAILED) & (search.count < rough.count)

    def another(search: _Search) -> _Search:
        run = _run(problem, search, rough.rows[search.count], 1)
        return _found(search, run, _vectors(problem, run))

    search = _begun(problem, rough.rows.shape[0], 0 * rough.count)
    search = search._replace(products=search.products + rough.products)
    found = _eigenvectors(while_loop(go_on, another, search))
    return found._replace(converged=found.converged & rough.converged)
