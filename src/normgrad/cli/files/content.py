"""What a reader returns."""

from typing import Any, NamedTuple

from numpy.typing import NDArray

__all__ = ["Content"]


class Content(NamedTuple):
    """The array in a file, and what was done to the file that its user should know."""

    array: NDArray[Any]
    note: str = ""
