"""ASE's own trajectory files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import TrajectoryError
from dasksse.intake.scalars import scalar_columns, static_pressure_GPa
from dasksse.intake.source import Hints, Piece, Source, frames_per_piece
from dasksse.intake.species import element_numbers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ase import Atoms
    from numpy.typing import NDArray

TITLE = "ASE trajectory"


def open_ase_trajectory(path: Path, hints: Hints) -> Source:
    """Open a file; the temperature is that of the thermostat, where it is written.

    Raises
    ------
    TrajectoryError
        When it cannot be read or has atoms without an element.
    """
    from ase.io.trajectory import TrajectoryReader

    try:
        reader = TrajectoryReader(path)
        n_frames = len(reader)
        numbers = np.asarray(reader[0].numbers, dtype=np.int64)
    except Exception as error:
        msg = f"{path}: cannot be read as {TITLE}: {error}"
        raise TrajectoryError(msg) from error
    element_numbers([str(symbol) for symbol in reader[0].symbols], path, hints.species)
    temperature = (reader.description or {}).get("temperature_K")
    progress = [0]
    size = path.stat().st_size
    notes: list[str] = []
    return Source(
        path,
        TITLE,
        numbers,
        _pieces(reader, path, numbers, progress=progress, notes=notes),
        lambda: size * progress[0] // n_frames,
        temperature_K=None if temperature is None else float(temperature),
        notes=notes,
    )


def _pieces(
    reader: Any,  # noqa: ANN401 - ASE is untyped here
    path: Path,
    numbers: NDArray[np.int64],
    *,
    progress: list[int],
    notes: list[str],
) -> Iterator[Piece]:
    n_frames, size = len(reader), frames_per_piece(len(numbers))
    for start in range(0, n_frames, size):
        images: list[Atoms] = []
        try:
            images.extend(reader[i] for i in range(start, min(start + size, n_frames)))
        except Exception as error:  # noqa: BLE001 - anything, on bytes that are missing
            notes.append(f"frame {start + len(images)} and all later ones left out: {error}")
        for frame, atoms in enumerate(images, start=start):
            if not np.array_equal(atoms.numbers, numbers):
                msg = (
                    f"{path}: frame {frame} has other atoms ({len(atoms)}) than frame 0 "
                    f"({len(numbers)}), or in another order"
                )
                raise TrajectoryError(msg)
        if not images:
            return
        cells = np.array([atoms.cell.array for atoms in images])
        yield Piece(
            np.array([atoms.positions for atoms in images]),
            cells if cells.any() else None,
            scalars=scalar_columns([_scalars(atoms) for atoms in images]),
        )
        progress[0] = start + len(images)
        if len(images) < min(size, n_frames - start):
            return


def _scalars(atoms: Atoms) -> dict[str, float]:
    """Temperature where momenta are there, energy and pressure where they were calculated."""
    found: dict[str, float] = {}
    if atoms.has("momenta"):
        found["temperature"] = atoms.get_temperature()
    results = {} if atoms.calc is None else atoms.calc.results
    for name in ("free_energy", "energy"):  # the one that forces derive from comes first
        if results.get(name) is not None:
            found.setdefault("energy", float(results[name]))
    if results.get("stress") is not None:
        found["pressure"] = static_pressure_GPa(results["stress"])
    return found
