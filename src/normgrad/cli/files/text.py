"""Tables of numbers in text."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normgrad.cli.errors import CommandError

__all__ = ["read_text"]

_DELIMITERS = {".csv": ",;\t", ".tsv": "\t,;", ".txt": "\t,;"}
"""Those to look for, in order; if a line has none, white space separates."""


def read_text(path: Path) -> NDArray[Any]:
    """Return the table in a text file: a line per row, perhaps below a line of names.

    Blank lines and what follows a # are left out.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError("is not text in UTF-8; save the table as UTF-8") from error
    numbered = (
        (i, line.partition("#")[0].strip(" \r")) for i, line in enumerate(text.split("\n"), 1)
    )
    lines = [(i, line) for i, line in numbered if line.strip()]
    if not lines:
        raise CommandError("holds no numbers; put a row of the matrix on each line")
    delimiter = _delimiter(lines[-1][1], _DELIMITERS[path.suffix.lower()])
    if not any(_is_number(field) for field in _fields(lines[0][1], delimiter)):
        if len(lines) == 1:
            raise CommandError("holds no numbers below its first line; put a row on each line")
        del lines[0]
    try:
        return np.loadtxt(
            [line for _, line in lines], delimiter=delimiter, ndmin=2, comments=None, quotechar='"'
        )
    except ValueError as error:
        raise CommandError(_fault(lines, delimiter) or str(error)) from error


def _delimiter(line: str, candidates: str) -> str | None:
    return next((delimiter for delimiter in candidates if delimiter in line), None)


def _fields(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    return next(csv.reader([line], delimiter=delimiter), [])


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _fault(lines: list[tuple[int, str]], delimiter: str | None) -> str:
    """Return what is wrong with the first line that is not as it should be."""
    width = len(_fields(lines[0][1], delimiter))
    for i, line in lines:
        fields = _fields(line, delimiter)
        for j, field in enumerate(fields, 1):
            if not field.strip():
                return f"line {i}, column {j} is empty; write nan for a missing number"
            if not _is_number(field):
                return (
                    f"line {i}, column {j}: {field.strip()[:40]!r} is not a number; only the first "
                    "line may be names (write nan for a missing number)"
                )
        if len(fields) != width:
            return (
                f"line {i} has {len(fields)} columns, but line {lines[0][0]} has {width}; all "
                "rows of a matrix are of one length"
            )
    return ""
