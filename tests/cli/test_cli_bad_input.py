"""Every kind of bad file and bad option: one clear line, a status, no traceback."""

import pickle
import zipfile

import numpy as np
import pytest


@pytest.fixture(params=["norm", "check"])
def command(request, cli):
    return lambda *arguments: cli(request.param, *arguments)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "good.npy"
    np.save(path, np.eye(3) + 1)
    return path


def test_missing_file(command, tmp_path):
    command(tmp_path / "none.npy").assert_says_once("none.npy", "no such file")


def test_folder(command, tmp_path):
    folder = tmp_path / "folder.npy"
    folder.mkdir()
    command(folder).assert_says_once("is a folder")


def test_part_of_the_path_is_a_file(command, saved):
    command(saved / "x.npy").assert_says_once("can not be opened")


def test_name_too_long(command):
    command("x" * 5000 + ".npy").assert_says_once("can not be opened")


def test_device(command):
    command("/dev/null").assert_says_once("not an ordinary file")
    command("-").assert_says_once("standard input is not an ordinary file")


@pytest.mark.parametrize("name", ["a.mat", "a", "a.npy.gz"])
def test_wrong_suffix(command, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"something")
    command(path).assert_says_once(name, "not known", ".npy", ".csv", ".png")


SUFFIXES = [".npy", ".npz", ".csv", ".tsv", ".txt", ".mtx", ".png", ".jpg", ".tif", ".bmp"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_empty_file(command, tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.touch()
    command(path).assert_says_once("empty")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("content", [b"\x00\xff\xfe garbage \n\n" * 9, b"hello\nworld\n", b"\n"])
def test_garbage(command, tmp_path, suffix, content):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    command(path).assert_says_once(str(path))


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".png", ".tif", ".bmp", ".jpg"])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_cut_off(command, tmp_path, suffix, part):
    path = tmp_path / f"a{suffix}"
    x = np.random.default_rng(0).integers(0, 255, (40, 30)).astype(np.uint8)
    if suffix == ".npy":
        np.save(path, x)
    elif suffix == ".npz":
        np.savez_compressed(path, x=x)
    else:
        pytest.importorskip("PIL.Image").fromarray(x).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    command(path).assert_says_once(str(path))


def test_damaged_inside_npz(command, tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).standard_normal((40, 30)))
    content = bytearray(path.read_bytes())
    content[200:300] = bytes(100)
    path.write_bytes(content)
    command(path).assert_says_once(str(path), "damaged")


def test_npy_that_claims_to_be_huge(command, tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((10, 10)))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"(10, 10), }      ", b"(9999999, 999999)}"[:17]))
    command(path).assert_says_once(str(path))


def test_objects_and_pickles_are_refused(command, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    objects, archive, bare = tmp_path / "a.npy", tmp_path / "b.npz", tmp_path / "c.npy"
    array = np.empty((2, 2), dtype=object)
    array[:] = Bomb()
    np.save(objects, array, allow_pickle=True)
    np.savez(archive, x=array)
    bare.write_bytes(pickle.dumps(Bomb()))
    for path in (objects, archive, bare):
        command(path).assert_says_once("can run code", "np.save")


def test_npz_without_arrays(command, tmp_path):
    empty, other = tmp_path / "a.npz", tmp_path / "b.npz"
    np.savez(empty)
    with zipfile.ZipFile(other, "w") as file:
        file.writestr("readme.txt", "hello")
    command(empty).assert_says_once("no arrays")
    command(other).assert_says_once("not one of NumPy arrays")


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.arange(3.0), ["vector of 3", "two axes"]),
        (np.array(3.0), ["one number", "two axes"]),
        (np.array([["a", "b"]]), ["text"]),
        (np.array([[b"a", b"b"]]), ["bytes"]),
        (np.zeros((2, 2), "M8[s]"), ["dates"]),
        (np.zeros((2, 2), [("a", float)]), ["records"]),
        (np.zeros((2, 2), np.longdouble), ["convert"]),
    ],
)
def test_arrays_that_are_no_matrices(command, tmp_path, x, words):
    path = tmp_path / "a.npy"
    np.save(path, x)
    if x.dtype == np.float64 and x.ndim == 2:
        pytest.skip("long double is float64 here")
    command(path).assert_says_once(*words)


@pytest.mark.parametrize(
    "text",
    [
        "%%MatrixMarket matrix coordinate real general\n2 2 1\n5 5 1.0\n",
        "%%MatrixMarket matrix coordinate real general\n2 2 3\n1 1 1.0\n",
        "%%MatrixMarket matrix coordinate real general\n2 2 1\n1 1 abc\n",
        "%%MatrixMarket matrix array real general\n2 2\n1.0\n",
        "%%MatrixMarket matrix coordinate real general\n",
        "%%MatrixMarket vector coordinate real general\n2 1\n1 1.0\n",
    ],
)
def test_matrix_market_with_faults(command, tmp_path, text):
    pytest.importorskip("scipy.io")
    path = tmp_path / "a.mtx"
    path.write_text(text)
    command(path).assert_says_once(str(path))


def test_image_with_too_many_pixels(command, tmp_path, monkeypatch):
    image = pytest.importorskip("PIL.Image")
    path = tmp_path / "a.png"
    image.fromarray(np.zeros((20, 20), np.uint8)).save(path)
    for limit in (300, 100):  # pillow warns above the limit, and raises above twice the limit
        monkeypatch.setattr(image, "MAX_IMAGE_PIXELS", limit)
        command(path).assert_says_once(f"more than {limit} pixels")


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        ("--ord", "nonsense", ["nonsense", "fro", "schatten:P", "kyfan:K"]),
        ("--ord", "3", ["schatten:3"]),
        ("--ord", "", ["fro"]),
        ("--ord", "nuc:2", ["not a norm"]),
        ("--ord", "schatten", ["schatten:3"]),
        ("--ord", "schatten:x", ["a number"]),
        ("--ord", "schatten:0.5", ["at least 1"]),
        ("--ord", "schatten:nan", ["at least 1"]),
        ("--ord", "kyfan:2.5", ["whole number"]),
        ("--ord", "kyfan:0", ["0"]),
        ("--ord", "kyfan:9", ["9"]),
        ("--method", "nonsense", ["nonsense", "svd"]),
        ("--axis", "0", ["two integers"]),
        ("--axis", "0,x", ["two integers"]),
        ("--axis", "0,1,2", ["two integers"]),
        ("--axis", "0,5", ["5"]),
        ("--axis", "1,1", ["differ"]),
        ("--key", "x", ["--key"]),
    ],
)
def test_bad_options(command, saved, option, text, words):
    command(saved, option, text).assert_says_once(*words)


def test_method_that_has_no_place(command, saved):
    command(saved, "--ord", "1", "--method", "svd").assert_says_once("method")


def test_bad_targets_of_the_gradient(cli, saved, tmp_path):
    def target(path):
        return cli("norm", saved, "--grad", path)

    before = saved.read_bytes()
    target(tmp_path / "g.csv").assert_says_once("--grad", ".npy")
    target(tmp_path / "none" / "g.npy").assert_says_once("--grad", "no folder")
    target(saved).assert_says_once("--grad", "another name")
    (tmp_path / "folder.npy").mkdir()
    target(tmp_path / "folder.npy").assert_says_once("--grad", "not a file")
    assert saved.read_bytes() == before


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_check_needs_finite_numbers(cli, tmp_path, bad):
    path = tmp_path / "a.npy"
    np.save(path, np.array([[1.0, bad], [2.0, 3.0]]))
    cli("check", path).assert_says_once("NaN or inf")


def test_bad_targets_of_the_picture(cli, tmp_path):
    cli("demo", "--out", tmp_path / "a.txt").assert_says_once("--out", ".png")
    cli("demo", "--out", tmp_path / "none" / "a.png").assert_says_once("--out", "no folder")


def test_part_larger_than_the_raster(cli, tmp_path):
    pytest.importorskip("matplotlib")
    outcome = cli("demo", "--out", tmp_path / "a.png", "--size", "345")
    outcome.assert_says_once("--size 345", "344 x 403", "at most 344")
