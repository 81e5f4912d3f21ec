"""The command itself: the table, the completion, the picture."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from normgrad.cli.demo.completion import LEVELS, Iterate, complete, rank_of
from normgrad.cli.demo.peers import installed_peers
from normgrad.cli.demo.picture import draw
from normgrad.cli.demo.table import NORMS, Row, rows, table
from normgrad.cli.demo.terrain import Terrain, load_terrain
from normgrad.cli.demo.timing import LIMITED, one_thread
from normgrad.cli.errors import CommandError
from normgrad.cli.files import check_target
from normgrad.cli.output import console, facts

__all__ = ["demo"]

_HIDDEN = 0.6
_SEED = 0
_STEP = (6, 12)
"""Of rows and columns, for the checks: at a matrix of smaller condition differences see more."""

Out = Annotated[
    Path,
    typer.Option("--out", metavar="PICTURE", help="Where the picture goes: .png, .pdf or .svg."),
]
Size = Annotated[
    int | None,
    typer.Option(
        "--size",
        min=16,
        metavar="N",
        show_default="the whole raster, 344 x 403",
        help="Complete only the N x N pixels in its middle.",
    ),
]


def demo(out: Out = Path("normgrad-demo.png"), size: Size = None) -> None:
    """Norms of a real raster, checked and timed; then most of its pixels hidden and recovered."""
    check_target("--out", out, (".png", ".pdf", ".svg"))
    terrain, output = load_terrain(), console()
    m, n = terrain.elevation.shape
    if size is not None and size > min(m, n):
        raise CommandError(f"--size {size}: the raster is {m} x {n}; give at most {min(m, n)}")
    _show_norms(terrain, output)
    part = terrain if size is None else terrain.middle(size, size)
    _show_completion(part, out)


def _bar() -> Progress:
    screen = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    return Progress(*columns, console=screen, disable=not screen.is_terminal)


def _show_norms(terrain: Terrain, output: Console) -> None:
    x, part = terrain.elevation, terrain.elevation[:: _STEP[0], :: _STEP[1]]
    peers, lines = installed_peers(), list[Row]()
    with _bar() as progress:
        task = progress.add_task("norms", total=len(NORMS))
        for row in rows(x, part, peers):
            lines.append(row)
            progress.advance(task)
    m, n = x.shape
    title = f"Norms of the elevations around the Jacksboro fault, {m} x {n} float64"
    title += f"\n(errors: on a sample of it, {part.shape[0]} x {part.shape[1]})"
    accuracy = [max(line.report.estimates[order] for line in lines) for order in (0, 1)]
    threads = ", BLAS and OpenMP on one thread" if LIMITED else ""
    caption = (
        f"Errors: the worst relative error of the gradient and of the Hessian product against "
        f"central differences (themselves good to {accuracy[0]:.0e} and {accuracy[1]:.0e}), at "
        f"every {_STEP[0]}th row and {_STEP[1]}th column. "
        f"Times: value and gradient of the whole raster, median of 5 in turns{threads}. NumPy has "
        "no gradients and lacks some of the norms: its times for these are of the textbook formula "
        "on its SVD, or on the entries. none: no factorization, one pass over the entries."
    )
    if any(peer not in line.seconds for line in lines for peer in peers):
        caption += " - : the library lacks the norm."
    output.print(table(lines, peers, title, caption))


def _show_completion(terrain: Terrain, out: Path) -> None:
    x = terrain.elevation
    seen = np.random.default_rng(_SEED).random(x.shape) >= _HIDDEN
    mean, spread = float(x[seen].mean()), float(x[seen].std())
    B = np.where(seen, (x - mean) / spread, 0.0)
    with _bar() as progress:
        task = progress.add_task("completion", total=LEVELS)
        last: Iterate | None = None
        with one_thread():
            for last in complete(B, seen):
                name = f"completion, iteration {last.iterations}"
                progress.update(task, completed=last.level, description=name)
        progress.update(task, completed=LEVELS)
    assert last is not None
    recovered = mean + spread * last.X
    rank, error = rank_of(last.X), _error(recovered, x, ~seen)
    baseline = _error(np.full_like(x, mean), x, ~seen)
    draw(out, terrain, seen, recovered, rank, error, baseline)
    facts(
        {
            "hidden": f"{1 - seen.mean():.1%} of {x.shape[0]} x {x.shape[1]} pixels",
            "relative error on them": f"{error:.4f}",
            "with the mean instead": f"{baseline:.4f}",
            "rank": f"{rank} of {min(x.shape)}",
            "objective": f"{last.objective(B, seen):.6g}, at the threshold {last.threshold:.3g}",
            "iterations": f"{last.iterations}, over {LEVELS} falling thresholds",
            "picture": str(out),
        }
    )


def _error(recovered: NDArray[Any], x: NDArray[Any], where: NDArray[np.bool_]) -> float:
    return float(np.linalg.norm((recovered - x)[where]) / np.linalg.norm(x[where]))
