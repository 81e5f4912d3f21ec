"""Times of several ways to do the same, under the same conditions: in turns."""

import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence

__all__ = ["agree", "alternate"]

_PAUSE = 0.03
"""Seconds before each turn, for the idle threads of the one before to stop spinning."""


def alternate(
    contenders: Mapping[str, Callable[[], object]],
    turns: int = 5,
    *,
    sample: float = 2e-3,
    slow: float = math.inf,
    limit: float = 3.0,
    within: float = math.inf,
    patience: float = 3.0,
) -> dict[str, list[float]]:
    """Return the seconds that one call of each contender took, turn by turn.

    Parameters
    ----------
    contenders : mapping of str to function
        They take turns, each after a run of its own that does not count.
    turns : int
        How many each has, fewer if they are slow.
    sample : float
        A contender is repeated, in its turn, for about that many seconds.
    slow : float
        What takes that many seconds is run once in its turn, and counts.
    limit : float
        Seconds after which no further round begins,
    within : float
        unless some contender's two best times differ by more than that factor,
    patience : float
        and until so many seconds.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    start = time.perf_counter()
    for turn in itertools.count(1):
        for name, contender in contenders.items():
            times[name].append(_turn(contender, sample, slow))
        elapsed = time.perf_counter() - start
        settled = elapsed > patience or all(agree(t, within) for t in times.values())
        if settled and (turn >= turns or elapsed > limit):
            break
    return times


def agree(times: Sequence[float], within: float) -> bool:
    """Return whether the two best times differ by at most that factor; one alone does not tell."""
    best = sorted(times)[:2]
    return within == math.inf or (len(best) == 2 and best[1] <= within * best[0])


def _turn(contender: Callable[[], object], sample: float, slow: float) -> float:
    time.sleep(_PAUSE)
    first = _seconds(contender, 1)
    if first >= slow:
        return first
    return _seconds(contender, max(1, round(sample / max(first, 1e-9))))


def _seconds(function: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - start) / repeats
