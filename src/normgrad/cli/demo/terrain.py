"""The matrix of the demonstration: elevations around the Jacksboro fault, in Tennessee."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from normgrad.cli.errors import INSTALL, CommandError, needed

__all__ = ["Terrain", "load_terrain"]


@dataclass(frozen=True)
class Terrain:
    """A raster of elevations.

    Parameters
    ----------
    elevation : (m, n) array of float64
        In metres.
    aspect : float
        The height of a pixel on the ground over its width.
    """

    elevation: NDArray[Any]
    aspect: float

    def middle(self, rows: int, columns: int) -> "Terrain":
        """Return the part in the middle, of at most so many rows and columns."""
        m, n = self.elevation.shape
        rows, columns = min(rows, m), min(columns, n)
        top, left = (m - rows) // 2, (n - columns) // 2
        part = self.elevation[top : top + rows, left : left + columns]
        return Terrain(np.ascontiguousarray(part), self.aspect)


def load_terrain() -> Terrain:
    """Return the raster that matplotlib brings along, 344 x 403 pixels of 3 arc seconds."""
    cbook = needed("matplotlib.cbook")
    try:
        with cbook.get_sample_data("jacksboro_fault_dem.npz") as data:
            elevation = np.asarray(data["elevation"], dtype=np.float64)
            middle = np.radians((float(data["ymin"]) + float(data["ymax"])) / 2)
            aspect = float(data["dy"]) / (float(data["dx"]) * float(np.cos(middle)))
    except OSError as error:
        raise CommandError(
            f"matplotlib is installed without its sample data ({error}); {INSTALL}"
        ) from error
    return Terrain(elevation, aspect)
