"""A matrix, or a batch of them, from a file of any kind that is known."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normgrad.cli.errors import CommandError
from normgrad.cli.files.content import Content
from normgrad.cli.files.image import read_image
from normgrad.cli.files.matrix_market import read_matrix_market
from normgrad.cli.files.numpy_file import read_numpy_file
from normgrad.cli.files.text import read_text

__all__ = ["SUFFIXES", "count_nonfinite", "read"]

READERS: dict[str, Callable[[Path], Content]] = {
    ".csv": read_text,
    ".tsv": read_text,
    ".txt": read_text,
    ".mtx": read_matrix_market,
    ".png": read_image,
    ".jpg": read_image,
    ".jpeg": read_image,
    ".tif": read_image,
    ".tiff": read_image,
    ".bmp": read_image,
}
"""Suffix, and the reader of such files. (.npy and .npz, which know keys, stand apart.)"""

_NUMPY = (".npy", ".npz")

SUFFIXES = (*_NUMPY, *READERS)
"""Of all files that can be read."""


def read(path: Path, key: str | None = None, *, sparse: bool = False) -> Content:
    """Return the array in a file.

    Parameters
    ----------
    path : Path
        Its suffix says of what kind the file is.
    key : str, optional
        Which array of an .npz file; needed where it holds several.
    sparse : bool
        Whether to keep a sparse matrix sparse.

    Returns
    -------
    Content
        An array of at least two axes, of numbers in the byte order of the machine.

    Raises
    ------
    CommandError
        If there is no such array; the text says why, and what to do.
    """
    suffix = path.suffix.lower()
    _check_file(path)
    if suffix not in SUFFIXES:
        raise CommandError(
            f"{path}: files of the kind {suffix or '(no suffix)'} are not known; give one of "
            f"{', '.join(SUFFIXES)}"
        )
    if key is not None and suffix != ".npz":
        raise CommandError(f"{path}: --key is for .npz files; leave it out")
    try:
        if suffix in _NUMPY:
            content = read_numpy_file(path, key, sparse)
        elif suffix == ".mtx":
            content = read_matrix_market(path, sparse)
        else:
            content = READERS[suffix](path)
    except CommandError as error:
        raise CommandError(f"{path}: {error}") from error
    except MemoryError as error:
        raise CommandError(f"{path}: does not fit into memory ({error})") from error
    except Exception as error:  # the readers of others raise anything on a damaged file
        raise CommandError(
            f"{path}: can not be read as {suffix}; it is damaged or of another kind "
            f"({type(error).__name__}: {error})"
        ) from error
    return Content(_numbers(path, content.array), content.note)


def count_nonfinite(x: NDArray[Any]) -> tuple[int, int]:
    """Return how many entries are NaN, and how many infinite."""
    if x.dtype.kind not in "fc":
        return 0, 0
    if not isinstance(x, np.ndarray):
        x = x.tocoo().data
    return int(np.isnan(x).sum()), int(np.isinf(x).sum())


def _check_file(path: Path) -> None:
    if str(path) == "-":
        raise CommandError(f"{path}: the standard input is not an ordinary file; save it as one")
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise CommandError(f"{path}: is a folder; give a file in it")
        if not stat.S_ISREG(status.st_mode):
            raise CommandError(f"{path}: is not an ordinary file; save it as one")
        if status.st_size == 0:
            raise CommandError(f"{path}: the file is empty; save the matrix again")
        path.open("rb").close()
    except FileNotFoundError:
        raise CommandError(f"{path}: no such file; check the spelling and the folder") from None
    except OSError as error:
        raise CommandError(f"{path}: can not be opened ({error.strerror})") from None


def _numbers(path: Path, x: NDArray[Any]) -> NDArray[Any]:
    if x.dtype.kind not in "biufc":
        kinds = {"U": "text", "S": "bytes", "V": "records", "M": "dates", "m": "time spans"}
        raise CommandError(
            f"{path}: holds {kinds.get(x.dtype.kind, 'no numbers')} (dtype {x.dtype}); "
            "save an array of numbers"
        )
    if x.ndim < 2:
        noun = "one number" if x.ndim == 0 else f"a vector of {x.size}"
        raise CommandError(
            f"{path}: holds {noun}, shape {x.shape}; a matrix has two axes: save "
            "x.reshape(rows, columns)"
        )
    return x.astype(x.dtype.newbyteorder("="), copy=False)
