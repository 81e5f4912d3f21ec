"""What is printed, apart from the demonstration."""

import os
from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

__all__ = ["console", "facts"]

_WIDTH = 100


def console() -> Console:
    """Return the standard output; 100 columns wide where it has no width of its own."""
    output = Console(highlight=False)
    if not output.is_terminal and "COLUMNS" not in os.environ:
        output.width = _WIDTH
    return output


def facts(lines: Mapping[str, str]) -> None:
    """Print names and what they stand for, below each other, each on one line."""
    width = max(map(len, lines))
    output = console()
    for name, text in lines.items():
        line = Text.assemble((name.ljust(width), "bold"), "  ", text)
        output.print(line, soft_wrap=True)
