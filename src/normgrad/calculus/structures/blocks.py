r"""Block diagonal matrices: each block is factorized, and the norm sees all singular values.

With ``B_j = U_j diag(s_j) V_j^H`` and the slope mu of the gauge at all singular values together,

    G_j = U_j diag(mu_j) V_j^H.

A direction of the parameters moves the blocks alone. So the derivative is that of the lift
in each block, plus the couplings of all of them, each a rank-one term:

    dG_j = lift'(B_j)[E_j] + sum weight Re<W, E> W_j,    W_j = U_j diag(w_j) V_j^H.
"""

from typing import ClassVar, NamedTuple, final

from normgrad.arithmetic import Array, namespace, phase, real_inner
from normgrad.calculus.lift import LiftDerivative
from normgrad.calculus.structures.base import Parts, Structure, tolerances_at
from normgrad.calculus.tolerances import Tolerances, snap_to_zero
from normgrad.factorizations import Columns, Demand, Spectrum, Verdict, decompose
from normgrad.matrices import BlockMatrix, Matrix
from normgrad.norms import Norm, UnitarilyInvariantNorm

__all__ = ["Blocks"]


@final
class Blocks(Structure):
    """From the singular value decompositions of the blocks."""

    name: ClassVar = "blocks"
    norm: UnitarilyInvariantNorm

    @classmethod
    def verdict(cls, A: Matrix, norm: Norm) -> Verdict:
        if not isinstance(A, BlockMatrix):
            return Verdict(False, "no basis is known in which it is block diagonal")
        if not isinstance(norm, UnitarilyInvariantNorm):
            return Verdict(False, "the norm depends on the basis")
        shapes = [f"{B.shape[-3]} of {B.shape[-2]} x {B.shape[-1]}" for B in A.blocks()]
        return Verdict(True, "it is block diagonal in a known basis: " + _few(shapes))

    def value(self, A: Matrix) -> Array:
        groups, tol = self._blocks(A), tolerances_at(self.norm, A)
        s = [_factorized(B, tol, vectors=False).s for B in groups]
        return self.norm.value(_Merged(s).s)

    def value_and_gradient(self, A: Matrix) -> tuple[Array, Parts]:
        spectra, merged, tol = self._spectra(A)
        seen = snap_to_zero(merged.s, tol)
        mu = merged.split(self.norm.slope(seen, tol.tie))
        G = [spectrum.lift(part) for spectrum, part in zip(spectra, mu, strict=True)]
        return self.norm.value(merged.s), A.pull_blocks(G)  # type: ignore[attr-defined]

    def derivative(self, A: Matrix) -> "_State":
        spectra, merged, tol = self._spectra(A)
        curvature = self.norm.curvature(snap_to_zero(merged.s, tol), tol.tie)
        of = [merged.split(x) for x in (merged.snapped(tol), curvature.g, curvature.slope)]
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
        return _State(tuple(lifts), tuple(couplings))

    def _blocks(self, A: Matrix) -> list[Array]:
        return A.blocks()  # type: ignore[attr-defined]

    def _spectra(self, A: Matrix) -> tuple[list[Spectrum], "_Merged", Tolerances]:
        tol = tolerances_at(self.norm, A)
        spectra = [_factorized(B, tol) for B in self._blocks(A)]
        return spectra, _Merged([spectrum.s for spectrum in spectra]), tol


class _State(NamedTuple):
    lifts: tuple[LiftDerivative, ...]
    couplings: tuple[tuple[Array, tuple[Array, ...]], ...]

    def apply(self, A: Matrix, direction: Matrix) -> Parts:
        E = direction.blocks()  # type: ignore[attr-defined]
        dG = [lift(part) for lift, part in zip(self.lifts, E, strict=True)]
        for weight, W in self.couplings:
            along = 0
            for w, part in zip(W, E, strict=True):
                along = along + namespace(part).sum(real_inner(w, part), axis=-1)
            amount = (weight * along)[..., None, None, None]
            dG = [part + amount * w for part, w in zip(dG, W, strict=True)]
        return A.pull_blocks(dG)  # type: ignore[attr-defined]


class _Merged:
    """The singular values of all blocks, descending, and the way back."""

    def __init__(self, s: list[Array]) -> None:
        xp = namespace(s[0])
        self._shapes = [x.shape for x in s]
        flat = xp.concat([xp.reshape(x, (*x.shape[:-2], -1)) for x in s], axis=-1)
        self._order = xp.argsort(flat, axis=-1, descending=True)
        self.s = xp.take_along_axis(flat, self._order, axis=-1)

    def snapped(self, tol: Tolerances) -> Array:
        return snap_to_zero(self.s, tol)

    def split(self, x: Array) -> list[Array]:
        """Return what belongs to each group of blocks, (..., b, k), from (..., all)."""
        xp = namespace(x)
        flat = xp.take_along_axis(x, xp.argsort(self._order, axis=-1), axis=-1)
        parts, start = [], 0
        for shape in self._shapes:
            stop = start + shape[-2] * shape[-1]
            parts.append(xp.reshape(flat[..., start:stop], shape))
            start = stop
        return parts


def _factorized(B: Array, tol: Tolerances, *, vectors: bool = True) -> Spectrum:
    """Return all singular triplets of each block."""
    xp = namespace(B)
    if B.shape[-2:] == (1, 1):
        d = B[..., 0]
        turn = phase(d)
        turn = xp.where(turn == 0, xp.ones_like(turn), turn)
        return Spectrum(Columns(turn[..., None]), xp.abs(d), Columns(xp.ones_like(turn)[..., None]))
    k = min(B.shape[-2:])
    demand = Demand(k, tol.tie, tol.rank, vectors, complete=vectors)
    if not vectors:
        return Spectrum(None, decompose(B, demand, lambda spectrum: spectrum.s), None)

    def arrays(spectrum: Spectrum) -> tuple[Array, Array, Array]:
        one = xp.ones_like(spectrum.s)
        return spectrum.u.scaled(one), spectrum.s, spectrum.v.scaled(one)

    u, s, v = decompose(B, demand, arrays)
    return Spectrum(Columns(u), s, Columns(v))


def _few(shapes: list[str]) -> str:
    return ", ".join(shapes[:3]) + (f" and {len(shapes) - 3} more" if len(shapes) > 3 else "")
