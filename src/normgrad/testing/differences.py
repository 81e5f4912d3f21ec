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
    that they differ by more than that step explains.
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
    return min(tried, key=lambda d: (d.kink, d.error))


def _romberg(f: Callable[[float], Any], step: float, noise: float) -> Difference:
    steps = [step, step / 2, step / 4]
    center = f(0.0)
    plus, minus = [f(h) for h in steps], [f(-h) for h in steps]
    h = steps[-1]
    first = [(p - q) / (2 * h) for p, q, h in zip(plus, minus, steps, strict=True)]
    second = [b + (b - a) / 3 for a, b in pairwise(first)]
    third = second[1] + (second[1] - second[0]) / 15
    error = _size(third - second[1])
    if _size(first[0] - first[1]) < 3 * _size(first[1] - first[2]):
        # halving the step does not divide the error by 4: f is not smooth enough for the
        # scheme, as a Schatten norm at a singular matrix
        error = max(error, 2 * _size(first[1] - first[2]))
    # the second difference over h falls like h where f is smooth, and stays at a kink
    bend = [_size(p - 2 * center + q) / h for p, q, h in zip(plus, minus, steps, strict=True)]
    return Difference(
        third,
        error + 2 * noise / h,
        (center - minus[-1]) / h,
        (plus[-1] - center) / h,
        bend[-1] > 0.75 * bend[-2] and bend[-1] > 100 * noise / h,
    )


def _size(x: Any) -> float:
    return float(np.linalg.norm(np.ravel(x)))
