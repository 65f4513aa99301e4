"""Random walks of known paths, and the files that MD programs would write of them."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase.data import chemical_symbols

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

CUBE = np.diag([9.0, 9.0, 9.0])
SKEWED = np.array([[9.0, 0.0, 0.0], [-7.0, 8.0, 0.0], [3.5, -3.0, 8.5]])


@dataclass(frozen=True)
class Walk:
    """Atoms on known paths.

    Attributes
    ----------
    numbers
        Atomic numbers, shape ``(atom,)``.
    fractions
        Unwrapped fractions, shape ``(frame, atom, lattice)``.
    cells
        Cell vectors as rows [Å], shape ``(frame, lattice, xyz)``.
    """

    numbers: NDArray[np.int64]
    fractions: Array
    cells: Array

    @property
    def symbols(self) -> list[str]:
        """Symbol of each atom."""
        return [chemical_symbols[number] for number in self.numbers]

    @property
    def unwrapped(self) -> Array:
        """Lattice-consistent positions [Å]."""
        return self.fractions @ self.cells

    @property
    def wrapped(self) -> Array:
        """Positions inside the cell [Å]."""
        return (self.fractions - np.floor(self.fractions)) @ self.cells

    def part(self, frames: slice) -> Walk:
        """Some frames."""
        return Walk(self.numbers, self.fractions[frames], self.cells[frames])


def make_walk(
    cell: Array = CUBE,
    *,
    n_frames: int = 60,
    step_A: float = 0.25,
    breathing: float = 0.0,
    seed: int = 0,
) -> Walk:
    """Eight Li that walk and eight S that rattle, in a cell that may breathe and shear."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid([0.1, 0.6], [0.1, 0.6], [0.1, 0.6]), axis=-1).reshape(-1, 3)
    start = np.concatenate([places, places + 0.25])
    steps = rng.normal(0.0, step_A, size=(n_frames, 16, 3))
    steps[:, 8:] = np.diff(rng.normal(0.0, step_A / 5.0, size=(n_frames + 1, 8, 3)), axis=0)
    steps[0] = 0.0
    strain = breathing * rng.normal(size=(n_frames, 3, 3))
    cells = cell @ (np.eye(3) + (strain + strain.transpose(0, 2, 1)) / 2.0)
    fractions = start + np.cumsum(steps @ np.linalg.inv(cell), axis=0)
    return Walk(np.repeat([3, 16], 8), fractions, cells)


def write_extxyz(path: Path, walk: Walk, positions: Array, extra: str = "") -> Path:
    """Extended XYZ."""
    lines = []
    for frame, cell in zip(positions, walk.cells, strict=True):
        lattice = " ".join(f"{value:.10f}" for value in cell.ravel())
        lines.append(
            f'{len(frame)}\nLattice="{lattice}" Properties=species:S:1:pos:R:3 {extra}'
        )
        lines += [
            f"{symbol:2s} {x:.8f} {y:.8f} {z:.8f}"
            for symbol, (x, y, z) in zip(walk.symbols, frame, strict=True)
        ]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_xdatcar(path: Path, walk: Walk, positions: Array) -> Path:
    """XDATCAR: the header once, or above each frame when the cell varies."""
    lines = []
    fractions = positions @ np.linalg.inv(walk.cells)
    varies = bool(np.ptp(walk.cells, axis=0).max() > 0.0)
    for number, (frame, cell) in enumerate(zip(fractions, walk.cells, strict=True)):
        if number == 0 or varies:
            lines += ["walk", "  1.0", *(" ".join(f"{x:.10f}" for x in row) for row in cell)]
            lines += ["Li S", "8 8"]
        lines.append(f"Direct configuration= {number + 1:5d}")
        lines += [" ".join(f"{x:11.8f}" for x in row) for row in frame]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_vasprun(path: Path, walk: Walk, positions: Array) -> Path:
    """vasprun.xml, as far as positions need it; packed when the name ends in .gz."""
    atoms = "".join(f"<rc><c>{s}</c><c>1</c></rc>" for s in walk.symbols)
    text = (
        '<?xml version="1.0"?><modeling><generator><i name="version">6.4</i></generator>'
        '<incar><i name="POTIM">2.0</i><i name="IBRION">0</i><i name="TEBEG">700</i>'
        '<i name="TEEND">700</i></incar>'
        f'<atominfo><array name="atoms"><set>{atoms}</set></array></atominfo>'
    )
    for fractions, cell in zip(positions @ np.linalg.inv(walk.cells), walk.cells, strict=True):
        basis, rows = (
            "".join(f"<v>{x:.10f} {y:.10f} {z:.10f}</v>" for x, y, z in table)
            for table in (cell, fractions)
        )
        text += (
            f'<calculation><structure><crystal><varray name="basis">{basis}</varray></crystal>'
            f'<varray name="positions">{rows}</varray></structure></calculation>'
        )
    data = (text + "</modeling>").encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_dump(
    path: Path,
    walk: Walk,
    positions: Array,
    *,
    columns: str = "id type x y z",
    stride: int = 100,
    first_step: int = 0,
    change: Callable[[int, list[str]], list[str]] = lambda _, rows: rows,
) -> Path:
    """LAMMPS dump in a general box; ``change`` may spoil the rows of a frame."""
    scaled = positions @ np.linalg.inv(walk.cells)
    images = np.floor(walk.fractions)
    text = []
    for number, (frame, cell) in enumerate(zip(positions, walk.cells, strict=True)):
        box = [" ".join(f"{x:.10f}" for x in [*row, 0.0]) for row in cell]
        rows = []
        for atom in range(len(frame)):
            words = {
                "id": str(atom + 1),
                "type": str(1 + atom // 8),
                "element": walk.symbols[atom],
                "mass": "6.94" if atom < 8 else "32.06",
            }
            for axis, name in enumerate("xyz"):
                words[name] = words[f"{name}u"] = f"{frame[atom, axis]:.8f}"
                words[f"{name}s"] = words[f"{name}su"] = f"{scaled[number, atom, axis]:.10f}"
                words[f"i{name}"] = f"{images[number, atom, axis]:.0f}"
            rows.append(" ".join(words[column] for column in columns.split()) + " ")
        rows = change(number, rows)
        text += [
            "ITEM: TIMESTEP",
            str(first_step + stride * number),
            f"ITEM: NUMBER OF ATOMS\n{len(rows)}",
            "ITEM: BOX BOUNDS abc origin pp pp pp",
            *box,
            f"ITEM: ATOMS {columns}",
            *rows,
        ]
    data = ("\n".join(text) + "\n").encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path
