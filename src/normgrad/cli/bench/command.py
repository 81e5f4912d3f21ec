"""The command itself: choose the rows, measure them one by one, print and write."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from normgrad.cli.bench.limits import Limits, measure_limits
from normgrad.cli.bench.measure import Result, measure
from normgrad.cli.bench.peers import versions
from normgrad.cli.bench.picture import draw, shown
from normgrad.cli.bench.report import write
from normgrad.cli.bench.rows import Row, level
from normgrad.cli.bench.table import Grid
from normgrad.cli.errors import CommandError, needed
from normgrad.cli.files import check_target
from normgrad.cli.output import console, facts

__all__ = ["bench"]

_TURNS, _QUICK_TURNS = 5, 2
_SIZE, _QUICK_SIZE = 1024, 512
"""Of the matrices whose product is timed."""

Quick = Annotated[bool, typer.Option("--quick", help="Matrices of 512 x 512 at most: a minute.")]
Full = Annotated[bool, typer.Option("--full", help="The largest matrices too.")]
Only = Annotated[
    str | None,
    typer.Option(
        "--only",
        metavar="WORDS",
        help="Rows that have these words in name or library, as 'nuclear float32'.",
    ),
]
Json = Annotated[
    Path | None, typer.Option("--json", metavar="OUT.json", help="Write the results there.")
]
Picture = Annotated[
    Path | None,
    typer.Option(
        "--picture",
        metavar="PICTURE",
        help="Draw time and memory against size: .png, .pdf or .svg.",
    ),
]
Repeat = Annotated[
    int | None,
    typer.Option(
        "--repeat",
        min=1,
        metavar="TURNS",
        show_default=f"{_TURNS}, {_QUICK_TURNS} if quick",
        help="Turns of each contender.",
    ),
]


def bench(
    quick: Quick = False,
    full: Full = False,
    only: Only = None,
    repeat: Repeat = None,
    json: Json = None,
    picture: Picture = None,
) -> None:
    """Time and weigh the library beside its peers, and beside what the machine can do."""
    if quick and full:
        raise CommandError("--quick and --full: give one of them, or neither")
    rows = _choose(level(quick, full), only)
    if json is not None:
        check_target("--json", json, (".json",))
    if picture is not None:
        check_target("--picture", picture, (".png", ".pdf", ".svg"))
        needed("matplotlib")
        if not any(map(shown, rows)):
            raise CommandError(
                f"--picture {picture}: no row of --only {only} is in the picture, which shows "
                "spectral and nuclear norms of square float64 matrices"
            )
    limits = measure_limits(_QUICK_SIZE if quick else _SIZE)
    turns = repeat or (_QUICK_TURNS if quick else _TURNS)
    facts(_before(limits))
    results = _show(rows, limits, turns)
    facts(_after(turns))
    if json is not None:
        write(json, results, limits)
        facts({"results": str(json)})
    if picture is not None:
        draw(picture, results)
        facts({"picture": str(picture)})


def _before(limits: Limits) -> dict[str, str]:
    products = ", ".join(f"{rate / 1e9:.0f} in {name}" for name, rate in limits.flops.items())
    return {
        "libraries": ", ".join(f"{name} {version}" for name, version in versions().items()),
        "products": f"{products}, of 10^9 operations a second",
        "memory": f"{limits.bandwidth / 1e9:.0f} GB/s, read and written",
    }


def _after(turns: int) -> dict[str, str]:
    return {
        "times": f"the best of {turns} turns, peer and ours alternately; more if they differ, "
        "fewer if they take seconds",
        "ratio": "the peer's over ours: above 1, ours is faster or smaller; ~ : no two turns are "
        "within 20 %",
        "our cost": "products of the matrix with a square one, or passes over it, in that time",
        "errors": "of the gradient, relative, where the exact one is known",
        "sizes": "peak memory beyond the matrix, in sizes of the matrix",
    }


def _choose(rows: Sequence[Row], only: str | None) -> list[Row]:
    """Return the rows that have the words, and whose library is installed."""
    words = _words(only or "")
    named = [row for row in rows if words <= _words(f"{row.name} {row.library}")]
    if not named:
        raise CommandError(
            f"--only {only}: no row has these words in its name or library; a name is as "
            f"{rows[0].name!r}, and there are {_vocabulary(rows)}; some only with --full, or "
            "without --quick"
        )
    installed = versions()
    chosen = [row for row in named if row.library in installed]
    if not chosen:
        missing = ", ".join(dict.fromkeys(row.library for row in named))
        raise CommandError(f"--only {only}: these rows need {missing}; install it")
    return chosen


def _words(text: str) -> set[str]:
    return set(text.lower().replace(",", " ").split())


def _vocabulary(rows: Sequence[Row]) -> str:
    columns = [[r.norm, r.matrix, r.dtype, r.call.split(",")[0], r.library] for r in rows]
    return "; ".join(
        ", ".join(dict.fromkeys(filter(None, column))) for column in zip(*columns, strict=True)
    )


def _show(rows: Sequence[Row], limits: Limits, turns: int) -> list[Result]:
    """Measure, and print each row as it comes; nothing is drawn while a clock runs."""
    output, screen, results = console(), Console(stderr=True), list[Result]()
    weighed = [row for row in rows if row.call == "memory"]
    timed = [row for row in rows if row.call != "memory"]
    for part, unit in ((timed, "ms"), (weighed, "sizes")):
        grid = Grid(rows, unit, output.width)
        if part:
            output.print(grid.head())
        for row in part:
            progress = f"{len(results) + 1} of {len(rows)}: {row.name}, {row.library}"
            with Live(progress, console=screen, auto_refresh=False, transient=True):
                results.append(measure(row, limits, turns))
            output.print(grid.line(results[-1]))
    return results
