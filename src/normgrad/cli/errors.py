"""What goes wrong in the hands of a user, and how it is told: one line."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

__all__ = ["INSTALL", "CommandError", "needed", "one_line", "told"]

INSTALL = 'pip install "normgrad[cli]", or in a checkout pip install ".[cli]"'

_LONGEST = 700


class CommandError(Exception):
    """A mistake in the arguments or in a file. Its text says what was got and what to do."""


def one_line(text: str) -> str:
    """Return the text without line breaks, and without its middle if it is too long to read."""
    line, half = " ".join(text.split()), _LONGEST // 2
    return line if len(line) <= _LONGEST else f"{line[:half]} ... {line[-half:]}"


@contextmanager
def told(prefix: str = "") -> Iterator[None]:
    """Turn the library's account of a wrong argument into a `CommandError`."""
    try:
        yield
    except (ValueError, TypeError, NotImplementedError) as error:
        raise CommandError(f"{prefix}{error}") from error
    except MemoryError as error:
        raise CommandError(f"{prefix}not enough memory; take a smaller matrix") from error


def needed(module: str) -> ModuleType:
    """Import a module of the extra ``cli``."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise CommandError(
            f"this needs {name}, which can not be imported ({error}); {INSTALL}"
        ) from error
