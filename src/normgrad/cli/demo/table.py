"""The first part of the demonstration: every norm of a matrix, checked and timed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray
from rich import box
from rich.table import Table

import normgrad
from normgrad.cli.demo.peers import PEERS
from normgrad.cli.demo.timing import race
from normgrad.norms import KyFan, Norm, Schatten, resolve
from normgrad.testing import GradientCheck, check_grad

__all__ = ["NORMS", "Row", "rows", "table"]

NORMS: dict[str, Norm] = {
    "Frobenius": resolve("fro"),
    "spectral": resolve(2),
    "nuclear": resolve("nuc"),
    "Schatten 3": Schatten(3),
    "Ky Fan 5": KyFan(5),
    "induced 1": resolve(1),
    "induced inf": resolve(float("inf")),
}

_OURS = "normgrad"


@dataclass(frozen=True)
class Row:
    """What the demonstration says of a norm.

    Parameters
    ----------
    name : str
    value : float
    report : GradientCheck
        Of the gradient and of the Hessian product.
    factorization : str
    seconds : dict of str to float
        Of a value and a gradient, by library.
    """

    name: str
    value: float
    report: GradientCheck
    factorization: str
    seconds: dict[str, float] = field(default_factory=dict)


def rows(x: NDArray[Any], part: NDArray[Any], peers: tuple[str, ...]) -> Iterator[Row]:
    """Yield a row per norm of x.

    Parameters
    ----------
    x : (m, n) array
    part : array
        At which the derivatives are checked.
    peers : tuple of str
        Names in `PEERS`.
    """
    for name, norm in NORMS.items():
        contenders: dict[str, Any] = {_OURS: lambda norm=norm: normgrad.value_and_grad(x, norm)}
        for peer in peers:
            pair = PEERS[peer](x, norm)
            if pair is not None:
                contenders[peer] = pair
        report = check_grad(part, norm, strict=False)
        yield Row(
            name,
            float(normgrad.matrix_norm(x, norm)),
            report,
            normgrad.explain(x, norm).factorization,
            race(contenders),
        )


def table(lines: list[Row], peers: tuple[str, ...], title: str, caption: str) -> Table:
    """Return the rows for print."""
    grid = Table(
        title=title, caption=caption, box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0)
    )
    grid.caption_justify = "left"
    grid.add_column("norm", no_wrap=True)
    for heading in ("value", "gradient\nerror", "Hessian\nerror"):
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column("method", overflow="fold")
    for library in (_OURS, *peers):
        grid.add_column(f"{library}\nms", justify="right", no_wrap=True)
    for row in lines:
        colour = "green" if row.report.passed else "bold red"
        grid.add_row(
            row.name,
            f"{row.value:.6g}",
            *(f"[{colour}]{_error(error)}[/]" for error in row.report.errors),
            row.factorization,
            *(_milliseconds(row.seconds.get(library)) for library in (_OURS, *peers)),
        )
    return grid


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    t = 1e3 * seconds
    return f"{t:.0f}" if t >= 100 else f"{t:.3g}" if t >= 1 else f"{t:.2g}"


def _error(error: float) -> str:
    return "0" if error == 0 else f"{error:.0e}"
