r"""Proximal maps, projections and linear minimisers whose results are matrices of a type.

They are maps of the row of parameters, like the norms of `normgrad.calculus.structured`. Where
the embedding is an isometry J and the map F of matrices stays in its range, ``J^* F J`` is the map
and ``J^* DF J`` its derivative, self-adjoint. So it is for blocks on a diagonal, for Hermitian
matrices and unitarily invariant norms, and for a set of positions and norms of entries. Of a matrix
of low rank the map of a unitarily invariant norm has no larger rank; but factors are not unique,
so there the result has a value alone.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Never, cast, final

from normgrad.arithmetic import Array, adjoint, namespace
from normgrad.calculus.by_singular_values import SpectralDerivative, ZeroDerivative
from normgrad.calculus.convex import (
    MapBySingularValues,
    ProjectionByEntries,
    ProjectionBySingularValues,
    ProxByEntries,
    ProxBySingularValues,
    with_zeros,
)
from normgrad.calculus.normalise import restore
from normgrad.calculus.rules import Derivative, ProxRule
from normgrad.calculus.structured import Scaled, is_empty
from normgrad.calculus.structures.base import Parts, State, tolerances_at
from normgrad.calculus.structures.blocks import BlockState, Merged, factorized
from normgrad.calculus.structures.entire import Entire
from normgrad.calculus.structures.factors import spectrum_of
from normgrad.calculus.tolerances import snap_to_zero
from normgrad.factorizations import Spectrum
from normgrad.matrices import (
    BlockDiagonal,
    BlockMatrix,
    Diagonal,
    Embedding,
    Fixed,
    HermitianMatrix,
    LowRank,
    Matrix,
    Sparse,
)
from normgrad.norms import (
    AbsoluteSum,
    EntrywiseNorm,
    Frobenius,
    Norm,
    Spectral,
    UnitarilyInvariantNorm,
)
from normgrad.norms.squared import SquaredGauge, SquaredOfEntries

__all__ = [
    "ONE_BY_ONE",
    "FactoredMap",
    "MapOfStructure",
    "RowDerivative",
    "for_diagonal",
    "not_of_type",
    "not_unique",
    "projection_of_structure",
    "prox_of_structure",
]


@final
@dataclass(frozen=True)
class RowDerivative:
    """The derivative of a map of parameters, in one row, at one matrix."""

    parameters: tuple[Array, ...]
    state: State
    embedding: Embedding

    @property
    def portable(self) -> bool:
        """Whether it may be compiled once for all."""
        return self.embedding.kind.portable(self.embedding.static)

    def __call__(self, E: Array) -> Array:
        direction = self.embedding.at(self.embedding.rows(E))
        A = self.embedding.kind.build(self.parameters, self.embedding.static)
        return self.embedding.row(self.state.apply(A, direction), tuple(E.shape[:-2]))


@dataclass(frozen=True)
class MapOfStructure(ProxRule):
    """A map of matrices as one of parameters in a row; `rule` is that of arrays."""

    rule: Any
    embedding: Embedding

    @property
    def portable(self) -> bool:
        return self.embedding.kind.portable(self.embedding.static)

    def split(self) -> Any:
        arrays, embedding = self.embedding.split()
        return arrays, replace(self, embedding=embedding)

    def joined(self, arrays: tuple[Array, ...]) -> Any:
        return replace(self, embedding=self.embedding.joined(arrays))

    def settled(self, A: Array) -> "MapOfStructure":
        return self

    def name(self) -> str:
        raise NotImplementedError(
            "torch.compile cannot take a matrix type into a compiled graph; call the function "
            "outside the compiled function"
        )

    def at(self, x: Array) -> Matrix:
        """Return the matrix with these parameters."""
        return self.embedding.at(self.embedding.rows(x))

    def row(self, parts: Parts, x: Array) -> Array:
        """Return parameters as one row like x."""
        return self.embedding.row(parts, tuple(x.shape[:-2]))


@final
@dataclass(frozen=True)
class _ByBlocks(MapOfStructure):
    """The lift in each block, of the map of all singular values together."""

    rule: MapBySingularValues

    @property
    def is_complete(self) -> bool:
        return True

    def _mapped(self, A: BlockMatrix, t: Array) -> tuple[list[Spectrum], Merged, Array, Any]:
        tol = tolerances_at(self.rule.norm, A)
        spectra = [factorized(B, tol) for B in A.blocks()]
        merged = Merged([spectrum.s for spectrum in spectra], A.copies)
        s = _with_some_zeros(merged.s, A, self.rule.norm)
        return spectra, merged, s, self.rule.map(s, t)

    def prox(self, x: Array, t: Array) -> Array:
        if is_empty(self.embedding, x):
            return namespace(x).zeros_like(x)
        scaled, t = Scaled.of(self.embedding, x, self.rule.norm).with_step(t, self.rule.norm.degree)
        A = cast(BlockMatrix, scaled.matrix(self.embedding))
        return self._image(A, self._mapped(A, t), scaled, x)

    def linearized(self, x: Array, t: Array) -> tuple[Array, Derivative, Array]:
        if is_empty(self.embedding, x):
            zeros = namespace(x).zeros_like(x)
            return zeros, ZeroDerivative(), zeros
        scaled, t = Scaled.of(self.embedding, x, self.rule.norm).with_step(t, self.rule.norm.degree)
        A = cast(BlockMatrix, scaled.matrix(self.embedding))
        mapped = spectra, merged, s, ((curvature, step), _) = self._mapped(A, t)
        state = BlockState.at(spectra, merged, s, curvature)
        tol = tolerances_at(self.rule.norm, A)
        seen = snap_to_zero(s, tol.rank)
        step = self.rule.in_step(step, t, lambda: self.rule.at_zero(seen, tol.tie))
        whole = scaled.rows[0].without_matrix()
        in_t = self._lifted(A, spectra, merged.split(step), x)
        in_t = restore(in_t, (whole, (self.rule.norm.degree or 1) - 1))
        row = RowDerivative(A.parameters, state, self.embedding)
        derivative = SpectralDerivative(row, whole, 0)
        return self._image(A, mapped, scaled, x), derivative, in_t

    def _image(self, A: BlockMatrix, mapped: Any, scaled: Scaled, x: Array) -> Array:
        spectra, merged, _, ((curvature, _), same) = mapped
        P = self._lifted(A, spectra, merged.split(curvature.g), x)
        P = namespace(x).where(same[..., None, None], self.row(A.parameters, x), P)
        return scaled.restored(P, self.embedding)

    def _lifted(self, A: BlockMatrix, spectra: list[Spectrum], g: list[Array], x: Array) -> Array:
        lifts = [spectrum.lift(part) for spectrum, part in zip(spectra, g, strict=True)]
        return self.row(A.pull_blocks(lifts), x)


@final
@dataclass(frozen=True)
class _ByArray(MapOfStructure):
    """By the array of all entries."""

    rule: ProxRule

    @property
    def is_complete(self) -> bool:
        return True

    def prox(self, x: Array, t: Array) -> Array:
        if is_empty(self.embedding, x):
            return namespace(x).zeros_like(x)
        A = self.at(x)
        return self.row(A.pull_dense(self.rule.prox(A.dense(), t)), x)

    def linearized(self, x: Array, t: Array) -> tuple[Array, Derivative, Array]:
        if is_empty(self.embedding, x):
            zeros = namespace(x).zeros_like(x)
            return zeros, ZeroDerivative(), zeros
        A = self.at(x)
        P, D, in_t = self.rule.linearized(A.dense(), t)
        P, in_t = (self.row(A.pull_dense(y), x) for y in (P, in_t))
        return P, RowDerivative(A.parameters, _Pulled(D), self.embedding), in_t


class _Pulled(NamedTuple):
    """``J^* D J``."""

    D: Derivative

    def apply(self, A: Matrix, direction: Matrix) -> Parts:
        return A.pull_dense(self.D(A.push_dense(direction)))


@final
@dataclass(frozen=True)
class FactoredMap(MapOfStructure):
    """``U diag(g) V^H`` as ``(U diag(sqrt g)) (diag(sqrt g) V^H)``, for triplets of factors."""

    rule: MapBySingularValues

    def prox(self, x: Array, t: Array) -> Array:
        if is_empty(self.embedding, x):
            return namespace(x).zeros_like(x)
        scaled, t = Scaled.of(self.embedding, x, self.rule.norm).with_step(t, self.rule.norm.degree)
        A = scaled.matrix(self.embedding)
        spectrum = spectrum_of(A)
        (curvature, _), same = self.rule.map(_with_some_zeros(spectrum.s, A, self.rule.norm), t)
        xp, r = namespace(x), A.parameters[0].shape[-1]
        root = xp.sqrt(curvature.g[..., : spectrum.s.shape[-1]])
        left, right = (_with_columns(frame.scaled(root), r) for frame in (spectrum.u, spectrum.v))
        P, own = self.row((left, adjoint(right)), x), self.row(A.parameters, x)
        return scaled.restored(xp.where(same[..., None, None], own, P), self.embedding)

    def linearized(self, x: Array, t: Array) -> Never:
        raise not_unique("the proximal map or projection of a LowRank")


def not_of_type(what: str, A: Matrix, norm: Norm, besides: str = "") -> TypeError:
    """Return the error for a type that does not keep what a map of its matrices returns."""
    kind = type(A.matrix if isinstance(A, Fixed) else A).__name__
    return TypeError(
        f"the {what} of a {kind} for the {norm} is not of this type, or is not available. It is "
        "for Diagonal and BlockDiagonal; for Hermitian, PSD and LowRank with unitarily invariant "
        f"norms; for Sparse with 'fro', 1 and inf{besides}. Pass the matrix as an array, "
        "x.dense(); for a sparse array x.toarray() (SciPy), x.to_dense() (PyTorch) or x.todense() "
        "(JAX)"
    )


def not_unique(what: str) -> NotImplementedError:
    """Return the error for the derivative of factors."""
    return NotImplementedError(
        f"{what} is not differentiable, because its factors are not unique; to differentiate, "
        "pass the matrix as an array, x.dense()"
    )


def _with_some_zeros(s: Array, A: Matrix, norm: Norm) -> Array:
    """Return singular values with some of the zeros that A has besides, for a Ky Fan norm."""
    gauge = norm.norm if isinstance(norm, SquaredGauge) else norm
    return with_zeros(s, min(getattr(gauge, "k", 0) + 1, *A.shape[-2:]))


def _with_columns(X: Array, r: int) -> Array:
    """Return X with zero columns added up to r."""
    missing = r - X.shape[-1]
    if not missing:
        return X
    xp = namespace(X)
    return xp.concat([X, *[xp.zeros_like(X[..., :1])] * missing], axis=-1)


def prox_of_structure(A: Matrix, embedding: Embedding, norm: Norm) -> ProxRule:
    """Return the rule for the proximal map of a norm at matrices of a type."""
    return _map(A, embedding, norm, ProxByEntries, ProxBySingularValues, "proximal point")


def projection_of_structure(A: Matrix, embedding: Embedding, norm: Norm) -> ProxRule:
    """Return the rule for the projection on the balls of a norm at matrices of a type."""
    return _map(A, embedding, norm, ProjectionByEntries, ProjectionBySingularValues, "projection")


def _map(
    A: Matrix, embedding: Embedding, norm: Norm, by_entries: Any, by_values: Any, what: str
) -> ProxRule:
    norm = for_diagonal(A, norm)
    inner = norm.norm if isinstance(norm, SquaredOfEntries) else norm
    if isinstance(inner, Frobenius) and isinstance(A, (*ONE_BY_ONE, HermitianMatrix)):
        rule: ProxRule = by_entries(norm)  # the row has the norm of the matrix
        return rule
    if isinstance(norm, SquaredOfEntries) and isinstance(inner, Frobenius):
        norm = SquaredGauge(inner)
    if isinstance(norm, UnitarilyInvariantNorm):
        if isinstance(A, (Diagonal, BlockDiagonal)):
            return _ByBlocks(by_values(norm), embedding)
        if isinstance(A, HermitianMatrix):
            return _ByArray(by_values(norm, "hermitian", verified=True), embedding)
        if isinstance(A, LowRank):
            return FactoredMap(by_values(norm), embedding)
    elif isinstance(A, ONE_BY_ONE) and isinstance(norm, EntrywiseNorm):
        _check_size(A, norm)
        return _ByArray(by_entries(norm), embedding)
    raise not_of_type(what, A, norm)


ONE_BY_ONE = (Diagonal, BlockDiagonal, Sparse)
"""Types whose parameters are entries, at positions where norms of entries leave zeros."""


def for_diagonal(A: Matrix, norm: Norm) -> Norm:
    """Return the spectral norm for what is the same at a diagonal matrix."""
    same = isinstance(A, Diagonal) and isinstance(norm, AbsoluteSum) and norm.largest
    return Spectral() if same else norm


def _check_size(A: Matrix, norm: Norm) -> None:
    verdict = Entire.verdict(A, norm)
    if not verdict.accepted:
        raise ValueError(
            f"the {norm} of a {type(A).__name__} of shape {A.shape} takes an array for its "
            f"proximal map or projection; {verdict.reason}"
        )
