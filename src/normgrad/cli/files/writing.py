"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from normgrad.cli.errors import CommandError

__all__ = ["check_target", "replacing"]


def check_target(option: str, path: Path, suffixes: Sequence[str]) -> None:
    """Raise `CommandError` if a file can not be written there; to be called before the work."""
    if path.suffix.lower() not in suffixes:
        raise CommandError(f"{option} {path}: the name must end in {' or '.join(suffixes)}")
    try:
        if path.exists() and not path.is_file():
            raise CommandError(f"{option} {path}: is there, and is not a file; give another name")
        folder = path.resolve().parent
        if not folder.is_dir():
            raise CommandError(f"{option} {path}: there is no folder {folder}; make it first")
        if not os.access(folder, os.W_OK):
            raise CommandError(f"{option} {path}: the folder {folder} is read-only; give another")
    except OSError as error:
        raise CommandError(f"{option} {path}: is not a possible name ({error.strerror})") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a draft's path beside `path`, whose place it takes if the block succeeds."""
    target = path.resolve()
    draft = target.with_name(f".{target.stem[:100]}-{os.getpid()}{target.suffix}")
    try:
        yield draft
        os.replace(draft, target)
    except OSError as error:
        raise CommandError(f"{path}: can not be written ({error.strerror or error})") from error
    finally:
        draft.unlink(missing_ok=True)
