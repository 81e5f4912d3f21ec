"""The commands, and the one place where an error becomes a line and an exit status."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
import typer.main

from normgrad import __version__
from normgrad.cli.bench import bench
from normgrad.cli.check import check
from normgrad.cli.demo import demo
from normgrad.cli.errors import CommandError, one_line
from normgrad.cli.norm import norm

__all__ = ["app", "run"]

_WRONG_USE = 2
_INTERRUPTED = 130

app = typer.Typer(name="normgrad", add_completion=False, pretty_exceptions_enable=False)
for _command in (demo, norm, check, bench):
    app.command()(_command)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"normgrad {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Matrix norms whose gradients are right, of the matrices in your files."""


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit status.

    Parameters
    ----------
    arguments : sequence of str
        As on the command line, without the name of the program; none show the help.

    Returns
    -------
    int
        0, or 1 if a check does not pass or tells nothing, or 2 if the arguments or a file are
        wrong, which one line on the standard error explains.

    Notes
    -----
    With ``NORMGRAD_TRACEBACK=1`` in the environment an error in the program itself is
    raised, not told.
    """
    try:
        status = typer.main.get_command(app).main(
            list(arguments) or ["--help"], prog_name="normgrad", standalone_mode=False
        )
        return status if isinstance(status, int) else 0
    except CommandError as error:
        return _fail(str(error))
    except (typer.Abort, KeyboardInterrupt):
        _fail("interrupted")
        return _INTERRUPTED
    except Exception as error:
        explain = getattr(error, "format_message", None)  # of a usage error, in every typer
        if explain is not None:
            context = getattr(error, "ctx", None)
            command = "normgrad" if context is None else context.command_path
            return _fail(f"{str(explain()).rstrip('.')}; see {command} --help")
        if os.environ.get("NORMGRAD_TRACEBACK"):
            raise
        if isinstance(error, OSError):  # (what goes wrong with a file is a CommandError)
            return _fail(f"the output can not be written ({error.strerror or error})")
        return _fail(
            f"an error of the program: {type(error).__name__}: {error}; please report it, with "
            "what NORMGRAD_TRACEBACK=1 shows"
        )


def _fail(text: str) -> int:
    print(f"normgrad: {one_line(text)}", file=sys.stderr)
    return _WRONG_USE
