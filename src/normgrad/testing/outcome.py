"""What came of the comparisons of one order of derivatives."""

import math

__all__ = ["TELLING", "Outcome"]

TELLING = 1e-2
"""The relative error that a difference must tell, to count."""


class Outcome:
    """The comparison whose error is the largest beside its tolerance, and the worst estimate.

    Parameters
    ----------
    floor : float
        The relative error that always passes.
    """

    def __init__(self, floor: float) -> None:
        self.error, self.estimate, self.tolerance = 0.0, 0.0, floor
        self._floor, self._worst = floor, (0.0, 0.0)

    def record(self, miss: float, estimate: float, rounding: float, scale: float) -> None:
        """Take note of one comparison: by how much it misses, and what explains that.

        `estimate` is the error that the difference itself may have, and the conditioning of
        what it is compared with; `rounding` bounds that of the dtype; `scale` is what errors
        are relative to. A difference that can not tell fails nothing but what is NaN.
        """
        error, estimate, rounding = (x / (scale or 1.0) for x in (miss, estimate, rounding))
        telling = 10 * estimate <= TELLING
        tolerance = 10 * estimate + rounding + self._floor if telling else math.inf
        worst = (math.inf if math.isnan(error) else error / tolerance, error)
        if not worst <= self._worst:
            self._worst, self.error, self.tolerance = worst, error, tolerance
        self.estimate = max(self.estimate, estimate)
