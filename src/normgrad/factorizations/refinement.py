r"""Eigenvectors of ``M = A^H A`` in double precision, from those in single precision.

With the leading Ritz vectors of single precision as the rows of X, in double precision

    theta_i = <x_i, M x_i>  (Rayleigh-Ritz),    r_i = M x_i - theta_i x_i,

and the correction of a vector that is wanted solves (Jacobi, Davidson)

    (theta_i - P M P) t_i = r_i,    P the projector to the complement of X,

where `theta_i - P M P` is positive definite, and well conditioned: what is near to theta_i is
in X. Conjugate gradients solve it to five digits in single precision, in which products cost
half; x_i + t_i, by another Rayleigh-Ritz step with t_i added to X, has about that many digits more.

References
----------
G. L. G. Sleijpen, H. A. van der Vorst, A Jacobi-Davidson iteration method for linear eigenvalue
problems, SIAM J. Matrix Anal. Appl. 17 (1996).
"""

from typing import Any

from normgrad.arithmetic import (
    Array,
    adjoint,
    conj,
    device,
    divide,
    double,
    from_host,
    host,
    integer,
    is_traced,
    machine_epsilon,
    namespace,
    real,
    row_qr,
    single,
    when,
    while_loop,
)
from normgrad.factorizations.eigenvectors import FAILED, MORE, Found, small_eigh
from normgrad.factorizations.krylov import Problem, small

__all__ = ["refined"]

_LEVEL = 32
"""Residuals, in units of rounding, that are good enough: one round more has some 1e5 times less."""
_ROUNDS = 4
_DIGITS = 1e-5
"""To what a correction is solved: about what single precision allows."""
_MOST = 100


def refined(problem: Problem, rough: Problem, found: Found, wanted: int) -> Found:
    """Return the vectors that were found for the rough problem, as accurate as the other wants."""
    if found.failure:
        return found
    xp = namespace(problem.start)
    # (of how many a correction may be wanted; XLA has to know)
    most = wanted + rough.start.shape[0] - 1 if is_traced(found.count) else found.count
    wrong = xp.arange(most, device=device(problem.start)) < found.count

    def improved(rounds: int, V: Array, W: Array, products: Any) -> Found:
        # the Ritz vectors X of the rows V, W = M V, and their residuals R
        theta, Y = small_eigh(host(conj(V) @ W.mT), V)
        y, level = from_host(Y.T, V), from_host(theta[:, None], real(V))
        X, W = y @ V, y @ W
        R = W - level * X
        size = xp.linalg.vector_norm(R[:most], axis=1)
        far = host(xp.any(wrong & (size > _LEVEL * machine_epsilon(V) * level[0])))
        count = (theta[:most] >= theta[wanted - 1] * (1 - (problem.tie or 0.0))).sum()
        status = integer(small(V).where(far, FAILED, found.status))
        so_far = Found(X[: wanted + MORE], integer(count), status, products)
        if rounds == _ROUNDS:
            return so_far

        def further(so_far: Found) -> Found:
            r = xp.where(wrong[:, None], divide(R[:most], size[:, None]), 0.0)
            r = r - (r @ adjoint(X)) @ X
            T, steps = _corrections(rough, *map(single, (r, X, R, level)))
            T = double(T)
            for _ in range(2):
                T = T - (T @ adjoint(X)) @ X
            T, S = row_qr(T)
            T = xp.where(xp.linalg.diagonal(S)[:, None] != 0, T, 0.0)
            larger = xp.concat([X, T]), xp.concat([W, problem.product(T)])
            return improved(rounds + 1, *larger, so_far.products + (steps + 1) * most)

        return when(far, further, lambda so_far: so_far, so_far)

    V, _ = row_qr(double(found.rows))
    return improved(0, V, problem.product(V), found.products + V.shape[0])


def _corrections(rough: Problem, r: Array, X: Array, R: Array, theta: Array) -> tuple[Array, Any]:
    """Return t with ``(theta_i - P M P) t_i = r_i``, P the projector to the complement of the x_i.

    By conjugate gradients, in which the other rows Z of X, of which ``M Z`` is known, are no
    part of what has to be found: directions are made conjugate to them.
    """
    xp, k = namespace(X), r.shape[0]
    X, Z, R = X[:k], X[k:], R[k:]
    gaps, theta = theta[:k] - theta[k:].mT, theta[:k]
    weights = divide(xp.ones_like(gaps), gaps)

    def inner(Y: Array, Z: Array) -> Array:
        return xp.sum(real(conj(Y) * Z), axis=1, keepdims=True)

    def over(a: Array, b: Array) -> Array:  # a / b, and 0 for 0 / 0
        return a / (b + (b == 0))

    def direction(r: Array) -> Array:  # r less its part that is not conjugate to Z
        return r + ((r @ adjoint(R)) * weights) @ Z

    def go_on(state: Any) -> Any:
        return (state[0] < _MOST) & xp.any(state[-1] > goal)

    def step(state: Any) -> Any:
        i, t, r, d, rho = state
        z = theta * d - rough.product(d)
        z = z - (z @ adjoint(X)) @ X
        alpha = over(rho, inner(d, z))
        t, r = t + alpha * d, r - alpha * z
        following = inner(r, r)
        return i + 1, t, r, direction(r) + over(following, rho) * d, following

    rho = inner(r, r)
    goal = _DIGITS**2 * rho
    steps, t, *_ = while_loop(go_on, step, (0, 0 * r, r, direction(r), rho))
    return t, steps
