"""The command line: ``demo``, ``norm``, ``check`` and ``bench``. Install ``normgrad[cli]``."""

import sys

from normgrad.cli.errors import INSTALL

__all__ = ["main"]


def main() -> None:
    """Run the command line on ``sys.argv`` and exit with its status."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError as error:
        print(f"normgrad: {error.name} is missing; {INSTALL}", file=sys.stderr)
        raise SystemExit(1) from None
    from normgrad.cli.app import run

    raise SystemExit(run(sys.argv[1:]))
