"""Tables of numbers in text."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np

from normgrad.cli.errors import CommandError
from normgrad.cli.files.content import Content

__all__ = ["read_text"]

_SPACE = " "
"""Any white space."""

_DELIMITERS = {".csv": ";,\t", ".tsv": "\t", ".txt": ";,\t" + _SPACE}
_SPOKEN = {";": "semicolons", ",": "commas", "\t": "tabs", _SPACE: "white space"}
_MISSING = ("na", "n/a", "null", "none")

Line = tuple[int, str]
"""Its number in the file, and its text."""


def read_text(path: Path) -> Content:
    """Return the table in a text file: a line per row, perhaps below a line of names.

    Blank lines and what follows a # are left out. One delimiter holds for the whole file;
    numbers may be complex, as 1+2j.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CommandError("is not text in UTF-8; save the table as UTF-8") from error
    suffix = path.suffix.lower()
    outside = None if suffix == ".txt" else " "
    numbered = enumerate((line.partition("#")[0].strip(outside) for line in text.split("\n")), 1)
    lines = [(i, line) for i, line in numbered if line]
    if not lines:
        raise CommandError("holds no numbers; put a row of the matrix on each line")
    delimiter = _delimiter(lines, _DELIMITERS[suffix])
    _check_widths(lines, delimiter)
    note = ""
    if _is_names(lines[0][1], delimiter):
        if len(lines) == 1:
            raise CommandError("holds no numbers below its first line; put a row on each line")
        note = f"line {lines[0][0]} taken as column names"
        del lines[0]
    separators = " or ".join(_SPOKEN[d] for d in _DELIMITERS[suffix])
    return Content(np.stack([_row(line, delimiter, separators) for line in lines]), note)


def _fields(line: str, delimiter: str) -> list[str]:
    if delimiter == _SPACE:
        line = " ".join(line.split())
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])


def _delimiter(lines: list[Line], candidates: str) -> str:
    """Return what separates the columns on every line; if nothing does, on most."""
    widths = {d: [len(_fields(line, d)) for _, line in lines] for d in candidates}
    consistent = [d for d in candidates if widths[d][0] > 1 and len(set(widths[d])) == 1]
    if "\t" in consistent[:1]:  # which are white space too: "1<tab>2 3" is three columns
        return max(consistent, key=lambda d: widths[d][0])
    if consistent:
        return consistent[0]
    best = max(candidates, key=lambda d: sum(width > 1 for width in widths[d]))
    split = [i for i, width in enumerate(widths[best]) if width > 1]
    for i, (number, _) in enumerate(lines):
        other = next((d for d in candidates if widths[d][i] > 1), best)
        if split and widths[best][i] == 1 and other != best:
            raise CommandError(
                f"line {number} is separated by {_SPOKEN[other]}, but line {lines[split[0]][0]} "
                f"by {_SPOKEN[best]}; use one of them in the whole file"
            )
    return best


def _check_widths(lines: list[Line], delimiter: str) -> None:
    widths = [len(_fields(line, delimiter)) for _, line in lines]
    usual = Counter(widths).most_common(1)[0][0]
    for (i, _), width in zip(lines, widths, strict=True):
        if width != usual:
            raise CommandError(
                f"line {i} has {width} column{'s' * (width > 1)}, but line "
                f"{lines[widths.index(usual)][0]} has {usual}; give all lines as many (nan for a "
                "missing number), and write decimals with a point"
            )


def _is_names(line: str, delimiter: str) -> bool:
    """Whether every field begins with a letter or a quote, and none is a number."""
    return all(
        field.strip()
        and (field[0].isalpha() or f'"{field}"' in line)
        and field.strip().lower() not in _MISSING
        and _number(field) is None
        for field in _fields(line, delimiter)
    )


def _row(line: Line, delimiter: str, separators: str) -> np.ndarray:
    fields = _fields(line[1], delimiter)
    numbers = [_number(field) for field in fields]
    if None in numbers:
        j = numbers.index(None)
        raise CommandError(f"line {line[0]}, column {j + 1}{_fault(fields[j].strip(), separators)}")
    return np.array(numbers)


def _fault(field: str, separators: str) -> str:
    """Return what is wrong with a field, and what to do."""
    if not field:
        return " is empty; write nan for a missing number"
    if field.lower() in _MISSING:
        return f" is {field}, a missing number; write nan, or leave out the row or the column"
    if any(character in field for character in ",;\t "):
        return (
            f": {field[:40]!r} is not a number; separate columns by {separators} on every line, "
            "and write decimals with a point and thousands without a mark"
        )
    return (
        f": {field[:40]!r} is not a number; only the first line may be names, and then every one "
        "must begin with a letter (write nan for a missing number)"
    )


def _number(field: str) -> float | complex | None:
    if "_" in field or field.strip() in ("j", "J"):  # which Python reads as numbers
        return None
    try:
        return float(field)
    except ValueError:
        pass
    try:
        return complex(field.strip())
    except ValueError:
        return None
