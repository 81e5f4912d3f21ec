"""Options that are written as text and mean something else."""

from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from normgrad.cli.errors import CommandError, told
from normgrad.norms import ALIASES, KyFan, Norm, Schatten

__all__ = ["Axis", "Key", "Method", "Ord", "axis_of", "ord_of"]

_T = TypeVar("_T", int, float)

Ord = Annotated[
    str,
    typer.Option(
        "--ord",
        metavar="NORM",
        help="fro, nuc, 2, -2, 1, -1, inf, -inf, schatten:P or kyfan:K.",
    ),
]
Method = Annotated[
    str,
    typer.Option("--method", metavar="NAME", help="The factorization; auto chooses, and says why."),
]
Axis = Annotated[
    str,
    typer.Option(
        "--axis",
        metavar="ROWS,COLUMNS",
        help="The two axes of the matrices in an array with more.",
    ),
]
Key = Annotated[
    str | None,
    typer.Option("--key", metavar="NAME", help="Which array of an .npz file."),
]

_NAMES = {str(name): norm for name, norm in ALIASES.items()}


def ord_of(text: str) -> Norm:
    """Return the norm that the text names.

    Parameters
    ----------
    text : str
        An ``ord`` of `numpy.linalg.matrix_norm`, ``schatten:P`` or ``kyfan:K``.

    Raises
    ------
    CommandError
        If it names none.
    """
    name, colon, number = text.strip().lower().partition(":")
    if not colon and name in _NAMES:
        return _NAMES[name]
    with told(f"--ord {text}: "):
        if name == "schatten":
            return Schatten(_number(float, number, "schatten:3"))
        if name == "kyfan":
            return KyFan(_number(int, number, "kyfan:5"))
    raise CommandError(
        f"--ord {text} is not a norm; give one of {', '.join(_NAMES)}, schatten:P "
        "(such as schatten:3) or kyfan:K (such as kyfan:5)"
    )


def _number(kind: Callable[[str], _T], text: str, example: str) -> _T:
    try:
        return kind(text)
    except ValueError:
        noun = "a whole number" if kind is int else "a number"
        raise ValueError(f"{noun} must follow the colon, as in {example}") from None


def axis_of(text: str) -> tuple[int, int]:
    """Return the two integers in a text such as ``-2,-1``."""
    try:
        rows, columns = (int(part) for part in text.split(","))
    except ValueError:
        raise CommandError(
            f"--axis {text} must be two integers with a comma, the rows' and the columns' axis, "
            "as in --axis -2,-1"
        ) from None
    return rows, columns
