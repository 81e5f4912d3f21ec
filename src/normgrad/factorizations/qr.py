"""The SVD of the triangular factor of a tall or wide matrix."""

from typing import final

from normgrad.arithmetic import Array, adjoint, namespace
from normgrad.factorizations.base import (
    Columns,
    Demand,
    Factorization,
    Image,
    Outcome,
    Spectrum,
    Verdict,
    far_from_square,
)
from normgrad.factorizations.svd import thin_svd

__all__ = ["TriangularSVD"]


@final
class TriangularSVD(Factorization):
    """``A = Q R`` by Householder reflections, ``R = U s V^H``: ``A = (Q U) s V^H``.

    Backward stable for every matrix (Chan, An improved algorithm for computing the singular
    value decomposition, ACM TOMS 8, 1982). The product Q U is never formed.
    """

    name = "qr"
    certain = True

    def verdict(self, A: Array, demand: Demand) -> Verdict:
        m, n = A.shape[-2:]
        if not demand.vectors and not demand.named:
            return Verdict(False, "without vectors, LAPACK's own SVD takes this road")
        if (not far_from_square(m, n) or min(m, n) < 8) and not demand.named:
            return Verdict(False, f"{m} x {n} is not far from square, or is small")
        return Verdict(True, f"{m} x {n} is far from square: the SVD of a triangular factor")

    def factorize(self, A: Array, demand: Demand) -> Outcome:
        if A.shape[-2] < A.shape[-1]:
            return self.factorize(adjoint(A), demand).adjoint()
        Q, R = namespace(A).linalg.qr(A)
        U, s, Vh = thin_svd(R)
        spectrum = Spectrum(Image(Q, U), s, Columns(adjoint(Vh)))
        return Outcome(spectrum, True, "backward stable")
