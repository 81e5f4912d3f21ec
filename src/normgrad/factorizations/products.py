r"""Leading singular triplets of a matrix that is known by its products with vectors.

As in `normgrad.factorizations.lanczos`, but that the size of the matrix is estimated, by a few
steps of the power method, to take a power of two out.
"""

import math
from collections.abc import Callable
from typing import Any

from normgrad.arithmetic import Array, divide, gaussian, is_traced, largest, namespace
from normgrad.factorizations.base import Columns, Demand, Outcome, Spectrum
from normgrad.factorizations.eigenvectors import FOUND, Found, largest_eigenvectors
from normgrad.factorizations.krylov import Problem
from normgrad.factorizations.lanczos import judged, triplets, widened
from normgrad.matrices import Matrix

__all__ = ["leading_triplets"]

Product = Callable[[Array], Array]

_BLOCK = 3
_ROOM = 2**25
"""So many entries the basis may have, if 600 vectors are fewer."""


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

    def product(X: Array) -> Array:
        return (back(forth(X.mT) * scale) * scale).mT

    def find(rows: int) -> Found:
        start = gaussian((min(rows, n), n), A.model)
        steps = -(-min(max(n // 2, 200), n, max(600, _ROOM // n)) // start.shape[0])
        # (for values alone it does not matter how many are tied)
        tie = 2 * demand.tie if demand.vectors else None
        problem = Problem(product, start, steps, tie, patient=True)
        return largest_eigenvectors(problem, demand.triplets)

    found = widened(_BLOCK, find)
    if found.failure:
        return Outcome(None, False, found.failure)
    # Rayleigh-Ritz, and half a power step
    V = found.leading(demand.triplets + _BLOCK - 1).mT
    Q, R = xp.linalg.qr(forth(V) * scale)
    U = Q @ xp.linalg.svd(R, full_matrices=False)[0]
    spectrum = triplets(U, back(U) * scale)
    if is_traced(size):  # (what comes of a zero matrix is NaN)
        U, s, V = (xp.where(size == 0, 0.0, x) for x in (U, spectrum.s, spectrum.v.q))
        spectrum = spectrum._replace(u=Columns(U), s=s, v=Columns(V))
        found = found._replace(status=xp.where(size == 0, FOUND, found.status))
    return judged(spectrum._replace(s=spectrum.s / scale), found, demand)


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
