"""``normgrad bench``: its table, JSON and picture; its parts one by one. No time decides a test."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from normgrad.cli import timing
from normgrad.cli.bench import command
from normgrad.cli.bench.limits import Limits
from normgrad.cli.bench.measure import Result, measure
from normgrad.cli.bench.peers import CALLS, MODULES, duel
from normgrad.cli.bench.picture import _APART, _spread, draw, shown
from normgrad.cli.bench.rows import ORDS, ROWS, Row, level
from normgrad.cli.bench.samples import SAMPLES, sample_of
from normgrad.cli.bench.table import Grid

ROOT = Path(__file__).parents[2]
LIMITS = Limits({"float64": 1e9, "float32": 2e9}, 1e8)
LIBRARIES = [
    pytest.param(library, marks=pytest.mark.skipif(library not in command.versions(), reason=""))
    for library in MODULES
]


@pytest.fixture
def quick_limits(monkeypatch):
    monkeypatch.setattr(command, "measure_limits", lambda _: LIMITS)


@pytest.mark.usefixtures("quick_limits")
def test_table_json_and_picture(cli, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    results, picture = tmp_path / "a.json", tmp_path / "a.png"
    outcome = cli(
        "bench", "--quick", "--only", "nuclear 128 pytorch", "--json", results, "--picture", picture
    )
    assert outcome.status == 0, outcome.err
    assert outcome.err == ""
    lines = [line.split() for line in outcome.out.splitlines() if line.startswith("nuclear")]
    assert [line[:4] for line in lines] == [["nuclear", "128", "float64", "PyTorch"]]
    assert lines[0][8:] == ["products", "-", "-"]
    told = json.loads(results.read_text())
    assert told["machine"]["CPUs"] == os.cpu_count()
    assert told["versions"]["NumPy"] == np.__version__
    assert told["limits"]["flops"].keys() == {"float64", "float32"}
    (row,) = told["rows"]
    assert (row["name"], row["library"]) == ("nuclear 128 float64", "PyTorch")
    assert row["shape"] == [128, 128]
    assert row["call"] == "value and gradient"
    assert row["ratio"] == pytest.approx(row["peer"] / row["ours"])
    assert row["turns"] >= 2
    from matplotlib.image import imread

    pixels = imread(picture)
    assert min(pixels.shape[:2]) > 500
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 50
    assert sorted(os.listdir(tmp_path)) == ["a.json", "a.png"]


@pytest.mark.usefixtures("quick_limits")
def test_memory(cli, tmp_path):
    pytest.importorskip("torch")
    results = tmp_path / "a.json"
    outcome = cli("bench", "--quick", "--only", "memory", "--json", results)
    assert outcome.status == 0, outcome.err
    rows = json.loads(results.read_text())["rows"]
    assert rows
    for row in rows:
        assert row["measured in"] == "matrices"
        assert 0.5 < row["ours"] < 50  # a gradient, at least
        assert 0.5 < row["peer"] < 50


def test_unknown_words(cli):
    cli("bench", "--only", "spectrel").assert_says_once(
        "--only spectrel", "'spectral 128 float64'", *ORDS, *filter(None, SAMPLES), *MODULES
    )


def test_calls_are_told_once(cli):
    assert cli("bench", "--only", "spectrel").err.count("Hessian product again") == 1


@pytest.mark.parametrize(("width", "last"), [(70, "error"), (60, "our cost"), (50, "ratio")])
def test_a_narrow_table_has_fewer_columns_and_cuts_none(width, last, capsys):
    grid = Grid(ROWS, "ms", width)
    result = Result(ROWS[0], 1.0, 2.0, cost=3.0, errors=(1e-15, 1e-16))
    output = Console(width=width, file=sys.stdout)
    output.print(grid.head())
    output.print(grid.line(result))
    out = capsys.readouterr().out
    assert "…" not in out
    assert out.splitlines()[1].endswith(last)


def test_library_that_is_missing(cli, monkeypatch):
    monkeypatch.setattr(command, "versions", lambda: {"NumPy": "2"})
    cli("bench", "--only", "jax").assert_says_once("JAX", "install")


def test_options_that_contradict(cli):
    cli("bench", "--quick", "--full").assert_says_once("--quick and --full")


@pytest.mark.parametrize(("option", "name"), [("--json", "a.json"), ("--picture", "a.png")])
def test_unwritable(cli, tmp_path, option, name):
    cli("bench", option, tmp_path / "none" / name).assert_says_once(option, "no folder")
    cli("bench", option, tmp_path / "a.txt").assert_says_once(option, "must end in")


def test_picture_without_points(cli, tmp_path):
    cli("bench", "--only", "Frobenius", "--picture", tmp_path / "a.png").assert_says_once(
        "--picture"
    )
    assert os.listdir(tmp_path) == []


def test_rows_are_what_the_tables_have():
    for rows in (level(), level(quick=True), level(full=True)):
        assert len({(row.name, row.library) for row in rows}) == len(rows)
        for row in rows:
            assert row.norm in ORDS
            assert row.matrix in SAMPLES
            assert (row.library, row.call) in CALLS
            assert row.library in MODULES
    assert set(level()) < set(level(full=True)) == set(ROWS)
    assert all(np.prod(row.shape) <= 512**2 for row in level(quick=True))
    quick = {(row.norm, row.matrix, row.library, row.call) for row in level(quick=True)}
    lost = {(row.norm, row.matrix, row.library, row.call) for row in ROWS} - quick
    assert lost == {("spectral", "", "PyTorch", "memory")}


@pytest.mark.parametrize(
    ("row", "name", "unit"),
    [
        (Row("spectral", (2048, 2048)), "spectral 2048 float64", "products"),
        (Row("nuclear", (90, 70), "rank 20"), "nuclear 90 x 70 rank 20 float64", "products"),
        (Row("nuclear", (10000, 4, 4)), "nuclear 10000 of 4 x 4 float64", "passes"),
        (Row("Frobenius", (90, 90), call="value"), "Frobenius 90 float64, value", "passes"),
        (Row("nuclear", (4, 4)), "nuclear 4 float64", ""),
    ],
)
def test_name_and_unit(row, name, unit):
    assert (row.name, row.unit) == (name, unit)


def test_cost_is_time_over_what_the_machine_needs():
    assert LIMITS.cost(Row("nuclear", (500, 100)), 1.0) == pytest.approx(1e9 / (2 * 500 * 100**2))
    assert LIMITS.cost(Row("induced 1", (500, 100)), 1.0) == pytest.approx(1e8 / (8 * 500 * 100))


@pytest.mark.parametrize("matrix", [name for name in SAMPLES if name])
def test_samples_have_the_gradient_they_say(matrix):
    norm = "spectral" if matrix in ("decaying", "double tie") else "nuclear"
    sample = sample_of(Row(norm, (60, 60), matrix))
    x, G = sample.x, sample.gradient
    s = np.linalg.svd(x, compute_uv=False)
    sigma = np.linalg.svd(G, compute_uv=False)
    np.testing.assert_allclose(np.sum(G * x), s[0] if norm == "spectral" else s.sum(), rtol=1e-12)
    expected = {"decaying": [1], "double tie": [0.5, 0.5], "rank 20": [1] * 20}
    r = len(expected.get(matrix, s))
    np.testing.assert_allclose(sigma[:r], expected.get(matrix, np.ones(60)), atol=1e-12)
    np.testing.assert_allclose(sigma[r:], 0, atol=1e-12)
    if matrix == "condition 1e10":
        assert s[0] / s[-1] == pytest.approx(1e10, rel=1e-3)
    else:
        gap = {"decaying": s[1] * 2**0.5, "double tie": s[1], "rank 20": s[0]}[matrix]
        assert gap == pytest.approx(s[0], rel=1e-12)


SMALL = {
    (row.norm, row.matrix, row.library, row.call): replace(
        row, shape=(*(3 for _ in row.shape[:-2]), *((24, 24) if row.matrix else (9, 6)))
    )
    for row in ROWS
    if row.matrix not in ("double tie", "rank 20") and len(row.shape) == 2
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_contenders_compute_the_same(library):
    rows = [row for row in SMALL.values() if row.library == library]
    assert rows
    for row in rows:
        both = duel(row, sample_of(row).x)
        for _ in range(2):  # nothing adds up
            ours, peer = (np.asarray(_detached(call())) for call in both)
            tolerance = 1e-4 if row.dtype == "float32" or row.matrix == "condition 1e10" else 1e-9
            np.testing.assert_allclose(ours, peer, atol=tolerance, err_msg=row.name)


def _detached(x):
    return x.detach() if hasattr(x, "detach") else x


@pytest.mark.parametrize("matrix", ["decaying", "double tie", "rank 20"])
def test_errors_are_held_against_the_exact_gradient(matrix):
    norm = "nuclear" if matrix == "rank 20" else "spectral"
    result = measure(Row(norm, (40, 40), matrix, library="NumPy"), LIMITS, 1)
    assert result.errors[0] < 1e-12
    assert (result.errors[1] > 0.1) == (matrix != "decaying")


def scripted(monkeypatch, **seconds):
    """Let the turns of each contender take what is written."""
    turns = {name: iter(times) for name, times in seconds.items()}
    monkeypatch.setattr(timing, "_turn", lambda name, *_: next(turns[name]))
    return {name: name for name in seconds}


def test_turns_go_on_until_two_agree(monkeypatch):
    stalled = [5.0, 3.0, 1.0, 1.1, 9.0]
    contenders = scripted(monkeypatch, a=stalled, b=[1.0] * 5)
    assert timing.alternate(contenders, 2, within=1.2)["a"] == stalled[:4]
    contenders = scripted(monkeypatch, a=stalled, b=[1.0] * 5)
    assert timing.alternate(contenders, 2)["a"] == stalled[:2]
    contenders = scripted(monkeypatch, a=stalled, b=[1.0] * 5)
    assert timing.alternate(contenders, 5, limit=-1.0)["a"] == stalled[:1]
    contenders = scripted(monkeypatch, a=stalled, b=[1.0] * 5)
    assert timing.alternate(contenders, 2, within=1.2, patience=-1.0)["a"] == stalled[:2]


@pytest.mark.parametrize(
    ("times", "steady"), [([1.0], False), ([1.0, 1.3], False), ([9.0, 1.0, 1.1], True)]
)
def test_agreement(times, steady):
    assert timing.agree(times, 1.2) == steady


@pytest.mark.parametrize("steady", [True, False])
def test_ratio_of_turns_that_disagree_is_marked(monkeypatch, capsys, steady):
    row = Row("spectral", (512, 512), library="NumPy")
    result = Result(row, 0.01, 0.05, 5, steady, 12.0, (1e-15, 2e-14))
    monkeypatch.setattr(command, "measure", lambda *_: result)
    command._show([row], LIMITS, 2)
    (line,) = (x for x in capsys.readouterr().out.splitlines() if x.startswith("spectral"))
    ratio = "5.00" if steady else "~5.00"
    numbers = f"10.0 50.0 {ratio} 12.0 products 1e-15 2e-14"
    assert line.split() == ["spectral", "512", "float64", "NumPy", *numbers.split()]


def test_labels_lie_apart_and_in_order():
    placed = _spread([0.1, 0.1, 0.11, 0.97, 0.99, 1.0])
    assert np.diff(placed).min() > 0.99 * _APART
    assert 0 < placed[0] < placed[-1] <= 1


def test_picture_names_every_line(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    names = []

    def save(figure, path, **_):
        names.extend(text.get_text() for axes in figure.axes for text in axes.texts)
        path.touch()

    monkeypatch.setattr(Figure, "savefig", save)
    rows = [row for row in level() if shown(row)]
    draw(tmp_path / "a.png", [Result(row, 1.0 + i, 2.0 + i) for i, row in enumerate(rows)])
    assert len(names) == len(set(names)) + 4  # those of PyTorch are in both panels
    assert {"spectral, normgrad in PyTorch", "nuclear, JAX"} < set(names)


def test_benchmarks_folder_runs():
    pytest.importorskip("pytest_benchmark")
    if not (ROOT / "benchmarks").is_dir():
        pytest.skip("not a source checkout")
    alone = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "benchmarks", "--benchmark-only", "-k", "128 and PyTorch"],
        capture_output=True, text=True, timeout=300, cwd=ROOT,
        env={**alone, "NORMGRAD_BENCH": "quick", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "benchmark 'spectral 128 float32, PyTorch': 2 tests" in done.stdout
