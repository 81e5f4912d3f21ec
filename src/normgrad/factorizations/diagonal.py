"""The singular values of a diagonal matrix are the absolute values of its entries."""

from typing import final

from normgrad.arithmetic import Array, namespace, phase
from normgrad.factorizations.base import (
    Coordinates,
    Demand,
    Factorization,
    Outcome,
    Spectrum,
    Verdict,
)
from normgrad.matrices import first_off_diagonal

__all__ = ["DiagonalScan"]


@final
class DiagonalScan(Factorization):
    """No factorization: U holds unit vectors times the phases of the diagonal, V unit vectors."""

    name = "diagonal"
    certain = True

    def verdict(self, A: Array, demand: Demand) -> Verdict:
        row = first_off_diagonal(A)
        if row == -1:
            return Verdict(False, "the entries can not be read: they are traced, or on a device")
        if row is None:
            return Verdict(True, "every entry off the diagonal is zero")
        return Verdict(False, f"there is a nonzero off the diagonal from row {row} on")

    def factorize(self, A: Array, demand: Demand) -> Outcome:
        xp = namespace(A)
        d = xp.linalg.diagonal(A)
        size = xp.abs(d)
        if not demand.vectors:
            s = xp.sort(size, axis=-1, descending=True)
            return Outcome(Spectrum(None, s, None), True, "exact")
        turn = phase(d)
        turn = xp.where(turn == 0, xp.ones_like(turn), turn)
        order = xp.argsort(size, axis=-1, descending=True)
        s = xp.take_along_axis(size, order, axis=-1)
        turn = xp.take_along_axis(turn, order, axis=-1)
        u = Coordinates(order, turn, A.shape[-2])
        v = Coordinates(order, xp.ones_like(turn), A.shape[-1])
        return Outcome(Spectrum(u, s, v), True, "exact")
