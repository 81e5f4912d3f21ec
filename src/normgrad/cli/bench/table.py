"""The results as lines of a table that is printed while it grows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.table import Table

from normgrad.cli.bench.measure import Result
from normgrad.cli.bench.rows import Row

__all__ = ["Grid"]

_COLUMNS: tuple[tuple[str, int], ...] = (
    ("library", 8),
    ("ours\n{}", 6),
    ("peer\n{}", 6),
    ("ratio", 6),
    ("our cost", 13),
    ("our\nerror", 6),
    ("peer's\nerror", 6),
)
"""Headings and widths, but for the name's."""

_NARROWEST, _FEWEST = 12, 4
"""Width of the name, and number of columns beside it."""


@dataclass(frozen=True)
class Grid:
    """A table in pieces, its head and then lines, which have the same widths.

    Parameters
    ----------
    rows : sequence of Row
        All that will be printed.
    unit : {"ms", "sizes"}
        Of both contenders.
    width : int
        Of the output.
    """

    rows: Sequence[Row]
    unit: str
    width: int

    def head(self) -> Table:
        """Return the headings."""
        return self._table(show_header=True)

    def line(self, result: Result) -> Table:
        """Return a result."""
        table, colour = self._table(show_header=False), "green" if result.ratio >= 1 else "red"
        cost = "-" if result.cost is None else f"{_number(result.cost)} {result.row.unit}"
        errors = ["-", "-"] if result.errors is None else [f"{e:.0e}" for e in result.errors]
        cells = (
            result.row.library,
            *(_number(x * self._scale) for x in (result.ours, result.peer)),
            f"[{colour}]{'' if result.steady else '~'}{_number(result.ratio)}[/]",
            cost,
            *errors,
        )
        table.add_row(result.row.name, *cells[: len(self._columns)])
        return table

    @property
    def _columns(self) -> tuple[tuple[str, int], ...]:
        """Return those that fit: the last ones are left out of a narrow output."""
        columns = _COLUMNS
        while len(columns) > _FEWEST and _NARROWEST + _width(columns) > self.width:
            columns = columns[:-1]
        return columns

    @property
    def _scale(self) -> float:
        return 1e3 if self.unit == "ms" else 1.0

    def _table(self, show_header: bool) -> Table:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=0, show_header=show_header)
        name = self.width - _width(self._columns)
        longest = max(len(row.name) for row in self.rows)
        table.add_column("row", width=max(min(name, longest), _NARROWEST), overflow="fold")
        for heading, width in self._columns:
            justify: Literal["left", "right"] = "left" if heading == "library" else "right"
            table.add_column(heading.format(self.unit), width=width, justify=justify, no_wrap=True)
        return table


def _width(columns: Sequence[tuple[str, int]]) -> int:
    return sum(width + 1 for _, width in columns)


def _number(x: float) -> str:
    return f"{x:.0f}" if x >= 100 else f"{x:#.3g}" if x >= 0.995 else f"{x:#.2g}"
