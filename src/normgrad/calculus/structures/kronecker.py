r"""Kronecker products: ``s(a (x) b)`` are all products ``s_i(a) s_j(b)``.

The Schatten norms multiply, ``||a (x) b|| = ||a|| ||b||``, and so does the subgradient of least
norm, ``G = G_a (x) G_b``; derivatives follow by the product rule. For the Ky Fan norms, with the
slope mu_ij of the sorted products,

    grad_a = U_a diag(sum_j mu_ij s_j(b)) V_a^H,    grad_b = U_b diag(sum_i mu_ij s_i(a)) V_b^H.
"""

from typing import Any, ClassVar, NamedTuple, final

from normgrad.arithmetic import Array, namespace, real_inner
from normgrad.calculus.by_entries import NormByEntries
from normgrad.calculus.by_singular_values import NormBySingularValues
from normgrad.calculus.structures.base import Parts, Structure, norm_of, tolerances_at
from normgrad.calculus.tolerances import snap_to_zero
from normgrad.factorizations import Columns, Spectrum, Verdict, thin_svd
from normgrad.matrices import Kronecker, Matrix
from normgrad.norms import (
    Frobenius,
    Norm,
    Nuclear,
    Schatten,
    Spectral,
    UnitarilyInvariantNorm,
)

__all__ = ["KroneckerTriplets", "ProductOfNorms"]


def _each(x: Array) -> Array:
    return x[..., None, None]


@final
class ProductOfNorms(Structure):
    """The norm of each factor."""

    name: ClassVar = "product of norms"

    @classmethod
    def verdict(cls, A: Matrix, norm: Norm) -> Verdict:
        if not isinstance(A, Kronecker):
            return Verdict(False, "it is no Kronecker product")
        multiplies = (Frobenius, Nuclear, Spectral, Schatten)
        if not isinstance(norm, multiplies):
            return Verdict(False, f"the {norm} of a Kronecker product is no product")
        if any(getattr(norm, name, None) is not None for name in ("rank_tol", "tie_tol")):
            return Verdict(False, "the tolerances given are for the products of singular values")
        return Verdict(True, "the norm of a Kronecker product is the product of the norms")

    def _rules(self, A: Matrix) -> tuple[Any, Any]:
        if isinstance(self.norm, Frobenius):
            return NormByEntries(self.norm), NormByEntries(self.norm)
        return (NormBySingularValues(self.norm),) * 2

    def value(self, A: Matrix) -> Array:
        (a, b), (f, g) = A.parameters, self._rules(A)
        return f.value(a) * g.value(b)

    def value_and_gradient(self, A: Matrix) -> tuple[Array, Parts]:
        (a, b), (f, g) = A.parameters, self._rules(A)
        (N_a, G_a), (N_b, G_b) = f.value_and_gradient(a), g.value_and_gradient(b)
        return N_a * N_b, (_each(N_b) * G_a, _each(N_a) * G_b)

    def derivative(self, A: Matrix) -> "_State":
        (a, b), (f, g) = A.parameters, self._rules(A)
        (N_a, G_a), (N_b, G_b) = f.value_and_gradient(a), g.value_and_gradient(b)
        return _State((N_a, N_b), (G_a, G_b), (f.derivative(a), g.derivative(b)))


class _State(NamedTuple):
    N: tuple[Array, Array]
    G: tuple[Array, Array]
    D: tuple[Any, Any]

    def apply(self, A: Matrix, direction: Matrix) -> Parts:
        (N_a, N_b), (G_a, G_b), (D_a, D_b) = self
        E_a, E_b = direction.parameters
        return (
            _each(N_b) * D_a(E_a) + _each(real_inner(G_b, E_b)) * G_a,
            _each(N_a) * D_b(E_b) + _each(real_inner(G_a, E_a)) * G_b,
        )


@final
class KroneckerTriplets(Structure):
    """From the SVD of each factor."""

    name: ClassVar = "factors' triplets"
    norm: UnitarilyInvariantNorm

    @classmethod
    def verdict(cls, A: Matrix, norm: Norm) -> Verdict:
        if not isinstance(A, Kronecker):
            return Verdict(False, "it is no Kronecker product")
        if not isinstance(norm, UnitarilyInvariantNorm):
            return Verdict(False, "the norm depends on the basis")
        return Verdict(True, "its singular values are products of those of the factors")

    def value(self, A: Matrix) -> Array:
        return norm_of(self.norm, _sorted(A)[0], A)

    def value_and_gradient(self, A: Matrix) -> tuple[Array, Parts]:
        s, order, (first, second) = _sorted(A)
        xp, tol = namespace(s), tolerances_at(self.norm, A)
        mu = self.norm.slope(snap_to_zero(s, tol.rank), tol.tie)
        mu = xp.take_along_axis(mu, xp.argsort(order, axis=-1), axis=-1)
        mu = xp.reshape(mu, (*mu.shape[:-1], first.s.shape[-1], second.s.shape[-1]))
        in_a = xp.sum(mu * second.s[..., None, :], axis=-1)
        in_b = xp.sum(mu * first.s[..., :, None], axis=-2)
        return norm_of(self.norm, s, A), (first.lift(in_a), second.lift(in_b))

    def derivative(self, A: Matrix) -> Any:
        raise NotImplementedError(
            f"the second derivative of the {self.norm} of a Kronecker product is not available; it "
            "is for the Frobenius, nuclear, spectral and Schatten norms with the default "
            "tolerances. For small factors take the norm of A.dense()"
        )


def _sorted(A: Matrix) -> tuple[Array, Array, tuple[Spectrum, Spectrum]]:
    """Return all singular values, their order as products, and the factors' triplets."""
    xp = namespace(A.parameters[0])
    spectra = []
    for x in A.parameters:
        U, s, Vh = thin_svd(x)
        spectra.append(Spectrum(Columns(U), s, Columns(xp.conj(Vh.mT))))
    first, second = spectra
    products = first.s[..., :, None] * second.s[..., None, :]
    flat = xp.reshape(products, (*products.shape[:-2], -1))
    order = xp.argsort(flat, axis=-1, descending=True)
    return xp.take_along_axis(flat, order, axis=-1), order, (first, second)
