"""Every file in examples/ runs, draws its picture, and reaches what its last line says."""

import operator
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
RELATIONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
CLAIM = re.compile(r"(\S+) ([<>]=?) ([^\s,;]+)")


def holds(claim: tuple[str, str, str]) -> bool:
    """Return whether "value < bound", as it was printed, is true."""
    value, relation, bound = claim
    return RELATIONS[relation](float(value), float(bound))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("result: error 1.2e-3 < 1e-2, gap 1e-5 < 1e-4", [True, True]),
        ("result: error 1.2e-1 < 1e-2", [False]),
        ("result: accuracy nan > 0.5", [False]),
        ("result: accuracy 0.9 >= 0.9, rank 3", [True]),
    ],
)
def test_claims_are_read_and_held(line: str, expected: list[bool]) -> None:
    assert [holds(claim) for claim in CLAIM.findall(line)] == expected


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_reaches_what_it_says(path: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    arguments = [str(picture)] if path.stem.startswith("plot_") else []
    inherited = os.environ.get("PYTHONPATH", "")
    run = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", str(path), *arguments],
        cwd=tmp_path,
        env={
            **os.environ,
            "NORMGRAD_SHORT": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT / "src"), inherited])),
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    *_, last = run.stdout.splitlines()
    if "result: " in path.read_text():  # else there is nothing to be reached, only to be shown
        claims = CLAIM.findall(last)
        assert last.startswith("result: "), last
        assert claims, last
        assert all(holds(claim) for claim in claims), last
    assert [file.name for file in tmp_path.iterdir()] == [Path(p).name for p in arguments]
    assert not arguments or picture.read_bytes().startswith(b"\x89PNG")


def test_the_list_of_examples_is_complete() -> None:
    if not EXAMPLES:
        pytest.skip("not a source checkout")
    listed = set(re.findall(r"\]\((\w+\.py)\)", (ROOT / "examples" / "README.md").read_text()))
    assert listed == {path.name for path in EXAMPLES}
