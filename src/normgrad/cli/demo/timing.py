"""Times of several ways to do the same, on one thread."""

import importlib
import importlib.util
import statistics
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from normgrad.cli.timing import alternate

__all__ = ["LIMITED", "one_thread", "race"]

LIMITED = importlib.util.find_spec("threadpoolctl") is not None
"""Whether `one_thread` does anything."""


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
    with one_thread():
        times = alternate(contenders, rounds)
    return {name: statistics.median(seconds) for name, seconds in times.items()}
