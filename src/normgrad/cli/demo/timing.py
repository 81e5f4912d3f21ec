"""Times of several ways to do the same, under the same conditions."""

import importlib
import importlib.util
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

__all__ = ["LIMITED", "one_thread", "race"]

LIMITED = importlib.util.find_spec("threadpoolctl") is not None
"""Whether `one_thread` does anything."""

_SAMPLE = 2e-3
"""What is faster than this many seconds is repeated until it takes as long."""

_PAUSE = 0.05
"""Seconds before each turn, for the idle threads of the one before to stop spinning."""

_LIMIT = 3.0
"""Seconds after which no further round begins."""


def one_thread() -> AbstractContextManager[Any]:
    """Keep the BLAS and OpenMP libraries that are loaded to one thread, by threadpoolctl.

    At the sizes of the demonstration more threads gain nothing, and on a busy machine they
    wait for each other, up to a hundred times as long. Without threadpoolctl, do nothing.
    """
    if not LIMITED:
        return nullcontext()
    pools = importlib.import_module("threadpoolctl")
    limits: AbstractContextManager[Any] = pools.threadpool_limits(1)
    return limits


def race(contenders: Mapping[str, Callable[[], object]], rounds: int = 5) -> dict[str, float]:
    """Return the median seconds of each contender, all on one thread where possible.

    Parameters
    ----------
    contenders : mapping of str to function
        They take turns, each after a run of its own that does not count.
    rounds : int
        How many turns each has, fewer if they are slow.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    with one_thread():
        start = time.perf_counter()
        for _ in range(rounds):
            for name, contender in contenders.items():
                times[name].append(_turn(contender))
            if time.perf_counter() - start > _LIMIT:
                break
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def _turn(contender: Callable[[], object]) -> float:
    time.sleep(_PAUSE)
    contender()
    repeats = max(1, round(_SAMPLE / max(_seconds(contender, 1), 1e-9)))
    return _seconds(contender, repeats)


def _seconds(function: Callable[[], object], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - start) / repeats
