r"""Low rank: the singular values of ``A = L R`` are those of a core of the size of its rank.

With ``L = Q_1 R_1`` and ``R^H = Q_2 R_2``,

    A = Q_1 (R_1 R_2^H) Q_2^H,    R_1 R_2^H = X diag(s) Y^H,    U = Q_1 X,    V = Q_2 Y.

All that a derivative needs of a direction dA is ``dA V`` and ``dA^H U``; it is

    dG = [U C + (dA V - U Et) diag(q)] V^H + U [(dA^H U - V Et^H) diag(q)]^H

with the core C of `normgrad.calculus.lift`: the rest of dA, between the null spaces, is zero.
"""

from typing import ClassVar, NamedTuple, final

from normgrad.arithmetic import Array, adjoint, namespace
from normgrad.calculus.lift import LiftDerivative
from normgrad.calculus.structures.base import Parts, Structure, norm_of, tolerances_at
from normgrad.calculus.tolerances import snap_to_zero
from normgrad.factorizations import Columns, Spectrum, Verdict, thin_svd
from normgrad.matrices import LowRank, Matrix
from normgrad.norms import Norm, UnitarilyInvariantNorm

__all__ = ["Factors", "spectrum_of"]


@final
class Factors(Structure):
    """From two QR decompositions and the SVD of the core."""

    name: ClassVar = "factors"
    norm: UnitarilyInvariantNorm

    @classmethod
    def verdict(cls, A: Matrix, norm: Norm) -> Verdict:
        if not isinstance(A, LowRank):
            return Verdict(False, "its factors are not known")
        if not isinstance(norm, UnitarilyInvariantNorm):
            return Verdict(False, "the norm depends on the basis")
        r = A.parameters[0].shape[-1]
        if r > min(A.shape[-2:]):
            return Verdict(False, f"the factors, of {r} columns, are larger than the matrix")
        return Verdict(True, f"two QR decompositions, and the SVD of a {r} x {r} matrix")

    def value(self, A: Matrix) -> Array:
        return norm_of(self.norm, spectrum_of(A).s, A)

    def value_and_gradient(self, A: Matrix) -> tuple[Array, Parts]:
        tol = tolerances_at(self.norm, A)
        spectrum = spectrum_of(A)
        mu = self.norm.slope(snap_to_zero(spectrum.s, tol.rank), tol.tie)
        return norm_of(self.norm, spectrum.s, A), A.pull(spectrum.u.scaled(mu), spectrum.v.q)

    def derivative(self, A: Matrix) -> "_State":
        tol = tolerances_at(self.norm, A)
        spectrum = spectrum_of(A)
        s = snap_to_zero(spectrum.s, tol.rank)
        curvature = self.norm.curvature(s, tol.tie)
        lift = LiftDerivative.at(spectrum, s, curvature)
        return _State(lift, curvature.g)


class _State(NamedTuple):
    lift: LiftDerivative
    g: Array

    def apply(self, A: Matrix, direction: Matrix) -> Parts:
        u, v, q = self.lift.u, self.lift.v, self.lift.q[..., None, :]
        U, V = u.q, v.q  # type: ignore[attr-defined]
        EV, EhU = A.push(direction, V), A.push_adjoint(direction, U)
        Et = adjoint(U) @ EV
        left = U @ self.lift.core(Et) + (EV - U @ Et) * q
        right = (EhU - V @ adjoint(Et)) * q
        dG = A.pull(*_pairs(left, V, U, right))
        change = A.pull_derivative(direction, u.scaled(self.g), V)
        return dG if change is None else tuple(a + b for a, b in zip(dG, change, strict=True))


def _pairs(left: Array, V: Array, U: Array, right: Array) -> tuple[Array, Array]:
    """Return the factors of ``left V^H + U right^H``."""
    xp = namespace(left)
    U, V = (
        x + xp.zeros_like(y) for x, y in ((U, left), (V, right))
    )  # (the axes of the directions)
    return xp.concat([left, U], axis=-1), xp.concat([V, right], axis=-1)


def spectrum_of(A: Matrix) -> Spectrum:
    """Return the singular triplets of ``left right``, as many as the factors allow."""
    left, right = A.parameters
    xp = namespace(left)
    Q1, R1 = xp.linalg.qr(left)
    Q2, R2 = xp.linalg.qr(adjoint(right))
    X, s, Yh = thin_svd(R1 @ adjoint(R2))
    return Spectrum(Columns(Q1 @ X), s, Columns(Q2 @ adjoint(Yh)))
