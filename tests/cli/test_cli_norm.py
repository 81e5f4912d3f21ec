"""``normgrad norm`` on files of every kind."""

import io
import os

import numpy as np
import pytest

import normgrad

A = np.random.default_rng(0).standard_normal((7, 5))
ORDS = {
    "fro": "fro",
    "nuc": "nuc",
    "2": 2,
    "-2": -2,
    "1": 1,
    "-1": -1,
    "inf": np.inf,
    "-inf": -np.inf,
    "NUC": "nuc",
    "schatten:3": normgrad.Schatten(3),
    "schatten:2.5": normgrad.Schatten(2.5),
    "kyfan:4": normgrad.KyFan(4),
}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, A)
    return path


@pytest.mark.parametrize("text", ORDS)
def test_every_ord(cli, saved, text):
    outcome = cli("norm", saved, "--ord", text)
    assert outcome.status == 0
    assert outcome.err == ""
    assert float(outcome.facts["value"]) == float(normgrad.matrix_norm(A, ORDS[text]))
    assert outcome.facts["shape"] == "7 x 5"
    assert outcome.facts["dtype"] == "float64"
    expected = normgrad.explain(A, ORDS[text])
    assert outcome.facts["factorization"] == expected.factorization
    assert outcome.facts["reason"] == expected.reason


def test_gradient_is_written_whole(cli, saved, tmp_path):
    target = tmp_path / "g.npy"
    target.write_text("what was there before")
    outcome = cli("norm", saved, "--ord", "nuc", "--grad", target)
    assert outcome.status == 0
    assert outcome.facts["gradient"] == str(target)
    assert np.array_equal(np.load(target), normgrad.grad(A, "nuc"))
    assert sorted(os.listdir(tmp_path)) == ["a.npy", "g.npy"]


def test_failed_write_leaves_the_old_file(cli, saved, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    target = tmp_path / "g.npy"
    target.write_text("what was there before")
    monkeypatch.setattr(np, "save", full)
    cli("norm", saved, "--grad", target).assert_says_once("No space left")
    assert target.read_text() == "what was there before"
    assert sorted(os.listdir(tmp_path)) == ["a.npy", "g.npy"]


def test_method_is_obeyed(cli, saved):
    assert cli("norm", saved, "--ord", "nuc", "--method", "svd").facts["factorization"] == "svd"


@pytest.mark.parametrize(
    "dtype", ["float32", "float16", ">f8", ">i2", "uint8", "bool", "complex64"]
)
def test_dtypes(cli, tmp_path, dtype):
    path, x = tmp_path / "a.npy", (10 * A).astype(dtype)
    np.save(path, x)
    outcome = cli("norm", path, "--ord", "2")
    native = x.astype(x.dtype.newbyteorder("="))
    assert float(outcome.facts["value"]) == float(normgrad.matrix_norm(native, 2))
    assert outcome.facts["dtype"] == str(native.dtype)


def test_npz_of_one_and_of_several_arrays(cli, tmp_path):
    one, two = tmp_path / "one.npz", tmp_path / "TWO.NPZ"
    np.savez(one, A)
    with two.open("wb") as file:
        np.savez(file, first=A, second=2 * A)
    assert float(cli("norm", one).facts["value"]) == float(normgrad.matrix_norm(A))
    cli("norm", two).assert_says_once("--key", "first, second")
    cli("norm", two, "--key", "third").assert_says_once("'third'", "first, second")
    outcome = cli("norm", two, "--key", "second")
    assert float(outcome.facts["value"]) == float(normgrad.matrix_norm(2 * A))


def test_batch(cli, tmp_path):
    path, x = tmp_path / "a.npy", np.random.default_rng(1).standard_normal((3, 4, 6, 5))
    np.save(path, x)
    outcome = cli("norm", path, "--ord", "nuc")
    values = normgrad.matrix_norm(x, "nuc")
    assert outcome.facts["value"].startswith("12 matrices")
    assert f"{values.max():.6g}" in outcome.facts["value"]
    assert float(outcome.facts["1, 2"]) == values[1, 2]
    assert outcome.facts["..."] == "2 more"
    turned = cli("norm", path, "--ord", "nuc", "--axis", "0,1")
    assert turned.facts["value"].startswith("30 matrices")


def test_empty_matrix_and_empty_batch(cli, tmp_path):
    matrix, batch = tmp_path / "a.npy", tmp_path / "b.npy"
    np.save(matrix, np.zeros((0, 3)))
    np.save(batch, np.zeros((0, 3, 3)))
    assert float(cli("norm", matrix, "--ord", "nuc").facts["value"]) == 0
    assert cli("norm", batch, "--ord", "nuc").facts["value"] == "0 matrices"


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ([np.nan], "1 NaN entry"),
        ([np.nan, np.nan], "2 NaN entries"),
        ([np.nan, np.inf], "1 NaN and 1 infinite entries"),
    ],
)
def test_nan_is_told(cli, tmp_path, bad, words):
    x = A.copy()
    x.flat[: len(bad)] = bad
    path, target = tmp_path / "a.npy", tmp_path / "g.npy"
    np.save(path, x)
    outcome = cli("norm", path, "--ord", "nuc", "--grad", target)
    assert outcome.status == 0
    assert np.isnan(float(outcome.facts["value"]))
    assert words in outcome.facts["note"]
    assert np.isnan(np.load(target)).all()


@pytest.mark.parametrize(
    ("ord", "name"),
    [("nuc", "nuclear norm"), ("1", "largest absolute column sum"), ("kyfan:2", "Ky Fan 2 norm")],
)
def test_norm_is_named_in_words(cli, saved, ord, name):
    assert cli("norm", saved, "--ord", ord).facts["norm"] == name


B = np.array([[1.0, -2.5, 3e4], [4.0, 0.0, 6.0]])


@pytest.mark.parametrize("sparse", [True, False])
def test_matrix_market(cli, tmp_path, sparse):
    scipy_io = pytest.importorskip("scipy.io")
    from scipy.sparse import coo_array

    path = tmp_path / "a.mtx"
    scipy_io.mmwrite(path, coo_array(B) if sparse else B)
    outcome = cli("norm", path, "--ord", "nuc")
    assert outcome.facts["shape"] == "2 x 3"
    assert float(outcome.facts["value"]) == pytest.approx(float(normgrad.matrix_norm(B, "nuc")))


def test_large_matrix_market(cli, tmp_path):
    pytest.importorskip("scipy.io")
    path, dense, sparse = tmp_path / "a.mtx", tmp_path / "g.npy", tmp_path / "g.npz"
    header = "%%MatrixMarket matrix coordinate real general\n"
    path.write_text(header + "1000000 1000000 1\n1 1 2.0\n")
    outcome = cli("norm", path, "--grad", sparse)
    assert float(outcome.facts["value"]) == 2
    assert outcome.facts["note"] == "this is a sparse matrix"
    assert pytest.importorskip("scipy.sparse").load_npz(sparse).data.tolist() == [1]
    cli("norm", path, "--grad", dense).assert_says_once("1000000 x 1000000", "GiB")
    cli("check", path).assert_says_once("1000000 x 1000000", "GiB")
    cli("norm", path, "--ord", "nuc").assert_says_once("2**25")
    path.write_text("%%MatrixMarket matrix array real general\n1000000 1000000\n")
    cli("norm", path).assert_says_once("1000000 x 1000000", "GiB")


def test_sparse_gradient_of_an_array(cli, saved, tmp_path):
    cli("norm", saved, "--grad", tmp_path / "g.npz").assert_says_once("no sparse one", ".npy")


@pytest.mark.parametrize("format", ["csr", "csc", "coo", "bsr", "dia"])
def test_sparse_npz(cli, tmp_path, format):
    sparse = pytest.importorskip("scipy.sparse")
    path = tmp_path / "a.npz"
    sparse.save_npz(path, sparse.coo_array(B).asformat(format))
    outcome = cli("norm", path, "--ord", "nuc")
    assert float(outcome.facts["value"]) == pytest.approx(float(normgrad.matrix_norm(B, "nuc")))
    assert "sparse matrix" in outcome.facts["note"]


def test_sparse_npz_with_faults(cli, tmp_path):
    sparse = pytest.importorskip("scipy.sparse")
    large, damaged = tmp_path / "a.npz", tmp_path / "b.npz"
    sparse.save_npz(large, sparse.coo_array(([1.0], ([0], [0])), shape=(10**6, 10**6)))
    assert float(cli("norm", large).facts["value"]) == 1
    cli("check", large).assert_says_once("1000000 x 1000000", "GiB")
    matrix = sparse.csr_array(B)
    matrix.indices[0] = 10**6
    sparse.save_npz(damaged, matrix)
    cli("norm", damaged).assert_says_once(str(damaged), "damaged")


GREY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_grey_image(cli, tmp_path, suffix):
    image = pytest.importorskip("PIL.Image")
    path = tmp_path / f"a{suffix}"
    image.fromarray(GREY).save(path)
    outcome = cli("norm", path)
    assert outcome.facts["shape"] == "6 x 8"
    assert outcome.facts["dtype"] == "float64"
    assert float(outcome.facts["value"]) == float(normgrad.matrix_norm(GREY.astype(float)))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "CMYK", "1", "I;16", "F", "I"])
def test_modes_of_images(cli, tmp_path, mode):
    image = pytest.importorskip("PIL.Image")
    path = tmp_path / ("a.tif" if mode in ("CMYK", "F", "I") else "a.png")
    if mode == "I;16":
        x = GREY.astype(np.uint16) * 200
        image.fromarray(x).save(path)
    else:
        image.fromarray(GREY).convert(mode).save(path)
        x = (GREY >= 128).astype(float) if mode == "1" else GREY
    outcome = cli("norm", path, "--ord", "inf")
    note = outcome.facts.get("note", "")
    assert ("colour image reduced to grey" in note) == (mode in ("RGB", "RGBA", "P", "CMYK"))
    assert ("transparency" in note) == (mode == "LA")
    expected = float(normgrad.matrix_norm(x.astype(float), np.inf))
    if mode == "1":  # dithered
        assert float(outcome.facts["value"]) <= 8
    else:
        assert float(outcome.facts["value"]) == pytest.approx(expected, rel=1e-12)


def test_jpeg_is_near(cli, tmp_path):
    image = pytest.importorskip("PIL.Image")
    path = tmp_path / "a.jpeg"
    image.fromarray(GREY).save(path, quality=95)
    expected = float(normgrad.matrix_norm(GREY.astype(float)))
    assert float(cli("norm", path).facts["value"]) == pytest.approx(expected, rel=0.02)


def test_pages_are_a_batch(cli, tmp_path):
    image = pytest.importorskip("PIL.Image")
    path = tmp_path / "a.tif"
    image.fromarray(GREY).save(path, save_all=True, append_images=[image.fromarray(GREY // 5)])
    outcome = cli("norm", path)
    assert outcome.facts["shape"] == "2 x 6 x 8"
    assert float(outcome.facts["0"]) == pytest.approx(5 * float(outcome.facts["1"]))


def test_names_with_markup_are_printed_as_they_are(cli, tmp_path):
    path, target = tmp_path / "a [red] b.npy", tmp_path / "g [bold] h.npy"
    np.save(path, A)
    assert cli("norm", path, "--grad", target).facts["gradient"] == str(target)


def test_output_to_a_closed_pipe(saved):
    # what `normgrad norm a.npy | head -0` does
    import subprocess
    import sys

    read, write = os.pipe()
    os.close(read)
    with io.FileIO(write, "w") as out:
        done = subprocess.run(
            [sys.executable, "-m", "normgrad.cli", "norm", str(saved)],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") <= 1
