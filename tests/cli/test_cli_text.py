"""Tables in text: what is read, and what is refused rather than guessed."""

import numpy as np
import pytest

import normgrad

A = np.random.default_rng(0).standard_normal((7, 5))
B = np.array([[1.0, -2.5, 3e4], [4.0, 0.0, 6.0]])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "1,-2.5,3e4\n4,0,6\n"),
        ("a.csv", "x,y,z\n1,-2.5,3e4\n4,0,6"),
        ("a.csv", "\ufeff1,-2.5,3e4\r\n4,0,6\r\n"),
        ("a.csv", "1;-2.5;3e4\n4;0;6\n"),
        ("a.csv", '"x, in m","y","z"\n"1","-2.5","3e4"\n4,0,6\n'),
        ("a.CSV", "# measured today\n1,-2.5,3e4  # first\n\n4,0,6\n\n"),
        ("a.tsv", "x\ty\tz\n1\t-2.5\t3e4\n4\t0\t6\n"),
        ("a.txt", "  1   -2.5 3e4\n  4    0   6\n"),
        ("a.txt", "x y z\n1 -2.5 3e4\n4 0 6\n"),
        ("a.txt", "1, -2.5, 3e4\n4, 0, 6\n"),
        ("a.txt", "1 -2.5 3e4\n4\t0\t6\t\n \t\n"),
        ("a.txt", "1\t-2.5 3e4\n4\t0 6\n"),
        ("a.txt", "x (m)\ty (m)\tz (m)\n1\t-2.5\t3e4\n4\t0\t6\n"),
        ("a.txt", '"x (m)" "2 y" z\n1 -2.5 "3e4"\n4 0 6\n'),
        ("a.csv", "1\t-2.5\t3e4\n4\t0\t6\n"),
        ("a.csv", "x;y, in m;z\n1;-2.5;3e4\n4;0;6\n"),
        ("a.csv", "e,x2,x_1\n1,-2.5,3e4\n4,0,6\n"),
    ],
)
def test_text(cli, tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text.encode())
    outcome = cli("norm", path, "--ord", "nuc")
    assert outcome.facts["shape"] == "2 x 3"
    assert float(outcome.facts["value"]) == float(normgrad.matrix_norm(B, "nuc"))
    named = text.lstrip()[0] in '"xe'
    assert outcome.facts.get("note") == ("line 1 taken as column names" if named else None)


@pytest.mark.parametrize("text", ["1+2j,2+1j\n3,4\n", " (1e0+2j),(2+1j)\n3,4\n"])
def test_complex_text(cli, tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text)
    outcome = cli("norm", path, "--ord", "nuc")
    x = np.array([[1 + 2j, 2 + 1j], [3, 4]])
    assert float(outcome.facts["value"]) == float(normgrad.matrix_norm(x, "nuc"))
    assert outcome.facts["dtype"] == "complex128"


@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("delimiter", [" ", ",", ";", "\t"])
def test_text_that_numpy_writes(cli, tmp_path, delimiter, dtype):
    path, x = tmp_path / "a.txt", A - (1j * A[::-1] if dtype is complex else 0)
    np.savetxt(path, x, delimiter=delimiter, header="a b c")
    assert float(cli("norm", path).facts["value"]) == float(normgrad.matrix_norm(x))


def test_text_with_nan_is_no_names(cli, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("nan,inf\n1,2\n")
    outcome = cli("norm", path)
    assert outcome.facts["shape"] == "2 x 2"
    assert outcome.facts["note"].startswith("1 NaN and 1 infinite")


def test_text_of_one_column_is_a_matrix(cli, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("3\n4\n")
    outcome = cli("norm", path, "--ord", "2")
    assert outcome.facts["shape"] == "2 x 1"
    assert float(outcome.facts["value"]) == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2\n3,abc\n", ["line 2, column 2", "'abc'"]),
        ("x,y\n1,2\n3,4,5\n", ["line 3 has 3 columns", "line 1 has 2"]),
        ("1,2\n3,\n", ["line 2, column 2 is empty", "nan"]),
        ("name,1\n2,3\n", ["line 1, column 1", "'name'"]),
        ("x,y\n", ["no numbers"]),
        ("# only a remark\n", ["no numbers"]),
        ("1,0x10\n3,4\n", ["0x10"]),
    ],
)
def test_text_with_faults(cli, tmp_path, text, words):
    path = tmp_path / "a.csv"
    path.write_text(text)
    cli("norm", path).assert_says_once(*words)


@pytest.mark.parametrize(
    ("suffix", "text", "words"),
    [
        (".csv", "1,2\n3\n", ["line 2 has 1 column,", "line 1 has 2"]),
        (".csv", "1,2\n3\n4\n5\n", ["line 1 has 2 columns", "line 2 has 1"]),
        (".csv", "1,2\n3,4\n5\n", ["line 3 has 1 column,", "line 1 has 2"]),
        (".csv", "title\n1,2\n3,4\n", ["line 1 has 1 column,", "line 2 has 2"]),
        (".csv", "1;2\n3,4\n", ["line 2 is separated by commas", "line 1 by semicolons"]),
        (".csv", "1,2\n3,4\n5;6\n", ["line 3 is separated by semicolons", "line 1 by commas"]),
        (".csv", "1,5\n2\n3\n", ["line 1 has 2 columns", "point"]),
        (".csv", "1,5;2,5\n3,5;4,5\n", ["line 1, column 1: '1,5'", "point"]),
        (".csv", "1 2\n3 4\n", ["line 1, column 1: '1 2'", "commas"]),
        (".csv", "NA,NA\n1,2\n3,4\n", ["line 1, column 1 is NA", "nan"]),
        (".csv", "x,y\n1,n/a\n", ["line 2, column 2 is n/a", "nan"]),
        (".csv", ",\n1,2\n", ["line 1, column 1 is empty", "nan"]),
        (".csv", ",x\n0,1\n", ["line 1, column 1 is empty"]),
        (".csv", '"",x\n0,1\n', ["line 1, column 1 is empty"]),
        (".csv", "x,y\n1,2\n3,\n", ["line 3, column 2 is empty"]),
        (".csv", "1_000,1\n1,1\n", ["line 1, column 1: '1_000'"]),
        (".csv", "%,1a\n1,1\n", ["line 1, column 1: '%'"]),
        (".csv", "i,j,nan\n1,1,1\n", ["line 1, column 1: 'i'"]),
        (".csv", "1,2\nx,y\n", ["line 2, column 1: 'x'", "first line"]),
        (".csv", "1,2\n\t\n3,4\n", ["line 2"]),
        (".tsv", "1,2\n3,4\n", ["line 1, column 1: '1,2'", "tabs"]),
        (".tsv", "1\t2\n\t\n3\t4\n", ["line 2, column 1 is empty"]),
        (".txt", "1,000 2,000\n3 4\n", ["line 1, column 1: '1,000'", "thousands"]),
        (".txt", "1,2\n3,4,5\n", ["line 2 has 3 columns"]),
        (".txt", "1 2\n3,4\n", ["line 1 is separated by white space", "line 2 by commas"]),
        (".txt", "1\t\t3\n4\t\t6\n", ["line 1, column 2 is empty"]),
        (".txt", "1 2 3\n4 5\n6 7 8\n", ["line 2 has 2 columns", "line 1 has 3"]),
    ],
)
def test_text_that_is_no_table(cli, tmp_path, suffix, text, words):
    path = tmp_path / f"a{suffix}"
    path.write_text(text)
    cli("norm", path).assert_says_once(*words)


def test_text_in_another_encoding(cli, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("1,2\n3,4\n", encoding="utf-16")
    cli("norm", path).assert_says_once("UTF-8")
