"""Which bounds are numbers."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from normgrad.nn.scaling import check_scaling


@pytest.mark.parametrize(
    "bound", [2, 0.5, np.float32(2), np.int64(2), np.float16(2), Fraction(1, 2)]
)
def test_real_numbers_are_taken(bound: Any) -> None:
    check_scaling(bound, "cap")


@pytest.mark.parametrize(
    ("bound", "error"),
    [
        (True, TypeError), (np.True_, TypeError), ("2", TypeError), (None, TypeError),
        (2j, TypeError), (np.ones(1), TypeError), (np.float32(-1), ValueError),
        (np.int64(0), ValueError), (np.float64("inf"), ValueError), (np.float32("nan"), ValueError),
    ],
)  # fmt: skip
def test_others_are_refused(bound: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="bound must be a positive"):
        check_scaling(bound, "cap")
