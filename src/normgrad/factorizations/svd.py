"""The dense singular value decomposition of LAPACK."""

from collections.abc import Callable
from typing import Any, final

import numpy as np

from normgrad.arithmetic import Array, adjoint, is_jax, namespace
from normgrad.factorizations.base import (
    Columns,
    Demand,
    Factorization,
    Outcome,
    Spectrum,
    Verdict,
)

__all__ = ["DenseSVD", "thin_svd"]


@final
class DenseSVD(Factorization):
    """The thin SVD, by divide and conquer: backward stable, and right for every matrix."""

    name = "svd"
    certain = True

    def verdict(self, A: Array, demand: Demand) -> Verdict:
        m, n = A.shape[-2:]
        return Verdict(True, f"the thin SVD of a {m} x {n} matrix is always accurate")

    def factorize(self, A: Array, demand: Demand) -> Outcome:
        if not demand.vectors:
            s = _converging(_values, _values_after_qr, A)
            return Outcome(Spectrum(None, s, None), True, "backward stable")
        U, s, Vh = thin_svd(A)
        spectrum = Spectrum(Columns(U), s, Columns(adjoint(Vh)))
        return Outcome(spectrum, True, "backward stable")


def thin_svd(A: Array) -> tuple[Array, Array, Array]:
    """Return U, s and V^H."""
    result: tuple[Array, Array, Array] = _converging(_thin_svd, _thin_svd_after_qr, A)
    return result


def _values(A: Array) -> Array:
    xp = namespace(A)
    if is_jax(A):  # its svdvals allocates m x m
        return xp.linalg.svd(A, full_matrices=False, compute_uv=False)
    return xp.linalg.svdvals(A)


def _thin_svd(A: Array) -> tuple[Array, Array, Array]:
    u, s, vh = namespace(A).linalg.svd(A, full_matrices=False)
    return u, s, vh


def _converging(f: Callable[[Array], Any], g: Callable[[Array], Any], A: Array) -> Any:
    """Return ``f(A)``, or ``g(A)`` where LAPACK's divide and conquer fails to converge.

    It fails, rarely, on finite matrices; after a QR decomposition it works on others.
    XLA reports a failure as NaN, not as an exception.
    """
    if is_jax(A):
        return f(A)
    try:
        return f(A)
    except (np.linalg.LinAlgError, RuntimeError) as error:
        if "converge" not in str(error):
            raise
        return g(A)


def _values_after_qr(A: Array) -> Array:
    return _thin_svd_after_qr(A)[1]


def _thin_svd_after_qr(A: Array) -> tuple[Array, Array, Array]:
    """Return the SVD of A by that of R^H, A = QR: R^H = U s V^H gives A = (Q V) s U^H."""
    if A.shape[-2] < A.shape[-1]:
        u, s, vh = _thin_svd_after_qr(adjoint(A))
        return adjoint(vh), s, adjoint(u)
    xp = namespace(A)
    q, r = xp.linalg.qr(A)
    u, s, vh = _thin_svd(adjoint(r))
    return q @ adjoint(vh), s, adjoint(u)
