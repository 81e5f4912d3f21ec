"""``normgrad check``: derivatives at the matrix in a file against finite differences."""

from typing import Annotated

import typer

from normgrad.cli.errors import told
from normgrad.cli.files import read
from normgrad.cli.norm import File
from normgrad.cli.options import Axis, Key, Method, Ord, axis_of, ord_of
from normgrad.cli.output import console, facts
from normgrad.testing import check_grad

__all__ = ["check"]

Order = Annotated[
    int, typer.Option("--order", min=1, max=2, help="1: the gradient; 2: the Hessian product too.")
]


def check(
    file: File,
    ord: Ord = "fro",
    order: Order = 2,
    method: Method = "auto",
    key: Key = None,
    axis: Axis = "-2,-1",
) -> None:
    """Check the derivatives of a norm at a matrix against central differences.

    The exit status is 1 if they do not agree, or if some difference is too rough to tell 1 %.
    """
    which, axes = ord_of(ord), axis_of(axis)
    x, note = read(file, key)
    with told(f"{file}: "):
        report = check_grad(x, which, order, axis=axes, method=method, strict=False)
    console().print(str(report), markup=False, soft_wrap=True)
    if note:
        facts({"note": note})
    if not (report.passed and report.conclusive):
        raise typer.Exit(1)
