"""Arrays saved by NumPy."""

from pathlib import Path

import numpy as np

from normgrad.cli.errors import CommandError
from normgrad.cli.files.content import Content
from normgrad.cli.files.sparse import check_size, read_sparse

__all__ = ["read_numpy_file"]

_SHOWN = 20

_SPARSE = {"format", "shape", "data"}
"""What scipy.sparse.save_npz always writes."""


def read_numpy_file(path: Path, key: str | None, sparse: bool = False) -> Content:
    """Return the array in an .npy file, or one of those in an .npz file; never unpickles.

    A matrix that scipy.sparse.save_npz wrote is recognised, and made dense unless `sparse`.
    """
    _check_magic(path)
    try:
        with path.open("rb") as file:
            content = np.load(file, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return Content(content)
            with content as archive:
                if key is None and _SPARSE.issubset(archive.files):
                    if not sparse:
                        check_size(archive["shape"])
                    return read_sparse(path, sparse)
                array = archive[_key(list(archive.files), key)]
    except ValueError as error:
        if "pickle" in str(error):
            raise CommandError(
                "holds Python objects, which are not loaded because that can run code; save an "
                "array of numbers: np.save(file, x.astype(float))"
            ) from error
        raise
    if not isinstance(array, np.ndarray):
        raise CommandError("is a zip archive, but not one of NumPy arrays; use np.savez")
    return Content(array)


def _check_magic(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(6)
    if start.startswith((b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06")):
        return
    if start.startswith(b"\x80"):
        raise CommandError(
            "is a Python pickle, which is not loaded because that can run code; save the array "
            "with np.save"
        )
    raise CommandError("is not a NumPy file, or damaged; save the array again with np.save")


def _key(keys: list[str], key: str | None) -> str:
    if not keys:
        raise CommandError("holds no arrays; save one with np.savez(file, x=x)")
    names = ", ".join(keys[:_SHOWN]) + (", ..." if len(keys) > _SHOWN else "")
    if key is None:
        if len(keys) > 1:
            raise CommandError(f"holds several arrays; choose one with --key: {names}")
        return keys[0]
    if key not in keys:
        raise CommandError(f"holds no array {key!r}; --key can be: {names}")
    return key
