"""Linear minimisers where the argument is a matrix of a type."""

from dataclasses import dataclass
from typing import Never, cast, final

from normgrad.arithmetic import Array, adjoint, device, namespace, read_integer
from normgrad.calculus.convex import Oracle, opposite
from normgrad.calculus.normalise import normalise, restore
from normgrad.calculus.rules import ProxRule
from normgrad.calculus.structured import NormOfStructure, Scaled, is_empty
from normgrad.calculus.structured_convex import (
    ONE_BY_ONE,
    MapOfStructure,
    for_diagonal,
    not_of_type,
    not_unique,
)
from normgrad.calculus.structures.base import tolerances_at
from normgrad.calculus.structures.entire import Entire
from normgrad.calculus.structures.factors import spectrum_of
from normgrad.calculus.structures.products import ByProducts
from normgrad.calculus.tolerances import snap_to_zero
from normgrad.factorizations import Columns, Spectrum, thin_svd
from normgrad.matrices import BlockDiagonal, Diagonal, Embedding, HermitianMatrix, LowRank, Matrix
from normgrad.norms import EntrywiseNorm, Norm, Nuclear, UnitarilyInvariantNorm

__all__ = ["FactoredOracle", "oracle_of_structure"]


@final
@dataclass(frozen=True)
class FactoredOracle(MapOfStructure):
    """``argmin Re<z, A>`` over ``||z|| <= t``, in factors; `rule` is the dual norm.

    The row has the entries of `left`, (..., m, r), and those of `right`, (..., r, n).
    """

    rule: UnitarilyInvariantNorm

    def prox(self, x: Array, t: Array) -> Array:
        xp, batch = namespace(x), tuple(x.shape[:-2])
        if is_empty(self.embedding, x):
            m, n = self.at(x).shape[-2:]
            return xp.zeros((*batch, 1, m + n), dtype=x.dtype, device=device(x))
        scaled = Scaled.of(self.embedding, x, self.rule)
        A = scaled.matrix(self.embedding)
        left, right = self._factors(A)
        left = opposite(t)[..., None, None] * left
        rows = [xp.reshape(factor, (*batch, 1, -1)) for factor in (left, adjoint(right))]
        return scaled.marked(xp.concat(rows, axis=-1))

    def _factors(self, A: Matrix) -> tuple[Array, Array]:
        """Return the factors of the gradient of the dual norm, ``left right^H``."""
        norm = self.rule
        if isinstance(A, LowRank):
            return self._lifted(A, spectrum_of(A))
        if ByProducts.verdict(A, norm).accepted:
            found = ByProducts(norm).in_factors(A)
            if found is not None:
                return found[1:]
        verdict = Entire.verdict(A, norm)
        if not verdict.accepted:
            raise ValueError(
                f"there is no way to the linear minimiser for a {type(A).__name__} of shape "
                f"{A.shape}: {verdict.reason}"
            )
        scaled = normalise(A.dense())
        U, s, Vh = thin_svd(cast(Array, scaled.matrix))
        left, right = self._lifted(A, Spectrum(Columns(U), s, Columns(adjoint(Vh))))
        return restore(left, (scaled, 0)), right

    def _lifted(self, A: Matrix, spectrum: Spectrum) -> tuple[Array, Array]:
        tol = tolerances_at(self.rule, A)
        mu = self.rule.slope(snap_to_zero(spectrum.s, tol.rank), tol.tie)
        xp, k = namespace(mu), mu.shape[-1]
        # (triplets after the last nonzero mu are left out, where that is seen)
        used = xp.any(xp.reshape(mu, (-1, k)) != 0, axis=0)
        unused = read_integer(xp.argmax(xp.flip(xp.astype(used, xp.int8)))) or 0
        one = xp.ones_like(mu)
        return spectrum.u.scaled(mu)[..., : k - unused], spectrum.v.scaled(one)[..., : k - unused]

    def linearized(self, x: Array, t: Array) -> Never:
        raise not_unique("the linear minimiser as a LowRank")


def oracle_of_structure(A: Matrix, embedding: Embedding, norm: Norm, method: str) -> ProxRule:
    """Return the rule for the linear minimiser over the balls of a norm, for a type."""
    norm = for_diagonal(A, norm)
    dual, invariant = norm.dual(), isinstance(norm, UnitarilyInvariantNorm)
    one_by_one = isinstance(A, ONE_BY_ONE) and isinstance(norm, EntrywiseNorm)
    if one_by_one or (invariant and isinstance(A, (Diagonal, BlockDiagonal, HermitianMatrix))):
        return Oracle(NormOfStructure(dual, method, embedding))
    factored = isinstance(A, LowRank) or isinstance(norm, Nuclear)
    if factored and isinstance(dual, UnitarilyInvariantNorm):
        if method != "auto":
            raise ValueError(f"method={method!r} is not for a {type(A).__name__}; leave 'auto'")
        return FactoredOracle(dual, embedding)
    raise not_of_type("linear minimiser", A, norm, "; and for every type with 'nuc'")
