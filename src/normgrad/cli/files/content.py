"""What a reader returns."""

from typing import Any, NamedTuple

from numpy.typing import NDArray

__all__ = ["Content"]


class Content(NamedTuple):
    """The array in a file, and what was done to the file that its user should know.

    It may be a sparse array of SciPy, if the reader was told so.
    """

    array: NDArray[Any]
    note: str = ""
