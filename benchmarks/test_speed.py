"""The rows of ``normgrad bench`` under pytest-benchmark: a group for each, ours and the peer."""

import os
from typing import Any

import numpy as np
import pytest

from normgrad.cli.bench.peers import duel, versions
from normgrad.cli.bench.rows import Row, level
from normgrad.cli.bench.samples import sample_of

SIZE = os.environ.get("NORMGRAD_BENCH", "")
ROWS = [row for row in level(SIZE == "quick", SIZE == "full") if row.call != "memory"]


@pytest.mark.parametrize("who", ["ours", "peer"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.name}, {row.library}")
def test_speed(benchmark: Any, row: Row, who: str) -> None:
    """Time one contender of a row."""
    if row.library not in versions():
        pytest.skip(f"{row.library} is not installed")
    benchmark.group, benchmark.name = f"{row.name}, {row.library}", who
    result = benchmark(getattr(duel(row, sample_of(row).x), who))
    result = result.detach() if hasattr(result, "detach") else result
    assert np.isfinite(np.asarray(result)).all()
