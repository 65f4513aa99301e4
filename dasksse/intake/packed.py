"""DCD and XTC, through mdtraj; who the atoms are comes from elsewhere."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.geometry import cellpar_to_cell

from dasksse.errors import ProgramMissingError, TrajectoryError
from dasksse.intake.source import Hints, Piece, Source, frames_per_piece
from dasksse.intake.topology import read_atoms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Frames = tuple[NDArray[np.float32], Array | None, NDArray[np.float32] | None]

_NOT_FOUND = 127
_INSTALL = "DCD and XTC files are read by mdtraj; pip install 'dasksse[mdtraj]'"


def open_dcd(path: Path, hints: Hints) -> Source:
    """Open a DCD file: lengths in Å; it has no reliable times.

    Raises
    ------
    TrajectoryError
        When it cannot be read, or no topology fits.
    ProgramMissingError
        When mdtraj is not installed.
    """
    file = _opened("DCDTrajectoryFile", path)

    def read(n_frames: int) -> Frames:
        positions, lengths, angles = file.read(n_frames)
        has_cell = lengths is not None and len(lengths) > 0 and lengths.all()
        return positions, _cells(lengths, angles) if has_cell else None, None

    return _source(path, "DCD", file, hints, read)


def open_xtc(path: Path, hints: Hints) -> Source:
    """Open an XTC file: lengths in nm, times in ps.

    Raises
    ------
    TrajectoryError
        When it cannot be read, or no topology fits.
    ProgramMissingError
        When mdtraj is not installed.
    """
    file = _opened("XTCTrajectoryFile", path)

    def read(n_frames: int) -> Frames:
        positions, times, _, boxes = file.read(n_frames)
        has_cell = boxes is not None and boxes.any()  # none behind the last frame
        return positions, boxes.astype(np.float64) if has_cell else None, times

    source = _source(path, "XTC", file, hints, read)
    source.length_unit = "nm"
    source.tick_fs = 1000.0
    return source


def _opened(kind: str, path: Path) -> Any:  # noqa: ANN401 - a compiled reader
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import mdtraj.formats
    except ImportError as error:
        raise ProgramMissingError("mdtraj", _NOT_FOUND, "", _INSTALL) from error
    try:
        return getattr(mdtraj.formats, kind)(str(path))
    except Exception as error:
        msg = f"{path}: cannot be read: {error}"
        raise TrajectoryError(msg) from error


def _source(
    path: Path,
    title: str,
    file: Any,  # noqa: ANN401 - a compiled reader
    hints: Hints,
    read: Callable[[int], Frames],
) -> Source:
    if hints.topology is None:
        msg = (
            f"{path}: {title} files do not name their atoms; give a structure file or a LAMMPS "
            "data file as --topology"
        )
        raise TrajectoryError(msg)
    numbers = read_atoms(hints.topology, hints)
    size = path.stat().st_size
    n_frames = len(file)
    notes: list[str] = []
    return Source(
        path,
        title,
        numbers,
        _pieces(_whole_frames(file, read, len(numbers), notes), path, hints.topology, numbers),
        lambda: int(size * min(1.0, file.tell() / max(1, n_frames))),
        notes=notes,
    )


def _whole_frames(
    file: Any,  # noqa: ANN401 - a compiled reader
    read: Callable[[int], Frames],
    n_atoms: int,
    notes: list[str],
) -> Iterator[Frames]:
    """All frames, many at once; where that fails one by one, up to the damaged one."""
    size = frames_per_piece(n_atoms)
    while True:
        start = file.tell()
        try:
            frames = read(size)
        except (OSError, RuntimeError):
            break
        if not len(frames[0]):
            return
        yield frames
    file.seek(start)
    single: list[Frames] = []
    try:
        while True:
            single.append(read(1))
    except (OSError, RuntimeError) as error:
        notes.append(f"frame {start + len(single)} and later ones left out: {error}")
    if single:
        cells = [frame[1] for frame in single if frame[1] is not None]
        times = [frame[2] for frame in single if frame[2] is not None]
        yield (
            np.concatenate([frame[0] for frame in single]),
            np.concatenate(cells) if cells else None,
            np.concatenate(times) if times else None,
        )


def _pieces(
    parts: Iterator[Frames], path: Path, topology: Path, numbers: NDArray[np.int64]
) -> Iterator[Piece]:
    for positions, cells, times in parts:
        if positions.shape[1] != len(numbers):
            msg = f"{path} has {positions.shape[1]} atoms, --topology {topology} {len(numbers)}"
            raise TrajectoryError(msg)
        ticks = None if times is None else np.asarray(times, dtype=np.float64)
        yield Piece(np.asarray(positions, dtype=np.float64), cells, ticks)


def _cells(lengths: NDArray[np.float32], angles: NDArray[np.float32]) -> Array:
    """Cell vectors as rows; equal cells are converted once."""
    unique, which = np.unique(np.hstack([lengths, angles]), axis=0, return_inverse=True)
    return np.array([cellpar_to_cell(row) for row in unique.astype(float)])[which.ravel()]
