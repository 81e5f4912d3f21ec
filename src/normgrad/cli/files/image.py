"""Images, as matrices of grey values."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from normgrad.cli.errors import CommandError, needed

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["read_image"]

_GREY = ("1", "L", "I", "F")
_LUMA = (0.299, 0.587, 0.114)
"""The weights of red, green and blue in grey, of ITU-R BT.601."""


def read_image(path: Path) -> NDArray[Any]:
    """Return the grey values of an image in float64, on the file's own scale.

    Colours are weighted as in ITU-R BT.601, and transparency is left out. Several pages or
    frames give a batch, (pages, height, width).
    """
    pil = needed("PIL.Image")
    sequence = needed("PIL.ImageSequence")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", pil.DecompressionBombWarning)
        try:
            with pil.open(path) as image:
                pages = [_grey(page) for page in sequence.Iterator(image)]
        except (pil.DecompressionBombWarning, pil.DecompressionBombError) as error:
            raise CommandError(
                f"has more than {pil.MAX_IMAGE_PIXELS} pixels; make it smaller"
            ) from error
        except pil.UnidentifiedImageError as error:
            raise CommandError(
                "is not an image that pillow can read, or it is damaged; save it again"
            ) from error
    if len({page.shape for page in pages}) > 1:
        raise CommandError("has pages of several sizes; save one page as a file of its own")
    return pages[0] if len(pages) == 1 else np.stack(pages)


def _grey(image: "Image") -> NDArray[Any]:
    if image.mode in _GREY or image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.float64)
    if image.mode in ("LA", "La"):
        return np.asarray(image)[..., 0].astype(np.float64)
    return np.asarray(np.asarray(image.convert("RGB")) @ np.array(_LUMA))
