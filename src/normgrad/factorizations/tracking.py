"""The largest singular triplet of a matrix that has moved a little since the last time."""

import functools
from typing import Any, NamedTuple

from normgrad.arithmetic import (
    Array,
    adjoint,
    column_norms,
    divide,
    gaussian,
    identity,
    machine_epsilon,
    namespace,
    vector_norm,
    when,
)
from normgrad.factorizations.base import Demand, Spectrum
from normgrad.factorizations.choose import decompose
from normgrad.factorizations.eigenvectors import FOUND, largest_eigenvectors
from normgrad.factorizations.lanczos import normal_equations, rayleigh_ritz

__all__ = ["BLOCK", "Tracked", "tracked"]

BLOCK = 8
"""So many columns are kept."""
_SETTLED = 1 / 32


class Tracked(NamedTuple):
    """The triplet ``A v = s u``, and orthonormal columns to go on from."""

    u: Array
    s: Array
    v: Array
    columns: Array


def tracked(A: Array, columns: Array | None, demand: Demand, tol: float) -> Tracked:
    """Return the largest triplet of an m x n matrix to the residual ``|A^H u - s v| <= tol s``.

    The columns V of the last time, as long as the smaller side, give by a Rayleigh-Ritz step

        A V = U S X^H,    v = V x_1,    the residual |A^H u_1 - s_1 v|,

    two products with a block: should another of its vectors overtake the first, it is noticed. The
    block then makes a power step, ``A^H U``. Once its last vector has settled, a random one takes
    its place: columns that were singular vectors of A, and stay so while A moves along them, would
    never see what overtakes them from outside. If the residual is too large, Lanczos' method goes
    on from the first two and the last; if that does not converge either, the usual factorization
    starts afresh.
    """
    xp = namespace(A)
    if A.shape[0] < A.shape[1]:
        back = tracked(adjoint(A), columns, demand, tol)
        return back._replace(u=back.v, v=back.u)
    random = functools.partial(gaussian, (A.shape[1], min(A.shape[1], BLOCK)), A)
    if columns is None:
        columns = xp.linalg.qr(random())[0]
    else:  # unless it is no help
        helps = xp.all(xp.isfinite(columns)) & xp.all(column_norms(columns) > 0)
        columns = when(helps, lambda own: own, lambda _: xp.linalg.qr(random())[0], columns)
    U, s, V, Z = rayleigh_ritz(A, columns)
    first, last = (vector_norm(Z[:, i] - s[i] * V[:, i]) for i in (0, -1))
    z, settled = Z[:, 0], last <= xp.maximum(_SETTLED * s[-1], machine_epsilon(A) ** 0.5 * s[0])
    columns = when(settled, lambda Z: _with_last(Z, random()), lambda Z: Z, Z)
    columns = xp.linalg.qr(columns)[0]

    def far(start: Tracked) -> Tracked:
        rows = xp.concat([start.columns[:, :2], start.columns[:, 2:][:, -1:]], axis=1).mT
        found = largest_eigenvectors(normal_equations(A, rows, tol), 1)
        afresh = functools.partial(_afresh, A, demand)
        there = functools.partial(_of_vector, A, found.rows[0])
        return when(found.status == FOUND, there, afresh, start)

    start = _of_left_vector(U[:, 0], z, columns)
    return when(first <= tol * s[0], lambda t: t, far, start)


def _of_left_vector(u: Array, z: Array, columns: Array) -> Tracked:
    """Return the triplet of a left vector u, from ``z = A^H u``."""
    s = namespace(z).linalg.vector_norm(z)
    return Tracked(u, s, divide(z, s), columns)


def _of_vector(A: Array, v: Array, before: Tracked) -> Tracked:
    """Return the triplet of a right vector v."""
    U, _, _, Z = rayleigh_ritz(A, v[:, None])
    return _with(Z[:, 0], _of_left_vector(U[:, 0], Z[:, 0], before.columns))


def _with(v: Array, t: Tracked) -> Tracked:
    """Return t with v as the first of its columns."""
    xp = namespace(v)
    columns = xp.concat([v[:, None], t.columns[:, 1:]], axis=1)
    return t._replace(columns=xp.linalg.qr(columns)[0])


def _with_last(Z: Array, other: Array) -> Array:
    """Return the columns Z, but the last of `other`."""
    return namespace(Z).concat([Z[:, :-1], other[:, -1:]], axis=1)


def _afresh(A: Array, demand: Demand, before: Tracked) -> Tracked:
    def use(spectrum: Spectrum) -> Any:
        first = identity(spectrum.s.shape[-1], A)[:, :1]
        return spectrum.u.expand(first)[:, 0], spectrum.s[0], spectrum.v.expand(first)[:, 0]

    u, s, v = decompose(A, demand, use)
    return _with(v, Tracked(u, s, v, before.columns))
