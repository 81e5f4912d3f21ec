"""``normgrad demo``, once as a program; its parts one by one."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

import normgrad
from normgrad.cli.demo import command
from normgrad.cli.demo.completion import complete, rank_of
from normgrad.cli.demo.peers import PEERS, installed_peers
from normgrad.cli.demo.picture import draw
from normgrad.cli.demo.table import NORMS, Row
from normgrad.cli.demo.terrain import load_terrain
from normgrad.cli.demo.timing import one_thread, race
from normgrad.cli.output import console
from normgrad.testing import check_grad

pytest.importorskip("matplotlib")


def test_the_whole_demo(tmp_path):
    picture = tmp_path / "picture.png"
    environment = {**os.environ, "COLUMNS": "80", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "normgrad.cli", "demo", "--size", "64", "--out", str(picture)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**environment, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
        cwd=tmp_path,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "━" not in done.stdout + done.stderr  # bars of progress are for terminals
    x = load_terrain().elevation
    told = " ".join(done.stdout.split())
    assert told.index("errors: on a sample of it, 58 x 34") < told.index("Frobenius")
    assert "textbook formula on its SVD" in told
    assert "none: no factorization" in told
    assert ("the library lacks" in told) == (set(installed_peers()) > {"NumPy"})
    for name, norm in NORMS.items():
        row = next(line for line in done.stdout.splitlines() if line.lstrip().startswith(name))
        fields = row.split()[len(name.split()) :]
        assert float(fields[0]) == pytest.approx(float(normgrad.matrix_norm(x, norm)), rel=1e-5)
        assert float(fields[1]) < 1e-6
        assert float(fields[2]) < 1e-5
        assert fields[3] == normgrad.explain(x, norm).factorization
        assert len(fields) == 5 + len(installed_peers())
    facts = dict(
        line.split("  ", 1)
        for line in done.stdout.splitlines()
        if line[:1].islower() and "  " in line
    )
    assert "64 x 64" in facts["hidden"]
    assert float(facts["relative error on them"]) < 0.4 * float(facts["with the mean instead"])
    assert os.listdir(tmp_path) == ["picture.png"]
    from matplotlib.image import imread

    pixels = imread(picture)
    assert min(pixels.shape[:2]) > 1000
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 200


def test_picture_tells_the_error_and_the_baseline(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    titles = []

    def save(figure, path, **_: object):
        titles.extend(axes.get_title() for axes in figure.axes)
        path.touch()

    monkeypatch.setattr(Figure, "savefig", save)
    part = load_terrain().middle(20, 20)
    seen = np.eye(20) == 0
    draw(tmp_path / "a.png", part, seen, part.elevation, 20, 0.0421, 0.287)
    assert "Recovered: 4.2% error on hidden pixels; mean fill 29%" in titles


@pytest.mark.parametrize("peers", [("NumPy",), ("NumPy", "PyTorch")])
def test_dash_is_explained_if_there_is_one(monkeypatch, capsys, peers):
    report = check_grad(np.eye(2))
    line = Row("Schatten 3", 1.0, report, "svd", {"normgrad": 1.0, "NumPy": 1.0})
    monkeypatch.setattr(command, "installed_peers", lambda: peers)
    monkeypatch.setattr(command, "rows", lambda *_: iter([line]))
    command._show_norms(load_terrain(), console())
    told = " ".join(capsys.readouterr().out.split())
    assert ("- : the library lacks the norm." in told) == (len(peers) == 2)


def test_terrain():
    terrain = load_terrain()
    assert terrain.elevation.shape == (344, 403)
    assert terrain.elevation.dtype == np.float64
    assert (terrain.elevation.min(), terrain.elevation.max()) == (236, 1076)
    assert 1.2 < terrain.aspect < 1.3
    part = terrain.middle(10, 1000)
    assert part.elevation.shape == (10, 403)
    assert np.array_equal(part.elevation, terrain.elevation[167:177])


@pytest.mark.parametrize("name", NORMS)
def test_peers_compute_the_same(name):
    x = np.random.default_rng(0).standard_normal((9, 6))
    value, gradient = normgrad.value_and_grad(x, NORMS[name])
    pair = PEERS["NumPy"](x, NORMS[name])
    assert pair is not None
    assert pair()[0] == pytest.approx(float(value), rel=1e-12)
    np.testing.assert_allclose(pair()[1], gradient, atol=1e-12)


@pytest.mark.parametrize("name", NORMS)
def test_torch_computes_the_same(name):
    pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal((9, 6))
    value, gradient = normgrad.value_and_grad(x, NORMS[name])
    pair = PEERS["PyTorch"](x, NORMS[name])
    assert (pair is None) == (name in ("Schatten 3", "Ky Fan 5"))
    if pair is not None:
        for _ in range(2):  # gradients do not add up
            got = pair()
            assert float(got[0]) == pytest.approx(float(value), rel=1e-12)
            np.testing.assert_allclose(got[1].numpy(), gradient, atol=1e-12)


JAX = """
import numpy as np, normgrad
from normgrad.cli.demo.peers import PEERS
from normgrad.cli.demo.table import NORMS
x = np.random.default_rng(0).standard_normal((9, 6))
for name, norm in NORMS.items():
    pair = PEERS["JAX"](x, norm)
    assert (pair is None) == (name in ("Schatten 3", "Ky Fan 5"))
    if pair is not None:
        value, gradient = normgrad.value_and_grad(x, norm)
        np.testing.assert_allclose(pair()[0], value, rtol=1e-12)
        np.testing.assert_allclose(pair()[1], gradient, atol=1e-12)
print("the same")
"""


def test_jax_computes_the_same():
    pytest.importorskip("jax")
    # in a process of its own: the demo has JAX compute in float64, from then on
    done = subprocess.run([sys.executable, "-c", JAX], capture_output=True, text=True, timeout=120)
    assert done.stdout == "the same\n", done.stderr


def test_completion_finds_a_matrix_of_low_rank():
    rng = np.random.default_rng(0)
    B = rng.standard_normal((60, 3)) @ rng.standard_normal((3, 50))
    seen = rng.random(B.shape) < 0.6
    objectives = {}
    for last in complete(B, seen):
        objectives.setdefault(last.level, []).append(last.objective(B, seen))
    assert np.linalg.norm((last.X - B)[~seen]) < 0.03 * np.linalg.norm(B[~seen])
    assert rank_of(last.X) == 3
    for level in objectives.values():
        assert level[-1] <= level[0]
    # a minimum: the misfit is a subgradient, of which the gradient on the row and column space
    residual = np.where(seen, B - last.X, 0.0)
    assert normgrad.spectral_norm(residual) <= last.threshold * 1.05


def test_completion_does_not_look_at_hidden_entries():
    B = np.random.default_rng(0).standard_normal((8, 6))
    seen = np.random.default_rng(1).random(B.shape) < 0.6
    first = [iterate.X for iterate in complete(B, seen)]
    second = [iterate.X for iterate in complete(np.where(seen, B, np.nan), seen)]
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_race_lets_contenders_take_turns():
    turns = []

    def contender(name, seconds):
        def run():
            turns.append(name)
            time.sleep(seconds)

        return run

    times = race({"a": contender("a", 0.005), "b": contender("b", 0.015)}, rounds=2)
    assert 0.005 <= times["a"] < times["b"]
    assert [x for x, y in zip(turns, ["", *turns], strict=False) if x != y] == ["a", "b", "a", "b"]


def test_one_thread_leaves_results_alone():
    x = np.random.default_rng(0).standard_normal((40, 30))
    with one_thread():
        inside = np.linalg.norm(x, 2)
    assert inside == pytest.approx(np.linalg.norm(x, 2), rel=1e-12)
