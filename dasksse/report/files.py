"""Files of a report: each appears under its name only when it is whole."""

from __future__ import annotations

import base64
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("svg", "png")
_PAGE_PIXELS_PER_INCH = 96 * 1.25


def write_whole(path: Path, content: bytes) -> None:
    """Write beside the final name and rename, so that the file is whole or not there."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_bytes(content)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def write_figure(figure: Figure, folder: Path, name: str) -> tuple[str, int]:
    """Write a figure as SVG and PNG.

    Parameters
    ----------
    figure
        The figure; its layout is fixed by this.
    folder
        Where to; it must be there.
    name
        Stem of the files.

    Returns
    -------
    tuple[str, int]
        The SVG as a data address for a page, and its width there [px].
    """
    from dasksse.report.figures.style import save_figure

    for suffix in FORMATS:
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            drawn = Path(scratch) / f"figure.{suffix}"
            save_figure(figure, drawn)
            drawn.replace(folder / f"{name}.{suffix}")
        figure.set_layout_engine("none")  # laid out once; half of the time goes there
    encoded = base64.b64encode((folder / f"{name}.svg").read_bytes()).decode()
    width_px = round(figure.get_figwidth() * _PAGE_PIXELS_PER_INCH)
    return f"data:image/svg+xml;base64,{encoded}", width_px


def remove_figure(folder: Path, name: str) -> None:
    """Remove the files of a figure that can no longer be drawn."""
    for suffix in FORMATS:
        (folder / f"{name}.{suffix}").unlink(missing_ok=True)
