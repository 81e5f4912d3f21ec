"""The picture that the demonstration leaves behind."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from normgrad.cli.demo.terrain import Terrain
from normgrad.cli.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw"]

_TRUE, _MASKED, _RECOVERED = "#222222", "#b0651d", "#1f77b4"
_HIDDEN = "white"
_PANEL = 4.8
"""The width of a panel, in inches."""


def draw(
    path: Path,
    terrain: Terrain,
    seen: NDArray[np.bool_],
    recovered: NDArray[Any],
    rank: int,
    error: float,
    baseline: float,
) -> None:
    """Write four panels: the raster, what was seen of it, what was recovered, singular values.

    Parameters
    ----------
    path : Path
        .png, .pdf or .svg.
    terrain : Terrain
    seen : (m, n) array of bool
    recovered : (m, n) array
        In metres.
    rank : int
        Of `recovered` about its mean.
    error : float
        The relative error on the hidden pixels.
    baseline : float
        The same if they are filled with the mean.
    """
    import matplotlib.style
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure

    x = terrain.elevation
    m, n = x.shape
    with matplotlib.style.context("default"), replacing(path) as draft:
        height = _PANEL * min(max(terrain.aspect * m / n, 0.7), 1.4)
        figure = Figure(figsize=(2 * _PANEL + 1.6, 2 * height + 0.8), layout="constrained")
        axes = figure.subplots(2, 2)
        # without the white of the summits, which is that of hidden pixels
        colours = ListedColormap(matplotlib.colormaps["gist_earth"](np.linspace(0.05, 0.92, 256)))
        scale = {"vmin": x.min(), "vmax": x.max(), "cmap": colours, "aspect": terrain.aspect}
        title = f"Recovered: {error:.1%} error on hidden pixels; mean fill {baseline:.0%}"
        panels = (
            (axes[0, 0], x, f"True elevation, {m} x {n} pixels"),
            (axes[0, 1], np.where(seen, x, np.nan), f"{1 - seen.mean():.0%} of the pixels hidden"),
            (axes[1, 0], recovered, title),
        )
        for panel, pixels, title in panels:
            image = panel.imshow(pixels, interpolation="nearest", **scale)
            panel.set_facecolor(_HIDDEN)
            panel.set_title(title, fontsize=12)
            panel.set_xticks([])
            panel.set_yticks([])
            panel.spines[:].set_visible(False)
        bar = figure.colorbar(image, ax=axes[:, 0], location="left", shrink=0.6, aspect=30)
        bar.set_label("elevation (m)")
        bar.outline.set_visible(False)
        _singular_values(axes[1, 1], x, seen, recovered, rank)
        figure.savefig(draft, dpi=150)


def _singular_values(
    panel: "Axes", x: NDArray[Any], seen: NDArray[np.bool_], recovered: NDArray[Any], rank: int
) -> None:
    mean = x[seen].mean()
    curves = (
        ("true", x - mean, _TRUE),
        ("masked, hidden pixels at the mean", np.where(seen, x - mean, 0.0), _MASKED),
        (f"recovered, rank {rank}", recovered - mean, _RECOVERED),
    )
    for label, matrix, colour in curves:
        s = np.linalg.svd(matrix, compute_uv=False)
        s = s[:rank] if colour == _RECOVERED else s[s > 0]
        panel.semilogy(np.arange(1, len(s) + 1), s, color=colour, label=label, linewidth=1.8)
    panel.set_title("Singular values, the mean taken off", fontsize=12)
    panel.set_xlabel("index")
    panel.set_ylabel("singular value (m)")
    panel.set_xlim(left=0)
    panel.grid(True, color="#dddddd", linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    panel.legend(frameon=False)
