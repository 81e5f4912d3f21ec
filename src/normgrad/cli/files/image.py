"""Images, as matrices of grey values."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from normgrad.cli.errors import CommandError, needed
from normgrad.cli.files.content import Content

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["read_image"]

_GREY = ("1", "L", "I", "F")
_LUMA = (0.299, 0.587, 0.114)
"""The weights of red, green and blue in grey, of ITU-R BT.601."""


def read_image(path: Path) -> Content:
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
                grey = [_grey(page) for page in sequence.Iterator(image)]
        except (pil.DecompressionBombWarning, pil.DecompressionBombError) as error:
            raise CommandError(
                f"has more than {pil.MAX_IMAGE_PIXELS} pixels; make it smaller"
            ) from error
        except pil.UnidentifiedImageError as error:
            raise CommandError(
                "is not an image that pillow can read, or it is damaged; save it again"
            ) from error
    pages = [content.array for content in grey]
    note = "; ".join(dict.fromkeys(content.note for content in grey if content.note))
    if len({page.shape for page in pages}) > 1:
        raise CommandError("has pages of several sizes; save one page as a file of its own")
    return Content(pages[0] if len(pages) == 1 else np.stack(pages), note)


def _grey(image: "Image") -> Content:
    if image.mode in _GREY or image.mode.startswith("I;16"):
        return Content(np.asarray(image).astype(np.float64))
    if image.mode in ("LA", "La"):
        return Content(np.asarray(image)[..., 0].astype(np.float64), "transparency left out")
    note = "colour image reduced to grey, " + " + ".join(
        f"{weight} {name}" for weight, name in zip(_LUMA, ("red", "green", "blue"), strict=True)
    )
    return Content(np.asarray(np.asarray(image.convert("RGB")) @ np.array(_LUMA)), note)
