"""Running the command line in the process of the tests."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")

from normgrad.cli.app import run


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def facts(self) -> dict[str, str]:
        """Return the printed names and what stands behind them."""
        pairs = (line.split("  ", 1) for line in self.out.splitlines() if "  " in line)
        return {name: text.strip() for name, text in pairs}

    def assert_says_once(self, *words: str) -> None:
        """Assert that the command failed, with one line that has these words."""
        assert self.status != 0
        assert self.out == ""
        assert self.err.count("\n") == 1, self.err
        assert self.err.endswith("\n"), self.err
        assert self.err.startswith("normgrad: "), self.err
        assert "an error of the program" not in self.err, self.err
        for word in words:
            assert word in self.err, self.err


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Return a function that runs the command line with its arguments."""
    monkeypatch.setenv("COLUMNS", "120")

    def command(*arguments: object) -> Outcome:
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return command
