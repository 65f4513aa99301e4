"""What every reader of a format gives: a source, which hands out pieces of frames."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from dasksse.errors import ConfigError
from dasksse.intake.lattice import LENGTH_UNITS_A

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PIECE_BYTES = 8 << 20
"""Positions that a reader hands out at once, about; never fewer than two frames."""


@dataclass(frozen=True)
class Hints:
    """What the user says of the files.

    Attributes
    ----------
    species
        Atomic number by name of a type, as :func:`~dasksse.intake.parse_species_map` gives it.
    topology
        Structure file, or data file of LAMMPS, that names the atoms.
    cell
        Cell vectors as rows, for files without, in the unit of length of the file.
    dt_fs
        Time between frames [fs].
    md_step_fs
        Time step of the MD [fs], for files that number their frames by MD steps.
    temperature_K
        Temperature of the run [K].
    pressure_GPa
        Target pressure of the run [GPa].
    length_unit
        Unit of lengths in the files, a key of :data:`~dasksse.intake.LENGTH_UNITS_A`; None for
        that of the format.
    is_unwrapped
        Whether positions are unwrapped; None to find out.

    Raises
    ------
    ConfigError
        When one of them cannot be meant.
    """

    species: Mapping[str, int] | None = None
    topology: Path | None = None
    cell: NDArray[np.float64] | None = None
    dt_fs: float | None = None
    md_step_fs: float | None = None
    temperature_K: float | None = None
    pressure_GPa: float | None = None
    length_unit: str | None = None
    is_unwrapped: bool | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for key in ("dt_fs", "md_step_fs", "temperature_K"):
            value = getattr(self, key)
            if value is not None and not 0.0 < value < np.inf:
                msg = f"--{key.replace('_', '-')}: found {value}, allowed is a number above 0"
                raise ConfigError(msg)
        if self.pressure_GPa is not None and not np.isfinite(self.pressure_GPa):
            msg = f"--pressure-GPa: found {self.pressure_GPa}, allowed is a finite number"
            raise ConfigError(msg)
        if self.length_unit is not None and self.length_unit not in LENGTH_UNITS_A:
            allowed = ", ".join(LENGTH_UNITS_A)
            msg = f"--length-unit: found {self.length_unit!r}, allowed: {allowed}"
            raise ConfigError(msg)
        if self.topology is not None and not self.topology.is_file():
            msg = f"--topology {self.topology}: no such file"
            raise ConfigError(msg)


NO_HINTS = Hints()


@dataclass(frozen=True)
class Piece:
    """Successive frames of a file.

    Attributes
    ----------
    positions
        Positions, shape ``(frame, atom, xyz)``, from the origin of the cell.
    cells
        Cell vectors as rows, shape ``(frame, lattice, xyz)``; None where the file has none.
    ticks
        MD step or time of each frame, shape ``(frame,)``; None where the file has none.
    images
        Cells that each atom has crossed, shape ``(frame, atom, lattice)``, where the file
        counts them.
    scalars
        Numbers of each frame by name, those of :data:`~dasksse.store.layout.IMPORTED_SCALARS`
        that the file has, each of shape ``(frame,)``: ``temperature`` [K] as measured,
        ``pressure`` [GPa] without the kinetic part, potential ``energy`` [eV].
    """

    positions: Array
    cells: Array | None
    ticks: NDArray[np.float64] | None = None
    images: NDArray[np.int64] | None = None
    scalars: Mapping[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        """Frames."""
        return len(self.positions)

    def take(self, frames: slice | NDArray[np.bool_]) -> Piece:
        """Chosen frames."""
        return replace(
            self,
            positions=self.positions[frames],
            cells=None if self.cells is None else self.cells[frames],
            ticks=None if self.ticks is None else self.ticks[frames],
            images=None if self.images is None else self.images[frames],
            scalars={name: column[frames] for name, column in self.scalars.items()},
        )


@dataclass
class Source:
    """An opened file.

    Attributes
    ----------
    path, title
        The file, and the name of its format.
    numbers
        Atomic numbers, shape ``(atom,)``, in the order of the positions.
    pieces
        Its frames; to be read once.
    bytes_read
        How much of the file has been read [bytes].
    unwrapped_by
        What in the file says that positions are unwrapped, such as *image flags*; empty when
        nothing does.
    is_wrapped
        True when the file says that positions are wrapped.
    length_unit
        Unit of lengths that goes with the format.
    tick_fs
        Length of a tick [fs]; None where it is not known.
    ticks_are_steps
        True when ticks count MD steps.
    interval_fs
        Time between frames [fs], where the file gives it.
    temperature_K
        Temperature aimed at [K], where the file gives it.
    notes
        What there is to say of it; more comes while it is read.
    """

    path: Path
    title: str
    numbers: NDArray[np.int64]
    pieces: Iterator[Piece]
    bytes_read: Callable[[], int]
    unwrapped_by: str = ""
    is_wrapped: bool = False
    length_unit: str = "angstrom"
    tick_fs: float | None = None
    ticks_are_steps: bool = False
    interval_fs: float | None = None
    temperature_K: float | None = None
    notes: list[str] = field(default_factory=list)


def frames_per_piece(n_atoms: int) -> int:
    """Frames of some atoms that make a piece."""
    return max(2, PIECE_BYTES // (24 * max(1, n_atoms)))
