r"""Leading singular triplets of a matrix that is known by its products with vectors.

As in `normgrad.factorizations.lanczos`, but that the size of the matrix is estimated, by a few
steps of the power method, to take a power of two out: its root before each product and its root
after it, so that nothing under- or overflows on the way.

*Acceptance.* The products may be those of a user, who may be wrong. The triplets have
``A^H U = V diag(s)`` by construction, and ``A V = U diag(s)`` if both are linear and one the
adjoint of the other: one more product tells.
"""

import math
from collections.abc import Callable
from typing import Any

from normgrad.arithmetic import (
    Array,
    column_norms,
    divide,
    gaussian,
    is_traced,
    largest,
    namespace,
    real_inner,
)
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
_ADJOINT = 1e-2
"""The error that products may have, such as those of iterative solvers or in half precision."""


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
        u = forth(start)
        if float(size) == 0 and float(largest(u)) >= float(xp.finfo(u.dtype).smallest_normal):
            raise _not_adjoint(A, "A^H A v is 0 for a random v, and A v is not")
        return Outcome(_constant(u, start, float(size)), True, f"its size is {size}")
    root = xp.where(size > 0, size, xp.ones_like(size))
    root = 2.0 ** -xp.round(xp.log2(root) / 2)
    root = root if is_traced(root) else float(root)

    def scaled(X: Array) -> Array:
        return forth(X * root) * root

    def scaled_back(U: Array) -> Array:
        return back(U * root) * root

    def find(rows: int) -> Found:
        start = gaussian((min(rows, n), n), A.model)
        steps = -(-min(max(n // 2, 200), n, max(600, _ROOM // n)) // start.shape[0])
        product = lambda X: scaled_back(scaled(X.mT)).mT  # noqa: E731
        # (for values alone it does not matter how many are tied)
        tie = 2 * demand.tie if demand.vectors else None
        problem = Problem(product, start, steps, tie, patient=True)
        return largest_eigenvectors(problem, demand.triplets)

    found = widened(_BLOCK, find)
    if found.failure:
        return Outcome(None, False, found.failure)
    # Rayleigh-Ritz, and half a power step
    V = found.leading(demand.triplets + _BLOCK - 1).mT
    Q, R = xp.linalg.qr(scaled(V))
    U = Q @ xp.linalg.svd(R, full_matrices=False)[0]
    spectrum = triplets(U, scaled_back(U))
    if is_traced(size):  # (what comes of a zero matrix is NaN)
        U, s, V = (xp.where(size == 0, 0.0, x) for x in (U, spectrum.s, spectrum.v.q))
        spectrum = spectrum._replace(u=Columns(U), s=s, v=Columns(V))
        found = found._replace(status=xp.where(size == 0, FOUND, found.status))
    outcome = judged(spectrum._replace(s=spectrum.s / root / root), found, demand)
    if outcome.holds is True:
        _check(A, spectrum, scaled(spectrum.v.q))
    return outcome


def _check(A: Matrix, spectrum: Spectrum, AV: Array) -> None:
    """Raise ValueError unless ``A v = s u`` for all triplets, as is ``A^H u = s v``."""
    s, one = spectrum.s, namespace(AV).ones_like(spectrum.s)
    error = float(namespace(AV).max(column_norms(AV - spectrum.u.scaled(s))) / s[0])
    if not error <= _ADJOINT:
        ratio = float(real_inner(spectrum.u.scaled(one)[:, :1], AV[:, :1]) / s[0])
        raise _not_adjoint(
            A,
            f"for the singular vectors that they give, one of <u, A v> and <A^H u, v> is "
            f"{ratio:.6g} times the other, and A v differs from s u by {error:.1e} s",
        )


def _not_adjoint(A: Matrix, how: str) -> ValueError:
    return ValueError(
        f"the products of a matrix of shape {A.shape} with vectors and those with its adjoint do "
        f"not fit together: {how}. Both must be linear, and one the conjugate "
        "transpose of the other; normgrad.testing.check_adjoint tests it"
    )


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
