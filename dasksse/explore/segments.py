"""Segments of a run on disk: the engine's output, the frames in it, the state at the end."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from dasksse.errors import StoreError
from dasksse.explore.lammps_input import DUMP_COLUMNS, THERMO_COLUMNS
from dasksse.units import BAR_PER_GPA

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

END_STATE = "state_"
"""Prefix of the arrays from which the engine can go on."""

_N_THERMO = len(THERMO_COLUMNS.split())
_N_DUMP = len(DUMP_COLUMNS.split())
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class MdFrames:
    """Frames of a run.

    Attributes
    ----------
    steps
        MD step of each frame, shape ``(frame,)``.
    positions
        Unwrapped Cartesian positions [Å], ``(fraction + image) @ cell`` with the cell of that
        frame, in the orientation of the start configuration, shape ``(frame, atom, xyz)``.
    cells
        Cell vectors as rows [Å], same orientation, shape ``(frame, lattice, xyz)``.
    temperature_K
        Kinetic temperature [K], shape ``(frame,)``.
    pressure_GPa
        Pressure, kinetic part included [GPa], shape ``(frame,)``.
    potential_eV
        Potential energy of the driving model [eV], shape ``(frame,)``.
    atom_deviation
        Deviation ``sqrt(<|f_i - <f_i>|²>)`` of each atom's force [eV/Å], shape
        ``(frame, atom)``; NaN with one model.
    """

    steps: NDArray[np.float64]
    positions: NDArray[np.float64]
    cells: NDArray[np.float64]
    temperature_K: NDArray[np.float64]
    pressure_GPa: NDArray[np.float64]
    potential_eV: NDArray[np.float64]
    atom_deviation: NDArray[np.float64]

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.steps)

    def first(self, n_frames: int) -> Self:
        """Leading frames alone."""
        return type(self)(*(array[:n_frames] for array in self.arrays().values()))

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Put runs of frames behind one another; at least one part."""
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))

    def save(self, path: Path) -> None:
        """Write to an ``.npz`` file."""
        np.savez(path, **self.arrays())  # type: ignore[arg-type]  # no allow_pickle among them

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote."""
        with np.load(path) as data:
            return cls(*(data[field.name] for field in fields(cls)))


@dataclass(frozen=True)
class SegmentEnd:
    """How a finished stretch of a run ended; its frames stay on disk.

    Attributes
    ----------
    last_step
        Step at which it ended.
    n_frames
        Frames in it: those after the last segment's end, the first one's from step 0 on.
    end
        Empty when the run goes on, else how the run ended.
    reason
        Why a run blew up.
    """

    last_step: int
    n_frames: int
    end: Literal["", "complete", "blow-up"] = ""
    reason: str = ""


def write_segment(
    path: Path, end: SegmentEnd, frames: MdFrames, state: Mapping[str, NDArray[Any]]
) -> None:
    """Write a segment with the engine's state at its end; whole or absent, whatever dies.

    Raises
    ------
    StoreError
        When the file cannot be written, such as on a full disk.
    """
    note = np.array(json.dumps(asdict(end)))
    write_arrays(path, {"note": note, **frames.arrays(), **state})


def read_segment(path: Path) -> tuple[SegmentEnd, MdFrames]:
    """Read what :func:`write_segment` wrote, every array of it.

    Raises
    ------
    StoreError
        When the file is damaged.
    """
    try:
        with np.load(path) as file:
            arrays = dict(file)  # reads all: the archive's checksums find damage
        end = SegmentEnd(**json.loads(str(arrays["note"])))
        return end, MdFrames(*(arrays[field.name] for field in fields(MdFrames)))
    except UNREADABLE as error:
        msg = f"{path} is damaged ({error})"
        raise StoreError(msg) from error


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an ``.npz`` file under a temporary name, sync it, then rename it.

    Raises
    ------
    StoreError
        When the file cannot be written, such as on a full disk.
    """
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]  # no allow_pickle among them
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        msg = f"cannot write {path} ({error.strerror}): free space, then run again"
        raise StoreError(msg) from error


def read_state(path: Path) -> dict[str, NDArray[Any]]:
    """Arrays of the engine's state in an ``.npz`` file."""
    with np.load(path) as file:
        return {name: file[name] for name in file.files if name.startswith(END_STATE)}


def parse_thermo(text: str) -> dict[int, NDArray[np.float64]]:
    """Thermodynamic rows of a LAMMPS log by step; where a step comes twice, the last counts.

    Parameters
    ----------
    text
        The log; headers, messages and a last row cut short are left out.
    """
    rows: dict[int, NDArray[np.float64]] = {}
    for line in text.splitlines(keepends=True):
        columns = line.split()
        if len(columns) == _N_THERMO and line.endswith("\n") and columns[0].isdigit():
            rows[int(columns[0])] = np.array(columns[1:], dtype=float)
    return rows


def parse_dump(text: str, n_atoms: int) -> dict[int, NDArray[np.float64]]:
    """Unwrapped fractional coordinates of a LAMMPS dump by step, shape ``(atom, lattice)``.

    Parameters
    ----------
    text
        The dump, sorted by id, fractions and image counts at full precision.
    n_atoms
        Number of atoms; a snapshot cut short (a crash) is left out.
    """
    snapshots: dict[int, NDArray[np.float64]] = {}
    for block in text.split("ITEM: TIMESTEP\n")[1:]:
        head, _, body = block.partition(f"ITEM: ATOMS {DUMP_COLUMNS}\n")
        # A crash may cut the last number short: what does not end in a newline does not count.
        values = body.split() if body.endswith("\n") else []
        if len(values) == _N_DUMP * n_atoms:
            table = np.array(values, dtype=float).reshape(n_atoms, _N_DUMP)
            snapshots[int(head.split()[0])] = table[:, 1:4] + table[:, 4:7]
    return snapshots


def lower_triangular(box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cell vectors as rows [Å] of boxes given as ``xlo xhi ylo yhi zlo zhi xy xz yz``.

    Parameters
    ----------
    box
        LAMMPS' box [Å], shape ``(frame, 9)``.

    Returns
    -------
    NDArray[np.float64]
        Shape ``(frame, lattice, xyz)``.
    """
    cells = np.zeros((len(box), 3, 3))
    cells[:, [0, 1, 2], [0, 1, 2]] = box[:, 1:6:2] - box[:, 0:6:2]
    cells[:, 1, 0], cells[:, 2, 0], cells[:, 2, 1] = box[:, 6], box[:, 7], box[:, 8]
    return cells


def assemble_frames(
    thermo: Mapping[int, NDArray[np.float64]],
    fractions: Mapping[int, NDArray[np.float64]],
    deviations: Mapping[int, NDArray[np.float64]] | None,
    *,
    n_atoms: int,
    rotation: NDArray[np.float64],
    wanted: Callable[[int], bool],
) -> MdFrames:
    """Join what was printed about each step; steps that lack a part are left out.

    Parameters
    ----------
    thermo, fractions, deviations
        By step, from :func:`parse_thermo`, :func:`parse_dump` and
        :func:`~dasksse.explore.deviation.parse_deviations`; no deviations with one model.
    n_atoms
        Number of atoms.
    rotation
        Orthogonal matrix ``Q`` with ``original cell = lower triangular cell @ Q``, shape
        ``(xyz, xyz)``.
    wanted
        Which steps belong to the segment.
    """
    steps = sorted(
        step
        for step in thermo.keys() & fractions.keys()
        if wanted(step) and (deviations is None or step in deviations)
    )
    rows = np.array([thermo[step] for step in steps]).reshape(len(steps), _N_THERMO - 1)
    cells = lower_triangular(rows[:, 3:]) @ rotation
    scaled = np.array([fractions[step] for step in steps]).reshape(len(steps), n_atoms, 3)
    if deviations is None:
        deviation = np.full((len(steps), n_atoms), np.nan)
    else:
        deviation = np.array([deviations[step] for step in steps]).reshape(-1, n_atoms)
    return MdFrames(
        steps=np.array(steps, dtype=float),
        positions=scaled @ cells,
        cells=cells,
        temperature_K=rows[:, 0],
        pressure_GPa=rows[:, 1] / BAR_PER_GPA,
        potential_eV=rows[:, 2],
        atom_deviation=deviation,
    )
