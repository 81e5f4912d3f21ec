"""The program as a whole: help, version, wrong options, missing extras."""

import os
import subprocess
import sys

import pytest

import normgrad
from normgrad.cli.app import app
from normgrad.cli.errors import INSTALL, one_line


def test_without_arguments_the_help_is_shown(cli):
    outcome = cli()
    assert outcome.status == 0
    assert outcome.err == ""
    for command in ("demo", "norm", "check", "bench"):
        assert command in outcome.out


def test_there_are_no_other_commands():
    names = {c.callback.__name__ for c in app.registered_commands}
    assert names == {"demo", "norm", "check", "bench"}


@pytest.mark.parametrize("command", ["demo", "norm", "check", "bench"])
def test_every_command_has_help(cli, command):
    outcome = cli(command, "--help")
    assert outcome.status == 0
    assert outcome.err == ""
    assert "Usage" in outcome.out


def test_version(cli):
    outcome = cli("--version")
    assert (outcome.status, outcome.out) == (0, f"normgrad {normgrad.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nonsense"], "nonsense"),
        (["bench", "--repeat", "0"], "--repeat"),
        (["norm"], "FILE"),
        (["norm", "--nonsense"], "--nonsense"),
        (["norm", "a.npy", "b.npy"], "b.npy"),
        (["norm", "a.npy", "--ord"], "--ord"),
        (["--nonsense"], "--nonsense"),
        (["check", "a.npy", "--order", "3"], "--order"),
        (["check", "a.npy", "--order", "two"], "--order"),
        (["demo", "--size", "2"], "--size"),
        (["demo", "--size", "many"], "--size"),
    ],
)
def test_wrong_usage_is_told_in_one_line(cli, arguments, word):
    cli(*arguments).assert_says_once(word, "--help")


@pytest.mark.parametrize(
    ("arguments", "command"),
    [(["norm"], "norm "), (["bench", "--nonsense"], "bench "), (["nonsense"], "")],
)
def test_wrong_usage_points_to_the_help_of_the_command(cli, arguments, command):
    assert cli(*arguments).err.endswith(f"; see normgrad {command}--help\n")


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("module", ["typer", "rich"])
def test_missing_extra_is_told_in_one_line(module):
    code = f"import sys; sys.modules[{module!r}] = None; from normgrad.cli import main; main()"
    done = run_python(code)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == f"normgrad: {module} is missing; {INSTALL}\n"
    assert '"normgrad[cli]"' in done.stderr
    assert '".[cli]"' in done.stderr


def test_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "normgrad.cli", "--version"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, f"normgrad {normgrad.__version__}\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="not a Linux system")
@pytest.mark.parametrize("arguments", [["norm", "a.csv"], ["--version"], ["norm", "--help"]])
def test_output_that_can_not_be_written_is_told_in_one_line(arguments, tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "normgrad.cli", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            cwd=tmp_path,
        )
    assert done.returncode == 2
    assert done.stderr == ("normgrad: the output can not be written (No space left on device)\n")


def test_a_reader_that_stops_reading_is_no_error(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    command = [sys.executable, "-m", "normgrad.cli", "norm", str(tmp_path / "a.csv")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        program.stdout.close()
        assert program.stderr.read() == b""


def test_heavy_modules_are_imported_only_when_needed():
    heavy = "{'matplotlib', 'PIL', 'scipy', 'torch', 'jax', 'autograd'}"
    code = f"import sys, normgrad.cli.app; print(sorted({heavy} & set(sys.modules)))"
    done = run_python(code)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize("module", ["PIL.Image", "scipy.io"])
def test_missing_reader_names_the_extra(cli, monkeypatch, tmp_path, module):
    path = tmp_path / ("a.png" if module == "PIL.Image" else "a.mtx")
    path.write_bytes(b"not empty")
    monkeypatch.setitem(sys.modules, module, None)
    cli("norm", path).assert_says_once(INSTALL)


def test_error_of_the_program_is_told_and_can_be_raised(cli, monkeypatch, tmp_path):
    def broken(*_: object, **__: object) -> None:
        raise KeyError("a\nb")

    path = tmp_path / "a.csv"
    path.write_text("1,2\n3,4\n")
    monkeypatch.setattr(normgrad, "explain", broken)
    monkeypatch.delenv("NORMGRAD_TRACEBACK", raising=False)
    outcome = cli("norm", path)
    assert outcome.status == 2
    assert outcome.err.count("\n") == 1
    assert "KeyError" in outcome.err
    monkeypatch.setenv("NORMGRAD_TRACEBACK", "1")
    with pytest.raises(KeyError):
        cli("norm", path)


def test_interruption_has_its_own_status(cli, monkeypatch, tmp_path):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "a.csv"
    path.write_text("1,2\n3,4\n")
    monkeypatch.setattr(normgrad, "explain", interrupted)
    assert cli("norm", path).status == 130


def test_one_line_removes_breaks_and_cuts():
    assert one_line("a\n  b\r\nc") == "a b c"
    cut = one_line("first" + "x" * 10_000 + "last")
    assert len(cut) < 750
    assert cut.startswith("first")
    assert cut.endswith("last")
