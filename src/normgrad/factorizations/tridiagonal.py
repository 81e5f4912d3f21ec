r"""The largest eigenvalues of a symmetric tridiagonal matrix, with vectors, in loops alone.

For a compiler: no call of LAPACK, one fixed size, any number of steps.

*Eigenvalues.* ``T - sigma I`` has as many positive eigenvalues as its factorization ``L D L^T``
positive pivots (Sylvester),

    d_1 = alpha_1 - sigma,    d_i = alpha_i - sigma - beta_(i-1)^2 / d_(i-1).

The counts at 31 shifts in an interval tell which of its 32 parts holds the k-th eigenvalue.

*Vectors.* With the pivots D+ from above and D- from below, ``T - sigma I`` is factorized from
both ends up to row r, where they meet in ``gamma_r = D+_r + D-_r - (alpha_r - sigma)``, and

    z_r = 1,    z_i = -beta_i z_(i+1) / D+_i  above,    z_i = -beta_(i-1) z_(i-1) / D-_i  below,

solves ``(T - sigma I) z = gamma_r e_r``. No component is a difference of others: the last, which
decides whether Lanczos' method has converged, is right however small it is. The residual
``|gamma_r| / |z|`` is least where ``|gamma_r|`` is.

References
----------
B. N. Parlett, I. S. Dhillon, Fernando's solution to Wilkinson's problem: an application of
double factorization, Linear Algebra Appl. 267 (1997).
"""

import math
from typing import Any

from normgrad.arithmetic import Array, divide, machine_epsilon, namespace, put, while_loop

__all__ = ["largest_eigenpairs"]

_PARTS = 32


def largest_eigenpairs(alpha: Array, beta: Array, steps: Any, wanted: int) -> tuple[Array, Array]:
    """Return the largest eigenvalues of ``T = tridiag(beta, alpha, beta)``, and their vectors.

    Parameters
    ----------
    alpha, beta : (n,) array
        The diagonal, and what is next to it: ``T[i, i + 1] = beta[i]``.
    steps : integer
        Of the leading part of T that is meant; what is beyond is not read.
    wanted : int

    Returns
    -------
    theta : (wanted,) array
        Descending, to a few eps of the norm of T; 0 from the `steps`-th on.
    Y : (n, wanted) array
        Orthonormal columns, zero from row `steps` on. A column is zero where its vector can not
        be told from those before it: T has no multiple eigenvalues unless a beta is zero.

    Notes
    -----
    About 12 * 31 * wanted * steps quotients in double precision, half of that in single.

    Examples
    --------
    >>> import numpy as np
    >>> theta, Y = largest_eigenpairs(np.full(3, 2.0), np.full(3, 1.0), 3, 1)
    >>> print(theta)  # 2 + sqrt(2)
    [3.41421356]
    """
    xp = namespace(alpha)
    inside = xp.arange(alpha.shape[0]) < steps
    alpha = xp.where(inside, alpha, 0.0)
    beta = xp.where(xp.arange(alpha.shape[0]) < steps - 1, beta, 0.0)
    norm = xp.max(xp.abs(alpha)) + 2 * xp.max(xp.abs(beta))
    alpha, beta = divide(alpha, norm), divide(beta, norm)
    theta = _eigenvalues(alpha, beta, steps, wanted)
    Y = _orthonormal(xp.where(inside[:, None], _vectors(alpha, beta, steps, theta), 0.0))
    return xp.where(xp.arange(wanted) < steps, theta * norm, 0.0), Y


def _pivot(alpha: Array, beta: Array, before: Array, shift: Array) -> Array:
    """Return the next pivot; one of about zero is moved by less than rounding moves T."""
    xp = namespace(shift)
    least = machine_epsilon(shift) ** 2
    d = alpha - shift - beta * beta / before
    return xp.where(xp.abs(d) < least, -least, d)


def _eigenvalues(alpha: Array, beta: Array, steps: Any, wanted: int) -> Array:
    """Return the eigenvalues of a T of norm at most 1."""
    xp, epsilon = namespace(alpha), machine_epsilon(alpha)
    fractions = xp.arange(1, _PARTS, dtype=alpha.dtype) / _PARTS
    rank = xp.arange(1, wanted + 1)[:, None]

    def count(shift: Array) -> Array:  # of the eigenvalues above each shift
        def step(state: Any) -> Any:
            i, d, positive = state
            d = _pivot(alpha[i], beta[i - 1], d, shift)  # (for i = 0: beta[-1] = 0)
            return i + 1, d, positive + xp.astype(d > 0, rank.dtype)

        start = (0 * steps, xp.ones_like(shift), xp.zeros_like(shift, dtype=rank.dtype))
        return while_loop(lambda state: state[0] < steps, step, start)[2]

    def narrow(state: Any) -> Any:
        i, low, width = state
        less = count(low + width * fractions) >= rank  # which shifts are less than the eigenvalue
        width = width / _PARTS
        return i + 1, low + width * xp.sum(less, axis=1, keepdims=True, dtype=alpha.dtype), width

    times = math.ceil(math.log(2 / epsilon, _PARTS))
    low = -xp.ones((wanted, 1), dtype=alpha.dtype)
    start = (0 * steps, low, -2 * low)
    _, low, width = while_loop(lambda state: state[0] < times, narrow, start)
    return (low + width / 2)[:, 0]


def _vectors(alpha: Array, beta: Array, steps: Any, theta: Array) -> Array:
    """Return z for each theta, in columns, not normalised; rows beyond the steps mean nothing."""
    xp, n = namespace(alpha), alpha.shape[0]

    def step(state: Any) -> Any:
        i, above, below = state
        k = steps - 1 - i
        above = put(above, i, _pivot(alpha[i], beta[i - 1], above[i - 1], theta))
        below = put(below, k, _pivot(alpha[k], beta[k], below[k + 1], theta))
        return i + 1, above, below

    start = xp.ones((n + 1, theta.shape[0]), dtype=alpha.dtype)
    start = (0 * steps, start, start + 0)
    _, above, below = while_loop(lambda state: state[0] < steps, step, start)
    above, below, row = above[:n], below[:n], xp.arange(n)[:, None]
    gamma = above + below - (alpha[:, None] - theta)
    r = xp.argmin(xp.where(row < steps, xp.abs(gamma), xp.inf), axis=0)
    # the quotients of neighbours, from row r up and down, and their products
    up = xp.where(row < r, -beta[:, None] / above, 1.0)
    down = xp.where(row > r, -xp.roll(beta, 1)[:, None] / below, 1.0)
    return xp.flip(xp.cumprod(xp.flip(up, axis=0), axis=0), axis=0) * xp.cumprod(down, axis=0)


def _orthonormal(Z: Array) -> Array:
    """Return the columns made orthonormal; those that depend on others are zero."""
    xp = namespace(Z)
    Z = divide(Z, xp.linalg.vector_norm(Z, axis=0))
    for k in range(1, Z.shape[1]):
        z = Z[:, k]
        for _ in range(2):
            z = z - Z[:, :k] @ (Z[:, :k].T @ z)
        norm = xp.linalg.vector_norm(z)
        Z = put(Z, (slice(None), k), xp.where(norm > 0.5, divide(z, norm), 0.0))
    return Z
