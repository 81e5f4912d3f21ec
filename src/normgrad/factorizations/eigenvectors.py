r"""The largest eigenvalues of ``M = A^H A`` with all their eigenvectors, ties included.

A run of Lanczos' method (`normgrad.factorizations.krylov`) cannot see that an eigenvalue is
multiple: its space contains one vector of each eigenspace. But a second eigenvector of a tie
is orthogonal to the one found. So another run follows, from a random start and in the
orthogonal complement of the vectors found. It converges to a tie, which is kept, and yet
another run follows; or it shows that there is none.

No run is needed if the trace of M, less the eigenvalues found, tells that there is no tie.
"""

from typing import Any, NamedTuple

import numpy as np

from normgrad.arithmetic import (
    Array,
    device,
    gaussian,
    integer,
    is_traced,
    machine_epsilon,
    namespace,
    put,
    real,
    vector_norm,
    when,
    while_loop,
)
from normgrad.factorizations.krylov import (
    CONVERGED,
    EXCLUDED,
    FAILED,
    Problem,
    Run,
    Search,
    ritz,
    ritz_vectors,
    run_from,
    scalars,
)

__all__ = ["Eigenvectors", "largest_eigenvectors", "polished", "single_eigenvector"]

_TIES = 6


class Eigenvectors(NamedTuple):
    """Orthonormal rows, of which those from the `count`-th on are zero.

    `converged` is False if a run did not come to its end.
    """

    rows: Array
    count: Any
    converged: Any
    products: Any


def _without_ties(problem: Problem, run: Run, start: Array) -> tuple[Any, Any]:
    """Return whether a second run shows that nothing is tied with what the first has found.

    The eigenvector of a tie is orthogonal to the Krylov space of the first run, so that M may
    be compressed to the complement of that: most of what comes near to theta is in there, and
    the second run is short. Only of its part up to a residual of the root of eps, because
    rounding brings that eigenvector in: by the time one converges to r, eps of the other has
    grown to eps/r. (In the first run's last vectors the two may be mixed.)
    """
    basis, theta = run.basis, run.theta

    def mixed(kept: Any) -> Any:
        _, y = ritz(problem, basis, kept, len(theta))
        residual = basis.beta[kept - 1] * abs(y[kept - 1]).min()
        return (kept > 1) & (residual < machine_epsilon(problem.model) ** 0.5 * theta[0])

    kept = while_loop(mixed, lambda kept: 3 * kept // 4, basis.j)
    reference = theta[-1] * (1 - problem.tie)
    second = run_from(problem, Search(basis.q, theta, kept, CONVERGED, 0), start, 1, reference)
    # converged to r, with a gap g, it can have missed a tie only if its start had a component
    # of r/g in it
    gap = 1 - second.theta[0] / reference
    apart = (second.status == CONVERGED) & (gap >= 1e3 * problem.accuracy)
    return (second.status == EXCLUDED) | apart, second.steps


def _found(search: Search, run: Run, X: Array) -> Search:
    """Return the search with the Ritz vectors X of a run after the vectors found before."""
    q, count, theta = run.basis.q, search.count, search.theta
    for i in range(X.shape[0]):
        q, theta = put(q, count + i, X[i]), put(theta, count + i, run.theta[i])
    return Search(q, theta, count + X.shape[0], run.status, search.products + run.steps)


def _begun(problem: Problem, most: int, zero: Any) -> Search:
    xp, model = scalars(problem), problem.model
    q = namespace(model).zeros(
        (problem.steps + 1, problem.n), dtype=model.dtype, device=device(model)
    )
    real_dtype = real(model).dtype if is_traced(model) else np.float64
    return Search(q, xp.zeros(most, dtype=real_dtype), zero, zero + CONVERGED, zero)


def _eigenvectors(search: Search) -> Eigenvectors:
    most = search.theta.shape[0]
    rows = search.q[:most]
    if is_traced(rows):
        xp = namespace(rows)
        rows = xp.where(xp.arange(most)[:, None] < search.count, rows, 0.0)
    room = (search.count < most) | (most == rows.shape[1])
    converged = (search.status != FAILED) & room
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
    xp = scalars(problem)
    most = min(wanted + _TIES, problem.n)
    starts = gaussian((1 + _TIES, problem.n), problem.model)

    def reference(theta: Any) -> Any:
        return xp.flip(xp.sort(theta))[:wanted][-1]

    def possible(theta: Any) -> Any:
        # what is left of the trace bounds all eigenvalues that are not found
        return trace - xp.sum(theta) > 0.9 * reference(theta) * (1 - problem.tie)

    def go_on(search: Search) -> Any:
        more = (search.status == CONVERGED) & (search.count < most)
        return more & possible(search.theta)

    def another(search: Search) -> Search:
        last = reference(search.theta) * (1 - problem.tie)
        run = run_from(problem, search, starts[search.count - wanted + 1], 1, last)
        tied = (run.status == CONVERGED) & (run.theta[0] >= last)

        def leave(run: Run) -> Search:
            status = integer(xp.where(run.status == FAILED, FAILED, EXCLUDED))
            products = search.products + run.steps
            return search._replace(q=run.basis.q, status=status, products=products)

        return when(tied, lambda run: _found(search, run, ritz_vectors(problem, run)), leave, run)

    zero = 0 * integer(xp.minimum(trace, 1.0))  # (the trace may be inf)
    search = _begun(problem, most, zero)
    run = run_from(problem, search, starts[0], wanted)
    X = ritz_vectors(problem, run)

    def alone(run: Run) -> Any:
        return _without_ties(problem, run, starts[1])

    def unknown(run: Run) -> Any:
        return run.status < 0, 0 * run.steps

    worth = (run.status == CONVERGED) & possible(run.theta)
    excluded, steps = when(worth, alone, unknown, run)
    search = _found(search, run, X)
    status = integer(xp.where(excluded, EXCLUDED, search.status))
    search = search._replace(status=status, products=search.products + steps)
    return _eigenvectors(while_loop(go_on, another, search))


def single_eigenvector(problem: Problem, start: Array) -> tuple[Array, Any]:
    """Return the eigenvector that a run from `start` comes to, and whether it converged."""
    zero = 0 * integer(vector_norm(start))
    run = run_from(problem, _begun(problem, 1, zero), start, 1)
    return ritz_vectors(problem, run)[0], run.status == CONVERGED


def polished(problem: Problem, rough: Eigenvectors) -> Eigenvectors:
    """Return eigenvectors of full accuracy from such of less: one run from each.

    The start makes up for the accuracy that it has: about half of the steps are left.
    """

    def go_on(search: Search) -> Any:
        return (search.status != FAILED) & (search.count < rough.count)

    def another(search: Search) -> Search:
        run = run_from(problem, search, rough.rows[search.count], 1)
        return _found(search, run, ritz_vectors(problem, run))

    search = _begun(problem, rough.rows.shape[0], 0 * rough.count)
    search = search._replace(products=search.products + rough.products)
    found = _eigenvectors(while_loop(go_on, another, search))
    return found._replace(converged=found.converged & rough.converged)
