r"""Leading singular triplets of a matrix that is known by its products with vectors.

As in `normgrad.factorizations.lanczos`, but that the size of the matrix is estimated, by a few
steps of the power method, to take a power of two out; and its trace is unknown, so that every
tie is looked for.
"""

import math
from collections.abc import Callable
from typing import Any

from normgrad.arithmetic import Array, divide, gaussian, is_traced, largest, namespace
from normgrad.factorizations.base import Columns, Demand, Outcome, Spectrum
from normgrad.factorizations.eigenvectors import largest_eigenvectors
from normgrad.factorizations.krylov import Problem
from normgrad.matrices import Matrix

__all__ = ["leading_triplets"]

Product = Callable[[Array], Array]

_LEADING = 1 / 8
_UNKNOWN = 2.0**30
"""A trace from which nothing follows, for a matrix of norm about 1; it is taken for an int32."""

_ROOM = 2**25
"""So many entries the basis may have, if 400 vectors are fewer."""


def leading_triplets(A: Matrix, demand: Demand) -> Outcome:
    """Return the leading triplets of A, (m, n), with those tied with the last."""
    m, n = A.shape
    if m < n:
        return _tall(A.rmatmat, A.matmat, A, m, demand).adjoint()
    return _tall(A.matmat, A.rmatmat, A, n, demand)


def _tall(forth: Product, back: Product, A: Matrix, n: int, demand: Demand) -> Outcome:
    start = gaussian((n, 1), A.model)
    xp = namespace(start)
    size = _size(forth, back, start)
    if not is_traced(size) and not (0 < float(size) < math.inf):
        # (A^H A v = 0 for a random v only if A is zero)
        return Outcome(_constant(forth(start), start, float(size)), True, f"its size is {size}")
    scale = xp.where(size > 0, size, xp.ones_like(size))
    scale = 2.0 ** -xp.round(xp.log2(scale))
    scale = scale if is_traced(scale) else float(scale)

    def product(v: Array) -> Array:
        return (back(forth(v[:, None]) * scale) * scale)[:, 0]

    steps = min(max(n // 3, 150), n, max(400, _ROOM // n))
    problem = Problem(product, n, start[:, 0], steps, 2 * demand.tie, patient=True)
    trace = _UNKNOWN if not is_traced(size) else xp.full_like(size, _UNKNOWN)
    found = largest_eigenvectors(problem, trace, demand.triplets)
    rows = found.rows
    if not is_traced(found.count):
        if not found.converged or found.count < demand.triplets:
            return Outcome(None, False, f"no convergence in {int(found.products)} products")
        rows = rows[: int(found.count)]
    # Rayleigh-Ritz, and half a power step
    Q, R = xp.linalg.qr(forth(rows.mT) * scale)
    U = Q @ xp.linalg.svd(R, full_matrices=False)[0]
    V = back(U) * scale
    s = xp.linalg.vector_norm(V, axis=-2)
    V = V * divide(xp.ones_like(s), s)[..., None, :]
    if is_traced(size):  # (what comes of a zero matrix is NaN)
        U, V, s = (xp.where(size == 0, 0.0, x) for x in (U, V, s))
        found = found._replace(converged=found.converged | (size == 0))
    large = s[demand.triplets - 1] >= (_LEADING + demand.tie) * s[0]
    spectrum = Spectrum(Columns(U), s / scale, Columns(V), complete=False)
    if is_traced(large):
        return Outcome(spectrum, large & found.converged, "it converges")
    if not bool(large):
        reason = f"singular value {demand.triplets} is less than an eighth of the largest"
        return Outcome(spectrum, False, reason)
    more = int(found.count) - demand.triplets
    tied = f"{more} vectors tied" if more else "no tie"
    return Outcome(spectrum, True, f"{int(found.products)} products with A and its adjoint, {tied}")


def _size(forth: Product, back: Product, v: Array) -> Array:
    """Return the largest entry after a few power steps: the norm, up to the root of the size."""
    size = largest(v)
    for _ in range(3):
        u = forth(divide(v, size))
        v = back(divide(u, largest(u)))
        size = largest(v)
    return size


def _constant(u: Array, v: Array, number: Any) -> Spectrum:
    """Return one triplet that is this number throughout: 0, or NaN."""
    u, v = (number + 0 * x for x in (u, v))
    return Spectrum(Columns(u), namespace(u).abs(u[:1, 0]), Columns(v), complete=False)
