"""Folders in which single points are computed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from dasksse.label import Place

if TYPE_CHECKING:
    from pathlib import Path

    from dasksse.records import UnitContext


def frame_folder(context: UnitContext, number: int) -> Path:
    """Folder of a configuration; it stays when the label fails, for its log."""
    return context.workdir / f"frame-{number:05d}"


def place_of(context: UnitContext, number: int) -> Place:
    """Place of a configuration, with a folder of its own that is empty."""
    folder = frame_folder(context, number)
    if folder.is_dir():
        shutil.rmtree(folder)
    folder.mkdir()
    return Place(folder, context.workplace, context.reproducible)
