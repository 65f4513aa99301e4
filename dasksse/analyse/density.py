"""Density of the mobile ions on a grid, relative to the framework; files for VESTA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from dasksse.analyse.paths import MEMORY_BYTES, atoms_of, follow, ion_blocks
from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dasksse.analyse.paths import IonPaths
    from dasksse.records import Trajectory

SAME_SITE_A = 1.0
"""Atoms of one element that are folded closer together than this are one site."""
MOST_POINTS = 16_000_000
CUBE, CHGCAR = "cube", "CHGCAR"


@dataclass(frozen=True)
class IonDensity:
    """Where ions are, on the average over time.

    Attributes
    ----------
    values_A3
        Density [1/Å³] at the points of the grid, of which the first is the corner of the cell,
        shape ``(a, b, c)``. Each value is the mean over the volume around its point.
    frame
        Cell, and the mean places of the atoms that stand still; of the ions where there are no
        others.
    mobile
        Symbol of the ions.
    n_ions
        Ions in the cell: the integral of the density.
    n_runs, n_frames
        Runs, and frames of all of them.
    """

    values_A3: NDArray[np.float64]
    frame: Atoms
    mobile: str
    n_ions: float
    n_runs: int
    n_frames: int

    @property
    def spacing_A(self) -> tuple[float, float, float]:
        """Distance between points along each cell vector [Å]."""
        a, b, c = self.frame.cell.lengths() / self.values_A3.shape
        return float(a), float(b), float(c)

    def write(self, path: Path) -> None:
        """Write a file that VESTA opens, in the format of its name.

        ``*.cube`` is a Gaussian cube file with values in 1/Å³; lengths in it are in bohr, as
        the format has them. ``CHGCAR*`` and ``*.vasp`` hold values times the volume, as VASP
        writes a charge density; VESTA shows them in 1/bohr³, which is 0.148 times 1/Å³.

        Raises
        ------
        AnalysisError
            If the name says no format.
        """
        if density_format(path) == CUBE:
            from ase.io.cube import write_cube

            comment = f"density of {self.mobile}, 1/angstrom^3, {self.n_frames} frames"
            with path.open("w", encoding="utf-8") as file:
                write_cube(file, self.frame, data=self.values_A3, comment=comment)
        else:
            from ase.calculators.vasp import VaspChargeDensity

            density = VaspChargeDensity(None)
            density.atoms.append(self.frame)
            density.chg.append(self.values_A3)
            density.write(str(path), format="chgcar")


def density_format(path: Path) -> str:
    """Format that the name of a file says.

    Raises
    ------
    AnalysisError
        If it says none.
    """
    if path.suffix == ".cube":
        return CUBE
    if path.name.startswith("CHGCAR") or path.suffix == ".vasp":
        return CHGCAR
    msg = f"{path}: allowed are names *.cube (Gaussian cube), CHGCAR* and *.vasp (CHGCAR)"
    raise AnalysisError(msg)


def ion_density(
    runs: Sequence[Trajectory],
    mobile: str,
    *,
    spacing_A: float = 0.2,
    supercell: tuple[int, int, int] = (1, 1, 1),
    first_frames: Sequence[int] | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> IonDensity:
    """Average the density of an element over frames and runs.

    Parameters
    ----------
    runs
        Runs of the same system at the same temperature, with the framework in the same place.
    mobile
        Symbol of the element.
    spacing_A
        Distance between points along each cell vector at most [Å].
    supercell
        How often the cell repeats a smaller one along each vector; the density is folded into
        that one and averaged.
    first_frames
        Frames of each run before this one are left out; planned equilibration if None.
    memory_bytes
        Memory for the work on one block of atoms.

    Raises
    ------
    AnalysisError
        If there is no run, runs differ in their atoms, the element is absent, spacing or
        supercell make no grid, or what :func:`dasksse.analyse.paths.follow` refuses.

    Notes
    -----
    The framework's centre of mass stands still in each run. Cells that vary are mapped to
    their mean.
    """
    if not runs or any(not np.array_equal(run.numbers, runs[0].numbers) for run in runs):
        names = ", ".join(run.name for run in runs) or "none"
        msg = f"a density needs runs of one system, found: {names}"
        raise AnalysisError(msg)
    if len(supercell) != 3 or min(supercell) < 1:  # noqa: PLR2004 - one for each vector
        msg = f"supercell {supercell}; allowed: three whole numbers above 0"
        raise AnalysisError(msg)
    starts = [None] * len(runs) if first_frames is None else first_frames
    followed = [
        follow(run, mobile, first_frame=first) for run, first in zip(runs, starts, strict=True)
    ]
    cell = np.mean([paths.mean_cell for paths in followed], axis=0)
    folds = np.array(supercell)
    unit_cell = cell / folds[:, None]
    shape = _grid_shape(unit_cell, spacing_A)
    counts = np.zeros(np.prod(shape), dtype=np.int64)
    ions = atoms_of(runs[0], mobile)
    for paths in followed:
        for block in ion_blocks(ions, paths.n_frames, memory_bytes=memory_bytes):
            points = _fractions(paths, block, memory_bytes) * (folds * shape)[:, None, None]
            places = np.rint(points).astype(np.int64)
            np.add.at(counts, np.ravel_multi_index(tuple(places), shape, mode="wrap"), 1)
    n_frames = sum(paths.n_frames for paths in followed)
    n_folded = n_frames * int(np.prod(folds))
    voxel_A3 = abs(np.linalg.det(unit_cell)) / len(counts)
    return IonDensity(
        values_A3=counts.reshape(shape) / (n_folded * voxel_A3),
        frame=_frame(followed, mobile, unit_cell, folds, memory_bytes),
        mobile=mobile,
        n_ions=len(ions) / float(np.prod(folds)),
        n_runs=len(runs),
        n_frames=n_frames,
    )


def _grid_shape(cell: NDArray[np.float64], spacing_A: float) -> tuple[int, ...]:
    """Points along each vector of the cell."""
    lengths = np.linalg.norm(cell, axis=1)
    n_points = np.prod(lengths / spacing_A) if spacing_A > 0.0 else np.inf
    if not n_points <= MOST_POINTS:
        least_A = float(np.cbrt(np.prod(lengths) / MOST_POINTS))
        msg = (
            f"grid spacing {spacing_A:g} Å; allowed: {least_A:.2g} Å or more, for a grid of at "
            f"most {MOST_POINTS // 10**6} million points"
        )
        raise AnalysisError(msg)
    return tuple(int(n) for n in np.ceil(lengths / spacing_A - 1e-9))


def _fractions(
    paths: IonPaths, atoms: NDArray[np.int64], memory_bytes: int
) -> NDArray[np.float64]:
    """Fractional coordinates free of drift, shape ``(lattice, atom, frame)``."""
    columns = paths.columns(atoms, memory_bytes=memory_bytes)
    return np.tensordot(np.linalg.inv(paths.mean_cell).T, columns, axes=1)


def _frame(
    followed: Sequence[IonPaths],
    mobile: str,
    unit_cell: NDArray[np.float64],
    folds: NDArray[np.int64],
    memory_bytes: int,
) -> Atoms:
    """Mean places of the atoms that stand still, folded into the unit cell."""
    paths = followed[0]
    numbers = paths.run.numbers
    ions = atoms_of(paths.run, mobile)
    still = np.setdiff1d(np.arange(len(numbers)), ions)
    shown = still if len(still) else ions
    blocks = ion_blocks(shown, paths.n_frames, memory_bytes=memory_bytes)
    means = [_fractions(paths, block, memory_bytes).mean(axis=-1).T for block in blocks]
    fractions = np.concatenate(means) * folds
    order = np.argsort(numbers[shown], kind="stable")
    kept: list[int] = []
    for atom in order:
        rivals = [one for one in kept if numbers[shown[one]] == numbers[shown[atom]]]
        apart = fractions[rivals] - fractions[atom]
        distances = np.linalg.norm((apart - np.rint(apart)) @ unit_cell, axis=1)
        if not (distances < SAME_SITE_A).any():
            kept.append(int(atom))
    return Atoms(
        numbers[shown[kept]], scaled_positions=fractions[kept] % 1.0, cell=unit_cell, pbc=True
    )
