r"""Leading singular triplets by matrix-vector products.

The eigenvectors v of ``M = A^H A``, of the smaller side, are had by the block Lanczos method
(`normgrad.factorizations.krylov`) to a residual of ``8 eps theta_1``. Then, with those in V,

    A V = W S X^H  (thin SVD),    U = W,    s = |A^H u|,    v = A^H u / s,

which restores what squaring A has cost: a Rayleigh-Ritz step and half a power step. For
``s_i > s_1/8`` the triplets are as accurate as LAPACK's: M has its eigenvalues to ``eps s_1^2``,
which is ``4 eps s_1`` in s_i, and ``eps s_1^2 / (s_i^2 - s_j^2)`` in v_i.

In double precision the matrix is rounded to single precision first, in which products cost
half; from the vectors found there it is not far to those in double
(`normgrad.factorizations.refinement`).

References
----------
B. N. Parlett, The Symmetric Eigenvalue Problem (1980), chapter 13. H. Simon, H. Zha,
Low-rank matrix approximation using the Lanczos bidiagonalization process, SIAM J. Sci.
Comput. 21 (2000): one side is orthogonalised only.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, final

from normgrad.arithmetic import (
    Array,
    adjoint,
    column_norms,
    divide,
    frobenius,
    gaussian,
    is_jax,
    is_single,
    is_traced,
    machine_epsilon,
    namespace,
    number,
    row_products,
    row_qr,
    rows_at_once,
    single,
    summed_in_blocks,
)
from normgrad.factorizations.base import (
    Columns,
    Demand,
    Factorization,
    Outcome,
    Spectrum,
    Verdict,
)
from normgrad.factorizations.eigenvectors import CROWDED, FOUND, Found, largest_eigenvectors
from normgrad.factorizations.krylov import Problem
from normgrad.factorizations.refinement import refined

__all__ = ["Lanczos", "judged", "normal_equations", "rayleigh_ritz", "triplets", "widened"]

_SMALLEST = 400
_MIXED_FROM = 100
_MOST = 480
"""So many vectors a basis may have before a dense factorization is the quicker."""
_MANY = 8
"""So many vectors at once are tried where as many are tied as were tried before."""
_ROUGH, _ROUGH_TIE = 5e-6, 1e-4
"""In single precision: a residual that is easily refined, and what may be a tie in double."""
_LEADING = 1 / 8


@final
class Lanczos(Factorization):
    """A few leading triplets, and all that are tied with the last of them."""

    name = "lanczos"
    batches = False

    def verdict(self, A: Array, demand: Demand) -> Verdict:
        m, n = A.shape[-2:]
        k = min(m, n)
        if demand.tie >= 0.25:
            return Verdict(False, f"the tolerance for ties, {demand.tie:g}, is too wide")
        if demand.named:
            return Verdict(True, "it was asked for")
        if A.ndim > 2 and is_jax(A):  # where a loop over the batch would stay one
            return Verdict(False, "XLA on CPUs can stall in loops around LAPACK calls")
        if k < _SMALLEST:
            return Verdict(False, f"with {k} singular values a dense factorization is as quick")
        if demand.triplets > k // 50:
            return Verdict(False, f"{demand.triplets} of {k} singular values are too many")
        return Verdict(True, f"{demand.triplets} of {k} singular values by products with vectors")

    def factorize(self, A: Array, demand: Demand) -> Outcome:
        find = functools.partial(_found, A, _scale(A), demand)
        return _outcome(A, A.shape[0] < A.shape[1], widened(rows_at_once(A), find), demand)


def widened(rows: int, find: Callable[[int], Found]) -> Found:
    """Return what is found from so many rows at once, or from more if that many are tied."""
    found = find(rows)
    if not is_traced(found.status) and found.status == CROWDED:
        return find(_MANY)
    return found


def _found(A: Array, scale: Any, demand: Demand, rows: int) -> Found:
    k, tie = min(A.shape), 2 * demand.tie
    start = gaussian((min(rows, k), k), A)
    problem = _problem(A, scale, start, tie)
    if is_single(A) or k < _MIXED_FROM:
        return largest_eigenvectors(problem, demand.triplets)
    B = single(A) if scale is None else single(A * scale)
    rough = _problem(B, None, single(start), max(tie, _ROUGH_TIE))._replace(tol=_ROUGH)
    found = largest_eigenvectors(rough, demand.triplets)
    return refined(problem, rough, found, demand.triplets)


def _scale(A: Array) -> Any:
    """Return a power of two by which A has about norm 1, or None for 1 where that is near."""
    norm = number(frobenius(A))
    if is_traced(norm):
        xp = namespace(norm)
        return 2.0 ** -xp.round(xp.log2(xp.where(norm > 0, norm, 1.0)))
    if 1e-6 < norm < 1e6:
        return None
    return 2.0 ** -round(math.log2(norm)) if norm > 0 else 1.0


def normal_equations(A: Array, start: Array, tol: float) -> Problem:
    """Return the problem of the largest eigenvector of ``A^H A``, for at least as many rows."""
    return _problem(A, _scale(A), start, None)._replace(tol=tol)


def _problem(A: Array, scale: Any, start: Array, tie: float | None) -> Problem:
    """Return the problem of the eigenvectors of ``A^H A``, or ``A A^H`` for a wide A."""
    forth, back = row_products(A)
    first, second = (back, forth) if A.shape[0] < A.shape[1] else (forth, back)

    def product(X: Array) -> Array:
        return second(first(X)) if scale is None else second(first(X) * scale) * scale

    b, n = start.shape
    return Problem(product, start, -(-min(max(n // 2, 150), n, _MOST) // b), tie)


def rayleigh_ritz(A: Array, V: Array) -> tuple[Array, Array, Array, Array]:
    """Return U, s, V and ``A^H U`` for the Ritz triplets of A on the span of the columns V.

    Columns of U whose s is next to nothing are 0: they would not be orthogonal to the others.
    """
    xp = namespace(A)
    Q, R = row_qr((A @ V).mT)
    W, s, Xh = xp.linalg.svd(R, full_matrices=False)
    U = xp.where(s > machine_epsilon(A) ** 0.5 * s[0], Q.mT @ W, 0.0)
    return U, s, V @ adjoint(Xh), adjoint(summed_in_blocks(adjoint(U), A))


def _outcome(A: Array, wide: bool, found: Found, demand: Demand) -> Outcome:
    if wide:
        return _outcome(adjoint(A), False, found, demand).adjoint()
    if found.failure:
        return Outcome(None, False, found.failure)
    rows = found.leading(demand.triplets + rows_at_once(A) - 1)
    U, _, _, V = rayleigh_ritz(A, rows.mT)
    return judged(triplets(U, V), found, demand)


def triplets(U: Array, V: Array) -> Spectrum:
    """Return the triplets of left vectors U, from ``V = A^H U``: half a power step."""
    s = column_norms(V)
    V = V * divide(namespace(s).ones_like(s), s)[None, :]
    return Spectrum(Columns(U), s, Columns(V), complete=False)


def judged(spectrum: Spectrum, found: Found, demand: Demand) -> Outcome:
    """Return the outcome of what was found, which holds if the triplets wanted are not small."""
    s, t = spectrum.s, demand.triplets - 1
    if t >= s.shape[-1]:
        reason = f"it finds {s.shape[-1]} of {demand.triplets} triplets, the others being small"
        return Outcome(None, False, reason)
    large = s[t] >= (_LEADING + demand.tie) * s[0]
    if is_traced(large):
        return Outcome(spectrum, large & (found.status == FOUND), "it converges")
    if not bool(large):
        reason = f"singular value {t + 1} is less than an eighth of the largest"
        return Outcome(spectrum, False, reason)
    more = found.count - demand.triplets
    tied = f"{more} vectors tied" if more else "no tie"
    return Outcome(spectrum, True, f"{found.products} products with A and its adjoint, {tied}")
