"""Every example runs, shortened."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_it_runs(example: Path, tmp_path: Path) -> None:
    """It prints something, and saves a picture where it is told to, and only there."""
    environment = os.environ | {"NORMGRAD_SHORT": "1"}
    done = subprocess.run(
        [sys.executable, str(example), "picture.png"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert {path.name for path in tmp_path.iterdir()} <= {"picture.png"}
