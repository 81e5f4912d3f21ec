"""The picture: time and memory against size."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from normgrad.cli.bench.measure import Result
from normgrad.cli.bench.rows import Row
from normgrad.cli.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw", "shown"]

_COLOURS = {"spectral": "#0072B2", "nuclear": "#D55E00"}
"""Of the palette of Okabe and Ito, which colour-blind readers tell apart."""

_MARKERS = {"PyTorch": "o", "JAX": "s"}
_APART = 0.052
"""Of the height of a panel: the least distance of two labels."""

_WIDE = 1000
"""An axis with that ratio of its ends has ticks at the powers of ten alone."""


def shown(row: Row) -> bool:
    """Return whether a row is a point of the picture: square, dense, float64."""
    return (
        row.norm in _COLOURS
        and row.library in _MARKERS
        and row.call in ("", "memory")
        and row.unit == "products"
        and (row.matrix, row.dtype) == ("", "float64")
        and len(row.shape) == 2
        and row.shape[0] == row.shape[1]
    )


def draw(path: Path, results: Sequence[Result]) -> None:
    """Write two panels: milliseconds against size, and peak memory against size.

    Parameters
    ----------
    path : Path
        .png, .pdf or .svg.
    results : sequence of Result
        Those that are `shown` are drawn.
    """
    import matplotlib.style
    from matplotlib.figure import Figure

    drawn = [result for result in results if shown(result.row)]
    with matplotlib.style.context("default"), replacing(path) as draft:
        figure = Figure(figsize=(13, 5.6), layout="constrained")
        times, memory = figure.subplots(1, 2)
        _panel(times, [r for r in drawn if not r.row.call], 1e3)
        times.set_title("Value and gradient: milliseconds", loc="left", fontsize=12)
        _panel(memory, [r for r in drawn if r.row.call], 1.0)
        memory.set_title("Peak memory beyond the matrix, in matrices", loc="left", fontsize=12)
        figure.supxlabel("size n of the n x n Gaussian matrix, float64", fontsize=11)
        figure.savefig(draft, dpi=150)


def _panel(panel: "Axes", results: Sequence[Result], scale: float) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    if not results:
        panel.set_axis_off()
        panel.text(0, 0.9, "not measured", fontsize=10)
        return
    labels = []
    for norm, library in dict.fromkeys((r.row.norm, r.row.library) for r in results):
        series = [r for r in results if (r.row.norm, r.row.library) == (norm, library)]
        series.sort(key=lambda r: r.row.shape)
        sizes = [r.row.shape[0] for r in series]
        for ours in (True, False):
            heights = [scale * (r.ours if ours else r.peer) for r in series]
            panel.loglog(
                sizes,
                heights,
                color=_COLOURS[norm],
                marker=_MARKERS[library],
                markerfacecolor=_COLOURS[norm] if ours else "white",
                linestyle="-" if ours else (0, (4, 2)),
                linewidth=2.2 if ours else 1.3,
            )
            who = f"normgrad in {library}" if ours else library
            labels.append((sizes[-1], heights[-1], f"{norm}, {who}", _COLOURS[norm]))
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(True, which="major", color="#dddddd", linewidth=0.6)
    low, high = panel.get_ylim()
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < _WIDE * low else (1,)))
    panel.yaxis.set_major_formatter("{x:g}")
    ticks = sorted({r.row.shape[0] for r in results})
    panel.set_xticks(ticks, [str(n) for n in ticks])
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_minor_locator(NullLocator())
    panel.set_ylim(min(low, 0.5 * high), max(high, 2 * low))
    panel.set_xlim(ticks[0] / 1.15, ticks[-1] * 1.15)
    _label(panel, labels)


def _label(panel: "Axes", labels: Sequence[tuple[int, float, str, str]]) -> None:
    """Write the names of the lines to the right of the panel, in the order of their ends."""
    labels = sorted(labels, key=lambda label: label[1])
    low, high = np.log(panel.get_ylim())
    wanted = [(np.log(height) - low) / (high - low) for _, height, _, _ in labels]
    for (size, height, name, colour), y in zip(labels, _spread(wanted), strict=True):
        panel.annotate(
            name,
            (size, height),
            (1.03, y),
            textcoords="axes fraction",
            color=colour,
            va="center",
            fontsize=10,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.5,
                "alpha": 0.6,
                "relpos": (0, 0.5),
            },
        )


def _spread(wanted: Sequence[float]) -> list[float]:
    """Return ascending heights at least `_APART` from each other, near those that are wanted."""
    placed: list[float] = []
    for y in wanted:
        placed.append(max(y, placed[-1] + _APART) if placed else y)
    for i in range(len(placed) - 1, -1, -1):
        top = placed[i + 1] - _APART if i + 1 < len(placed) else 1.0
        placed[i] = min(placed[i], top)
    return placed
