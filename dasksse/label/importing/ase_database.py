"""Labels from ASE databases in one file: SQLite or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasksse.errors import StoreError
from dasksse.label.importing.extxyz import usable_frames
from dasksse.label.importing.labelled_frames import UNKNOWN_FUNCTIONAL, Reading, group_frames

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ase import Atoms
    from ase.db.row import AtomsRow

    from dasksse.records import Labels

FUNCTIONALS = ("PBE", "PBEsol", "LDA", "SCAN", "r2SCAN")


def read_ase_database(path: Path, type_map: Sequence[str] | None = None) -> Reading:
    """Labels of every row with energy and forces; the others are counted in a note.

    Parameters
    ----------
    path
        ``*.db`` (SQLite) or ``*.json``.
    type_map
        Not used: the rows name their elements.

    Raises
    ------
    StoreError
        When it cannot be read.
    """
    del type_map
    from ase.db import connect

    kind = "json" if path.suffix == ".json" else "db"
    images: dict[tuple[str, str], list[tuple[str, Atoms]]] = {}
    try:
        for row in connect(path, type=kind).select():
            image = f"{path}: row {row.id}", row.toatoms()
            images.setdefault(_provenance(row), []).append(image)
    except Exception as error:  # whatever the database or its JSON makes of a foreign file
        msg = f"{path}: cannot be read as an ASE database: {type(error).__name__} {error}"
        raise StoreError(msg) from error
    labels: list[Labels] = []
    notes: list[str] = []
    for (source, functional), group in images.items():
        frames, more = usable_frames(group)
        labels += group_frames(frames, source=source, functional=functional)
        notes += more
    return Reading(tuple(labels), tuple(notes))


def _provenance(row: AtomsRow) -> tuple[str, str]:
    """Calculator and functional, as far as the row names them."""
    asked = str(row.get("calculator_parameters", {}).get("xc", ""))
    by_upper = {name.upper(): name for name in FUNCTIONALS}
    return str(row.get("calculator", "")), by_upper.get(asked.upper(), UNKNOWN_FUNCTIONAL)
