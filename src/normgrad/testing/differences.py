"""Central differences with an estimate of their own error."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Difference", "central_difference"]

_LARGEST_STEPS = (2.0**-8, 2.0**-14, 2.0**-20)


class Difference(NamedTuple):
    """A derivative by central differences, and the size of its error.

    `backward` and `forward` are the one-sided quotients at the smallest step; `kink` says
    that they differ by more than that step explains, and then `error` is theirs.
    """

    value: Any
    error: float
    backward: Any
    forward: Any
    kink: bool


def central_difference(f: Callable[[float], Any], noise: float) -> Difference:
    """Differentiate f at 0, a function of one real number that varies on the scale 1.

    Romberg's scheme over three steps, halved each time, so of order 6. Its error is
    estimated from its last two columns and from the rounding error of f, `noise`. Small
    steps are tried too, for a kink that is near but not at 0; the smallest error wins.
    """
    tried = [_romberg(f, step, noise) for step in _LARGEST_STEPS]
    smooth = [difference for difference in tried if not difference.kink]
    return min(smooth, key=lambda difference: difference.error) if smooth else tried[-1]


def _romberg(f: Callable[[float], Any], step: float, noise: float) -> Difference:
    steps = [step, step / 2, step / 4]
    center = f(0.0)
    ahead = [(f(h) - center) / h for h in steps]
    behind = [(center - f(-h)) / h for h in steps]
    rounding = 2 * noise / steps[-1]
    first = [(a + b) / 2 for a, b in zip(ahead, behind, strict=True)]
    second = [b + (b - a) / 3 for a, b in pairwise(first)]
    third = second[1] + (second[1] - second[0]) / 15
    error = _size(third - second[1])
    change = _size(first[1] - first[2])
    ratio = _size(first[0] - first[1]) / change if change else 4.0
    if ratio < 3:
        # halving the step does not divide the error by 4: f is not smooth enough for the
        # scheme, as a Schatten norm near a singular matrix. What is left is a geometric series
        error = max(error, change / max(ratio - 1, 0.02))
    # the one-sided quotients meet like h where f is smooth, and stay apart at a kink
    apart = [_size(a - b) for a, b in zip(ahead, behind, strict=True)]
    kink = apart[-1] > 0.75 * apart[-2] and apart[-1] > 50 * rounding
    # where f itself jumps to either side of a mean they are equal, and grow like 1/h
    sizes = [_size(x) for x in first]
    kink |= sizes[-1] > 1.75 * sizes[-2] and sizes[-1] > 50 * rounding
    if kink:
        error = max(_size(ahead[1] - ahead[2]), _size(behind[1] - behind[2]))
    return Difference(third, error + rounding, behind[-1], ahead[-1], kink)


def _size(x: Any) -> float:
    return float(np.linalg.norm(np.ravel(x)))
