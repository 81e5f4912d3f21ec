"""A row measured: ours and the peer's, in turns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normgrad.cli.bench.limits import Limits
from normgrad.cli.bench.memory import peak
from normgrad.cli.bench.peers import duel
from normgrad.cli.bench.rows import Row
from normgrad.cli.bench.samples import sample_of
from normgrad.cli.timing import agree, alternate

__all__ = ["Result", "measure"]

_WITHIN = 1.2
"""Two times that differ by less are none of the stalls that busy cores cause."""


@dataclass(frozen=True)
class Result:
    """What was measured.

    Parameters
    ----------
    row : Row
    ours, peer : float
        Seconds, the best of the turns; of a row of memory, matrices.
    turns : int
        How many each had.
    steady : bool
        Whether each one's two best turns agree.
    cost : float, optional
        Of ours, in the row's unit.
    errors : pair of float, optional
        Of our gradient and of the peer's, relative, in the Frobenius norm, where the exact
        one is known.
    """

    row: Row
    ours: float
    peer: float
    turns: int = 1
    steady: bool = True
    cost: float | None = None
    errors: tuple[float, float] | None = None

    @property
    def ratio(self) -> float:
        """Return the peer's over ours: above 1 if ours is better."""
        return self.peer / self.ours


class _Last:
    """A function whose last result is kept."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.result: Any = None

    def __call__(self) -> None:
        self.result = self.function()


def measure(row: Row, limits: Limits, turns: int) -> Result:
    """Measure a row, in at most so many turns."""
    if row.call == "memory":
        return Result(row, peak(row, "ours"), peak(row, "peer"))
    sample = sample_of(row)
    both = duel(row, sample.x)
    ours, peer = _Last(both.ours), _Last(both.peer)
    times = alternate(
        {"peer": peer, "ours": ours}, turns, sample=0.02, slow=0.3, within=_WITHIN, patience=12.0
    )
    best = min(times["ours"])
    return Result(
        row,
        best,
        min(times["peer"]),
        len(times["ours"]),
        all(agree(seconds, _WITHIN) for seconds in times.values()),
        limits.cost(row, best) if row.unit else None,
        _errors(None if row.call else sample.gradient, ours.result, peer.result),
    )


def _errors(exact: NDArray[Any] | None, *gradients: Any) -> tuple[float, float] | None:
    if exact is None:
        return None
    ours, peer = (
        float(np.linalg.norm(np.asarray(G, dtype=exact.dtype) - exact) / np.linalg.norm(exact))
        for G in gradients
    )
    return ours, peer
