"""``normgrad norm``: a norm of the matrix in a file."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

import normgrad
from normgrad.cli.errors import CommandError, needed, told
from normgrad.cli.files import SUFFIXES, check_target, count_nonfinite, read, replacing
from normgrad.cli.options import Axis, Key, Method, Ord, axis_of, ord_of
from normgrad.cli.output import facts

__all__ = ["norm"]

_SHOWN = 10

File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        show_default=False,
        help=f"A matrix: {' '.join(SUFFIXES)}",
    ),
]
Target = Annotated[
    Path | None,
    typer.Option("--grad", metavar="OUT.npy", help="Write the gradient there; OUT.npz: sparse."),
]


def norm(
    file: File,
    ord: Ord = "fro",
    grad: Target = None,
    method: Method = "auto",
    key: Key = None,
    axis: Axis = "-2,-1",
) -> None:
    """Print a norm of the matrix in a file, and how it was computed; write its gradient."""
    which, axes = ord_of(ord), axis_of(axis)
    if grad is not None:
        check_target("--grad", grad, (".npy", ".npz"))
        if grad.resolve() == file.resolve():
            raise CommandError(f"--grad {grad}: is the matrix itself; give another name")
    # (an .npy file takes no sparse gradient)
    x, note = read(file, key, sparse=axes == (-2, -1) and (grad is None or _is_sparse_file(grad)))
    if grad is not None and _is_sparse_file(grad) and isinstance(x, np.ndarray):
        raise CommandError(f"--grad {grad}: the matrix is no sparse one; let the name end in .npy")
    with told(f"{file}: "):
        why = normgrad.explain(x, which, axis=axes, method=method)
        if grad is None:
            value = np.asarray(normgrad.matrix_norm(x, which, axis=axes, method=method))
        else:
            values, gradient = normgrad.value_and_grad(x, which, axis=axes, method=method)
            value = np.asarray(values)
    lines = {
        "value": _summary(value),
        "norm": str(which),
        "shape": " x ".join(map(str, x.shape)),
        "dtype": str(x.dtype),
        "factorization": why.factorization,
        "reason": why.reason,
    }
    if grad is not None:
        with replacing(grad) as draft:
            if isinstance(gradient, np.ndarray):
                np.save(draft, gradient)
            else:
                needed("scipy.sparse").save_npz(draft, gradient)
        lines["gradient"] = str(grad)
    notes = [text for text in (note, _warning(*count_nonfinite(x))) if text]
    if notes:
        lines["note"] = "; ".join(notes)
    facts(lines)
    if value.ndim:
        _rows(value)


def _is_sparse_file(path: Path) -> bool:
    return path.suffix.lower() == ".npz"


def _warning(nans: int, infinities: int) -> str:
    if not (nans or infinities):
        return ""
    what = [f"{nans} NaN"] if nans else []
    what += [f"{infinities} infinite"] if infinities else []
    few = nans + infinities == 1
    return (
        f"{' and '.join(what)} {'entry' if few else 'entries'} in the file, so the norm of that "
        "matrix is NaN or infinite, and its gradient NaN"
    )


def _summary(value: NDArray[Any]) -> str:
    if value.ndim == 0:
        return repr(float(value))
    finite = value[np.isfinite(value)]
    if finite.size == 0:
        return f"{value.size} matrices"
    return (
        f"{value.size} matrices: least {finite.min():.6g}, mean {finite.mean():.6g}, greatest "
        f"{finite.max():.6g}"
    )


def _rows(value: NDArray[Any]) -> None:
    shown = {
        ", ".join(map(str, index)): repr(float(number))
        for index, number in zip(np.ndindex(value.shape), value.flat, strict=True)
        if np.ravel_multi_index(index, value.shape) < _SHOWN
    }
    if value.size > _SHOWN:
        shown["..."] = f"{value.size - _SHOWN} more"
    if shown:
        facts({"matrix": "value", **shown})
