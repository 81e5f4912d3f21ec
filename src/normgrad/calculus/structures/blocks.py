r"""Block diagonal matrices: each block is factorized, and the norm sees all singular values.

With ``B_j = U_j diag(s_j) V_j^H`` and the slope mu of the gauge at all singular values together,

    G_j = U_j diag(mu_j) V_j^H.

A direction of the parameters moves the blocks alone. So the derivative is that of the lift
in each block, plus the couplings of all of them, each a rank-one term:

    dG_j = lift'(B_j)[E_j] + sum weight Re<W, E> W_j,    W_j = U_j diag(w_j) V_j^H.

For a norm of few leading singular values mu is zero but in those blocks that hold a leading or tied
one, and only they are factorized.
"""

from typing import ClassVar, NamedTuple, cast, final

from normgrad.arithmetic import (
    Array,
    adjoint,
    device,
    namespace,
    phase,
    put,
    read_booleans,
    real,
    real_inner,
    seen,
)
from normgrad.calculus.lift import LiftDerivative
from normgrad.calculus.structures.base import Parts, Structure, norm_of, tolerances_at
from normgrad.calculus.tolerances import Tolerances, snap_to_zero
from normgrad.factorizations import Columns, Demand, Spectrum, Verdict, decompose
from normgrad.matrices import BlockMatrix, Matrix
from normgrad.norms import Curvature, Norm, UnitarilyInvariantNorm

__all__ = ["BlockState", "Blocks", "Merged", "factorized"]

Chosen = list[int] | None
"""Which blocks of an array; None for all."""
_ROUGH = 1e-3
"""The error that norms may have by which blocks are chosen."""


@final
class Blocks(Structure):
    """From the singular value decompositions of the blocks."""

    name: ClassVar = "blocks"
    norm: UnitarilyInvariantNorm

    @classmethod
    def verdict(cls, A: Matrix, norm: Norm) -> Verdict:
        if not isinstance(A, BlockMatrix) or not A.block_shapes:
            return Verdict(False, "no basis is known in which it is block diagonal")
        if not isinstance(norm, UnitarilyInvariantNorm):
            return Verdict(False, "the norm depends on the basis")
        shapes = [f"{b} of {p} x {q}" for b, p, q in A.block_shapes]
        return Verdict(True, "it is block diagonal in a known basis: " + _few(shapes))

    def value(self, A: Matrix) -> Array:
        A = cast(BlockMatrix, A)
        blocks = A.blocks()
        tol, triplets = tolerances_at(self.norm, A), self.norm.triplets(min(A.shape[-2:]))
        values = [
            _leading_values(_taken(B, i), triplets, tol)
            for B, i in zip(blocks, self._chosen(A, blocks), strict=True)
        ]
        return norm_of(self.norm, Merged(values, A.copies).s, A)

    def value_and_gradient(self, A: Matrix) -> tuple[Array, Parts]:
        A, tol = cast(BlockMatrix, A), tolerances_at(self.norm, A)
        blocks = A.blocks()
        chosen = self._chosen(A, blocks)
        spectra = [factorized(_taken(B, i), tol) for B, i in zip(blocks, chosen, strict=True)]
        merged = Merged([spectrum.s for spectrum in spectra], A.copies)
        mu = merged.split(self.norm.slope(snap_to_zero(merged.s, tol.rank), tol.tie))
        lifts = [spectrum.lift(part) for spectrum, part in zip(spectra, mu, strict=True)]
        G = [_placed(x, i, B) for x, i, B in zip(lifts, chosen, blocks, strict=True)]
        return norm_of(self.norm, merged.s, A), A.pull_blocks(G)

    def _chosen(self, A: BlockMatrix, blocks: list[Array]) -> list[Chosen]:
        """Return those blocks that may hold one of the leading singular values, or of their ties.

        Where k values are wanted, those whose norm is not less than the k-th largest of the
        norms, which is no more than the k-th singular value. Norms are had from the eigenvalues
        of ``B^H B``, at half the cost of singular values; of these the largest alone is accurate.
        """
        every: list[Chosen] = [None] * len(blocks)
        triplets = self.norm.triplets(min(A.shape[-2:]))
        largest, count = max(max(B.shape[-2:]) for B in blocks), sum(B.shape[-3] for B in blocks)
        if largest == 1 or 4 * triplets > count:
            return every
        # (LAPACK takes no NaN)
        if not all(seen(namespace(p).all(namespace(p).isfinite(p))) for p in A.parameters):
            return every
        values = [_rough_norms(B) for B in blocks]
        s, tol = Merged(values, A.copies).s, tolerances_at(self.norm, A)
        least = (1 - _ROUGH) * s[..., triplets - 1] - 2 * tol.tie * s[..., 0]
        # (of a batch: those that any of its matrices needs; one at least of each shape)
        chosen: list[Chosen] = []
        for x in values:
            holds = read_booleans(x[..., 0] >= least[..., None])
            if holds is None:
                return every
            b = x.shape[-2]
            chosen.append([j for j in range(b) if any(holds[j::b])] or [0])
        return chosen

    def derivative(self, A: Matrix) -> "BlockState":
        A, tol = cast(BlockMatrix, A), tolerances_at(self.norm, A)
        spectra = [factorized(B, tol) for B in A.blocks()]
        merged = Merged([spectrum.s for spectrum in spectra], A.copies)
        seen = snap_to_zero(merged.s, tol.rank)
        return BlockState.at(spectra, merged, seen, self.norm.curvature(seen, tol.tie))


class BlockState(NamedTuple):
    """The derivative of a lift in each block, and the couplings of all of them."""

    lifts: tuple[LiftDerivative, ...]
    couplings: tuple[tuple[Array, tuple[Array, ...]], ...]

    @classmethod
    def at(
        cls, spectra: list[Spectrum], merged: "Merged", seen: Array, curvature: Curvature
    ) -> "BlockState":
        """Return the derivative of a lift; `seen` are all singular values, as derivatives see them.

        Zeros that the blocks do not have may follow them.
        """
        of = [merged.split(x) for x in (seen, curvature.g, curvature.slope)]
        lifts = []
        for spectrum, s, g, slope in zip(spectra, *of, strict=True):
            none = namespace(s).zeros_like(s)
            own = curvature._replace(g=g, slope=slope, w=none[..., None, :], weight=none[..., :1])
            lifts.append(LiftDerivative.at(spectrum, s, own))
        couplings = []
        for c in range(curvature.w.shape[-2]):
            w = merged.split(curvature.w[..., c, :])
            W = tuple(spectrum.lift(x) for spectrum, x in zip(spectra, w, strict=True))
            couplings.append((curvature.weight[..., c], W))
        return cls(tuple(lifts), tuple(couplings))

    def apply(self, A: Matrix, direction: Matrix) -> Parts:
        A, E = cast(BlockMatrix, A), cast(BlockMatrix, direction).blocks()
        dG = [lift(part) for lift, part in zip(self.lifts, E, strict=True)]
        for weight, W in self.couplings:
            along = 0
            for w, part, copies in zip(W, E, A.copies, strict=True):
                along = along + copies * namespace(part).sum(real_inner(w, part), axis=-1)
            amount = (weight * along)[..., None, None, None]
            dG = [part + amount * w for part, w in zip(dG, W, strict=True)]
        return A.pull_blocks(dG)


class Merged:
    """The singular values of all blocks, descending, as often as there are copies; the way back."""

    def __init__(self, s: list[Array], copies: tuple[int, ...]) -> None:
        xp = namespace(s[0])
        self._shapes, self._copies = [x.shape for x in s], copies
        flat = [xp.reshape(x, (*x.shape[:-2], -1)) for x in s]
        one = (1,) * (flat[0].ndim - 1)
        flat = [xp.tile(x, (*one, times)) for x, times in zip(flat, copies, strict=True)]
        joined = xp.concat(flat, axis=-1)
        self._order = xp.argsort(joined, axis=-1, descending=True)
        self.s = xp.take_along_axis(joined, self._order, axis=-1)

    def split(self, x: Array) -> list[Array]:
        """Return what belongs to each group of blocks, (..., b, k), from (..., all)."""
        xp = namespace(x)
        x = x[..., : self.s.shape[-1]]
        flat = xp.take_along_axis(x, xp.argsort(self._order, axis=-1), axis=-1)
        parts, start = [], 0
        for shape, times in zip(self._shapes, self._copies, strict=True):
            size = shape[-2] * shape[-1]
            parts.append(xp.reshape(flat[..., start : start + size], shape))
            start += times * size
        return parts


def factorized(B: Array, tol: Tolerances) -> Spectrum:
    """Return all singular triplets of each block."""
    xp = namespace(B)
    if 0 in B.shape[-2:]:
        u, v = xp.zeros_like(B[..., :0]), xp.zeros_like(B.mT[..., :0])
        return Spectrum(Columns(u), _no_values(B), Columns(v))
    if B.shape[-2:] == (1, 1):
        d = B[..., 0]
        turn = phase(d)
        turn = xp.where(turn == 0, xp.ones_like(turn), turn)
        return Spectrum(Columns(turn[..., None]), xp.abs(d), Columns(xp.ones_like(turn)[..., None]))

    def arrays(spectrum: Spectrum) -> tuple[Array, Array, Array]:
        one = xp.ones_like(spectrum.s)
        return spectrum.u.scaled(one), spectrum.s, spectrum.v.scaled(one)

    demand = Demand(min(B.shape[-2:]), tol.tie, tol.rank, complete=True)
    u, s, v = decompose(B, demand, arrays)
    return Spectrum(Columns(u), s, Columns(v))


def _leading_values(B: Array, triplets: int, tol: Tolerances) -> Array:
    """Return the leading singular values of each block, so many as there are."""
    if B.shape[-2:] == (1, 1):
        return namespace(B).abs(B[..., 0])
    k = min(triplets, *B.shape[-2:])
    if k == 0:
        return _no_values(B)
    demand = Demand(k, tol.tie, tol.rank, vectors=False)
    return decompose(B, demand, lambda spectrum: spectrum.s[..., :k])


def _no_values(B: Array) -> Array:
    """Return the singular values of empty blocks, (..., b, 0)."""
    return real(namespace(B).zeros_like(B[..., 0, :0] if B.shape[-2] else B[..., :0, 0]))


def _rough_norms(B: Array) -> Array:
    """Return about the norm of each block, (..., b, 1)."""
    xp = namespace(B)
    if 0 in B.shape[-2:]:
        return real(xp.sum(B, axis=(-2, -1))[..., None])
    M = B @ adjoint(B) if B.shape[-2] < B.shape[-1] else adjoint(B) @ B
    theta = xp.linalg.eigvalsh(M)[..., -1:]
    return xp.sqrt(xp.where(theta > 0, theta, 0.0))


def _taken(B: Array, chosen: Chosen) -> Array:
    """Return the chosen blocks."""
    if chosen is None:
        return B
    xp = namespace(B)
    return xp.take(B, xp.asarray(chosen, device=device(B)), axis=-3)


def _placed(G: Array, chosen: Chosen, B: Array) -> Array:
    """Return the chosen blocks among those of B, the others being zero."""
    if chosen is None:
        return G
    xp = namespace(B)
    index = xp.asarray(chosen, device=device(B))
    return put(xp.zeros_like(B), (..., index, slice(None), slice(None)), G)


def _few(shapes: list[str]) -> str:
    return ", ".join(shapes[:3]) + (f" and {len(shapes) - 3} more" if len(shapes) > 3 else "")
