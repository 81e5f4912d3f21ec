r"""An orthonormal basis of a Krylov space of ``M = A^H A``: the block Lanczos process.

From b vectors at once, block by block, each orthonormalised against all before,

    M Q_j = Q_(j-1) R_(j-1)^H + Q_j C_j + Q_(j+1) R_j,

so that in this basis M is block tridiagonal, with the C_j on the diagonal and the R_j below.

References
----------
G. H. Golub, R. Underwood, The block Lanczos method for computing eigenvalues, Mathematical
Software III (1977).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from normgrad.arithmetic import (
    Array,
    adjoint,
    conj,
    device,
    for_loop,
    host,
    is_traced,
    machine_epsilon,
    namespace,
    put_block,
    row_qr,
    when,
    window,
)

__all__ = ["Basis", "Problem", "begun", "extended", "small"]


class Problem(NamedTuple):
    """The largest eigenvalues of which matrix, and when they are good enough.

    Parameters
    ----------
    product : callable
        ``x -> M x`` for vectors that are the rows of an array (b, n).
    start : (b, n) array
        Rows, of the dtype and place that all have.
    steps : int
        The most blocks that are worth while.
    tie : float or None
        The relative gap of eigenvalues that counts as a tie; None if ties are of no interest.
    tol : float, optional
        The residual, relative to the largest eigenvalue, at which a vector has converged; rounding
        level if that is more.
    patient : bool, optional
        Whether to use all steps, however slowly the vectors converge: without another way it is
        better than to give up early.
    """

    product: Callable[[Array], Array]
    start: Array
    steps: int
    tie: float | None
    tol: float = 0.0
    patient: bool = False

    @property
    def accuracy(self) -> float:
        """Return the residual at which a vector has converged."""
        return max(self.tol, 8 * machine_epsilon(self.start))


class Basis(NamedTuple):
    """Orthonormal rows q, block by block, and what M is in them.

    The Hermitian part of t is M in all rows but the last block, r the last R, `before` the
    last block but one. `norm` is about that of M. Small numbers are NumPy's, or XLA's where M is
    traced.
    """

    q: Array
    t: Array
    r: Array
    before: Array
    norm: Any


def small(like: Array) -> Any:
    """Return the library for the small arithmetic: NumPy, or XLA where M is traced."""
    return namespace(like) if is_traced(like) else np


def begun(problem: Problem, size: int) -> Basis:
    """Return the basis of the start, with room for so many steps."""
    start = problem.start
    (b, n), xp = start.shape, small(start)
    q = namespace(start).zeros((b * (size + 1), n), dtype=start.dtype, device=device(start))
    unit, R = row_qr(start)
    dtype = start.dtype if is_traced(start) else np.result_type(host(R), float)
    t = xp.zeros((b * (size + 1), b * (size + 1)), dtype=dtype)
    return Basis(put_block(q, (0, 0), unit), t, 0 * R, 0 * start, 0 * xp.real(t[0, 0]))


def extended(problem: Problem, basis: Basis, first: Any, last: Any, size: int) -> Basis:
    """Return the basis after the steps from `first` to `last`, which is at most `size`."""
    b, compiled = problem.start.shape[0], is_traced(problem.start)
    xp_small = small(problem.start)

    def step(i: Any, basis: Basis) -> Basis:
        q, t, R, before, norm = basis
        xp, k = namespace(q), b * i
        X = window(q, k, b)
        W = problem.product(X)
        C = W @ adjoint(X)  # the transpose of C_j
        W = W - C @ X - conj(R) @ before
        rows = q[: size * b] if compiled else q[: k + b]

        def orthogonal(W: Array) -> tuple[Array, Array]:
            return row_qr(W - (W @ adjoint(rows)) @ rows)

        def again(left: tuple[Array, Array]) -> tuple[Array, Array]:
            # what now goes by more than half was rounding alone, and is dropped
            unit, R = left
            unit, S = orthogonal(unit)
            kept = xp.abs(xp.linalg.diagonal(S)) > 0.5
            return xp.where(kept[:, None], unit, 0.0), S @ R

        # W is orthogonal to all rows up to rounding, and once more is enough, unless next to
        # nothing is left of some row
        unit, R = orthogonal(W)
        c, left = host(C), abs(host(R).diagonal())
        norm = xp_small.maximum(norm, abs(c).max())
        unit, R = when(left.min() < 1e-3 * norm, again, lambda left: left, (unit, R))
        t = put_block(t, (k, k), xp_small.concat([c.T, 2 * host(R)]))
        return Basis(put_block(q, (k + b, 0), unit), t, R, X, norm)

    return for_loop(first, last, step, basis)
