r"""Leading singular triplets by matrix-vector products.

The eigenvectors v of ``M = A^H A``, of the smaller side, are had by Lanczos' method
(`normgrad.factorizations.eigenvectors`) to a residual of ``8 eps theta_1``. Then, with those in V,

    A V = W S X^H  (thin SVD),    U = W,    s = |A^H u|,    v = A^H u / s,

which restores what squaring A has cost: a Rayleigh-Ritz step and half a power step. For
``s_i > s_1/8`` the triplets are as accurate as LAPACK's: M has its eigenvalues to ``eps s_1^2``,
which is ``4 eps s_1`` in s_i, and ``eps s_1^2 / (s_i^2 - s_j^2)`` in v_i.

In double precision a large matrix is first rounded to single precision, in which products
cost half; the vectors found, with the knowledge of what is tied, start the runs in double.

References
----------
B. N. Parlett, The Symmetric Eigenvalue Problem (1980), chapter 13. H. Simon, H. Zha,
Low-rank matrix approximation using the Lanczos bidiagonalization process, SIAM J. Sci.
Comput. 21 (2000): one side is orthogonalised only.
"""

import math
from typing import Any, final

from normgrad.arithmetic import (
    Array,
    adjoint,
    conjugation,
    divide,
    double,
    frobenius,
    is_jax,
    is_single,
    is_traced,
    namespace,
    number,
    single,
)
from normgrad.factorizations.base import (
    Columns,
    Demand,
    Factorization,
    Outcome,
    Spectrum,
    Verdict,
)
from normgrad.factorizations.eigenvectors import (
    Eigenvectors,
    largest_eigenvectors,
    polished,
)
from normgrad.factorizations.krylov import Problem

__all__ = ["Lanczos", "normal_equations", "rayleigh_ritz"]

_SMALLEST = 400
_MIXED_FROM = 1024
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
        m, n = A.shape
        wide = m < n
        scale, trace = _scale(A)
        double_precision = not is_single(A)
        tie = 2 * demand.tie
        if double_precision and min(m, n) >= _MIXED_FROM:
            rough_tie = max(tie, 64 * 1.2e-7)
            B = single(A * scale) if scale is not None else single(A)
            rough = _problem(B, wide, None, rough_tie)
            found = largest_eigenvectors(rough, trace, demand.triplets)
            found = found._replace(rows=double(found.rows))
            if is_traced(found.converged) or found.converged:
                found = polished(_problem(A, wide, scale, tie), found)
        else:
            found = largest_eigenvectors(_problem(A, wide, scale, tie), trace, demand.triplets)
        return _outcome(A, wide, found, demand)


def _scale(A: Array) -> tuple[Any, Any]:
    """Return a power of two by which A has about norm 1, and the trace of M then.

    None stands for 1, where A has moderate norm already.
    """
    norm = number(frobenius(A))
    if is_traced(norm):
        xp = namespace(norm)
        scale = 2.0 ** -xp.round(xp.log2(xp.where(norm > 0, norm, 1.0)))
        return scale, (norm * scale) ** 2
    if 1e-6 < norm < 1e6:
        return None, norm**2
    scale = 2.0 ** -round(math.log2(norm)) if norm > 0 else 1.0
    return scale, (norm * scale) ** 2


def normal_equations(A: Array, tie: float, tol: float) -> Problem:
    """Return the problem of the eigenvectors of ``A^H A``, for A with at least as many rows."""
    scale, _ = _scale(A)
    return _problem(A, False, scale, 2 * tie)._replace(tol=tol)


def _problem(A: Array, wide: bool, scale: Any, tie: float) -> Problem:
    """Return the problem of the eigenvectors of ``A^H A``, or ``A A^H`` for a wide A."""
    bar = conjugation(A)

    def forth(v: Array) -> Array:
        return A @ v

    def back(u: Array) -> Array:  # A^H u, without a transposed copy of A
        return bar(bar(u) @ A)

    first, second = (back, forth) if wide else (forth, back)

    def product(v: Array) -> Array:
        return second(first(v)) if scale is None else second(first(v) * scale) * scale

    n = min(A.shape)
    steps = min(max(n // 3, 20), n, 160 if is_jax(A) else 400)
    return Problem(product, n, A[0], steps, tie)


def rayleigh_ritz(A: Array, V: Array) -> tuple[Array, Array, Array, Array]:
    """Return U, s, V and ``A^H U`` for the Ritz triplets of A on the span of the columns V."""
    xp = namespace(A)
    Q, R = xp.linalg.qr(A @ V)
    W, s, Xh = xp.linalg.svd(R, full_matrices=False)
    U = Q @ W
    return U, s, V @ adjoint(Xh), adjoint(adjoint(U) @ A)


def _outcome(A: Array, wide: bool, found: Eigenvectors, demand: Demand) -> Outcome:
    if wide:
        return _outcome(adjoint(A), False, found, demand).adjoint()
    xp = namespace(A)
    rows = found.rows
    if not is_traced(found.count):
        if not found.converged or found.count < demand.triplets:
            return Outcome(None, False, f"no convergence in {int(found.products)} products")
        rows = rows[: int(found.count)]
    U, _, _, V = rayleigh_ritz(A, rows.mT)
    s = xp.linalg.vector_norm(V, axis=-2)
    V = V * divide(xp.ones_like(s), s)[..., None, :]
    t = demand.triplets - 1
    large = s[t] >= (_LEADING + demand.tie) * s[0]
    if is_traced(large):
        holds, reason = large & found.converged, "it converges"
    else:
        holds = bool(large)
        reason = f"{int(found.products)} products with A and its adjoint, "
        more = int(found.count) - demand.triplets
        reason += f"{more} vectors tied" if more else "no tie"
        if not holds:
            reason = f"singular value {t + 1} is less than an eighth of the largest"
    return Outcome(Spectrum(Columns(U), s, Columns(V), complete=False), holds, reason)
