"""Framework watch: whether the rigid units of the start structure, such as PS4, are whole.

A superionic conductor has a framework that vibrates and a carrier that moves. A run whose
units lose or exchange ligands, or whose framework atoms leave their places, has melted or
decomposed, and its D is not that of the electrolyte.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers, chemical_symbols, covalent_radii
from ase.neighborlist import neighbor_list

from dasksse.errors import StructureError
from dasksse.structures.periodic import minimum_image

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from dasksse.config.schema import PolyhedronSection

BROKEN_OVER_MEAN = 1.4
"""A bond is broken beyond this times the mean length of its kind in the start structure."""
BOND_OVER_RADII = 1.25
"""A bond of the start structure is at most this times the sum of covalent radii."""
SHELL_GAP = 1.25
"""The first shell ends where the next neighbour is farther by more than this factor."""
RIGID_COORDINATION = range(2, 7)
"""Units found unasked have so many ligands: a larger cage, as around La, is no rigid unit."""
ANIONS = ("F", "O", "Cl", "N", "Br", "I", "S", "Se", "H", "Te")
"""Elements that can be ligands, by falling electronegativity; one can be the centre for those
before it, as S is in SO4."""
_BLOCK_ATOMS = 2**20
"""Atoms times frames looked at together, which bounds memory to about 100 MiB."""


@dataclass(frozen=True)
class FrameworkState:
    """What the watch saw in each frame.

    Attributes
    ----------
    intact
        True where every centre keeps its very ligands, shape ``(frame,)``; False for a frame
        that is not finite.
    broken_units
        Units with a broken bond, shape ``(frame,)``; all units for a frame that is not finite.
    drift_A
        Distance [Å] of the framework's centre of mass from that of the start structure,
        shape ``(frame,)``.
    framework_rmsd_A
        Root-mean-square displacement [Å] of framework atoms from the start structure, drift
        and change of cell taken out, shape ``(frame,)``. It grows without end in a melt.
    """

    intact: NDArray[np.bool_]
    broken_units: NDArray[np.int64]
    drift_A: NDArray[np.float64]
    framework_rmsd_A: NDArray[np.float64]


@dataclass(frozen=True)
class Framework:
    """Bonds of the start structure that a run must keep, and where its atoms stood.

    Attributes
    ----------
    numbers
        Atomic numbers of all atoms, shape ``(atom,)``.
    atoms
        Indices of the framework's atoms: all that are not mobile, shape ``(framework,)``.
    fractions
        Their fractional coordinates in the start structure, shape ``(framework, xyz)``.
    bonds
        Centre and ligand atom of each bond, shape ``(bond, 2)``, sorted by centre.
    cutoffs_A
        Length [Å] above which each bond is broken, shape ``(bond,)``.
    """

    numbers: NDArray[np.int64]
    atoms: NDArray[np.int64]
    fractions: NDArray[np.float64]
    bonds: NDArray[np.int64]
    cutoffs_A: NDArray[np.float64]

    @classmethod
    def from_structure(
        cls,
        numbers: NDArray[np.int64],
        positions: NDArray[np.float64],
        cell: NDArray[np.float64],
        *,
        mobile: str,
        polyhedra: Sequence[PolyhedronSection] | None,
    ) -> Self:
        """Find the units of a start structure.

        Parameters
        ----------
        numbers
            Atomic numbers, shape ``(atom,)``.
        positions
            Positions [Å], wrapped or not, shape ``(atom, xyz)``.
        cell
            Cell vectors as rows [Å], shape ``(lattice, xyz)``.
        mobile
            Symbol of the carrier, which belongs to no unit.
        polyhedra
            Kinds of unit to follow; those whose elements the structure lacks are passed over.
            When None, a unit is every cation with two to six anions at bond distance; there
            may be none, as in a metal, and then every finite frame is intact.

        Raises
        ------
        StructureError
            If a unit asked for has no bond in the structure, or a bond beyond its cut-off,
            or if no unit asked for has its elements in the structure.
        """
        numbers = np.asarray(numbers, dtype=np.int64)
        atoms = Atoms(numbers, positions=positions, cell=cell, pbc=True)
        if polyhedra is None:
            bonds = _rigid(_first_shells(atoms, _possible_pairs(atoms, mobile)))
            limits: dict[tuple[str, str], float | None] = {}
        else:
            limits = _asked(atoms, polyhedra)
            bonds = _first_shells(atoms, limits)
        framework = np.flatnonzero(numbers != atomic_numbers[mobile])
        return cls(
            numbers=numbers,
            atoms=framework,
            fractions=atoms.get_scaled_positions(wrap=False)[framework],
            bonds=np.array([(one.centre, one.ligand) for one in bonds], int).reshape(-1, 2),
            cutoffs_A=_cutoffs(bonds, limits),
        )

    @property
    def units(self) -> dict[str, int]:
        """How many units of each kind there are, such as ``{"GeS4": 2, "PS4": 4}``."""
        names: Counter[str] = Counter()
        for centre in np.unique(self.bonds[:, 0]):
            ligands = sorted(self.numbers[self.bonds[self.bonds[:, 0] == centre, 1]])
            shell = Counter(chemical_symbols[number] for number in ligands).most_common()
            parts = [f"{symbol}{n if n > 1 else ''}" for symbol, n in shell]
            names[chemical_symbols[self.numbers[centre]] + "".join(parts)] += 1
        return dict(sorted(names.items()))

    def watch(
        self, positions: NDArray[np.float64], cells: NDArray[np.float64]
    ) -> FrameworkState:
        """Check every unit in every frame.

        Parameters
        ----------
        positions
            Unwrapped positions [Å], shape ``(frame, atom, xyz)``; the images of the first
            finite frame may differ from those of the start structure.
        cells
            Cell vectors as rows [Å], shape ``(frame, lattice, xyz)``.

        Returns
        -------
        FrameworkState
            Displacements are NaN where a frame is not finite or no atom is immobile.

        Raises
        ------
        StructureError
            If the arrays do not fit the start structure.

        Notes
        -----
        Displacements are differences of fractional coordinates times the frame's cell, so a
        breathing cell is no displacement. Bonds follow the minimum image.
        """
        n_frames, n_atoms = np.shape(positions)[0], len(self.numbers)
        if np.shape(positions) != (n_frames, n_atoms, 3) or np.shape(cells) != (n_frames, 3, 3):
            msg = (
                f"framework watch: positions {np.shape(positions)} and cells "
                f"{np.shape(cells)} must be (frame, {n_atoms}, 3) and (frame, 3, 3)"
            )
            raise StructureError(msg)
        finite = np.asarray(np.isfinite(positions).all(axis=(1, 2)))
        finite &= np.isfinite(cells).all(axis=(1, 2))
        finite[finite] = np.linalg.det(np.asarray(cells, dtype=float)[finite]) != 0.0
        good = np.flatnonzero(finite)
        n_units = len(np.unique(self.bonds[:, 0]))
        broken = np.full(n_frames, n_units)
        displacements = np.full((2, n_frames), np.nan)
        images = np.zeros_like(self.fractions)
        size = max(1, _BLOCK_ATOMS // max(1, n_atoms))
        for start in range(0, len(good), size):
            block = good[start : start + size]
            some_cells = np.asarray(cells[block], dtype=float)
            fractions = np.asarray(positions[block], dtype=float) @ np.linalg.inv(some_cells)
            if start == 0:  # whole cells between the start structure and the first good frame
                images = np.round(fractions[0, self.atoms] - self.fractions)
            broken[block] = self._broken_units(fractions, some_cells)
            displacements[:, block] = self._displacements(fractions, some_cells, images)
        drift, rmsd = displacements
        return FrameworkState(finite & (broken == 0), broken, drift, rmsd)

    def _broken_units(
        self, fractions: NDArray[np.float64], cells: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Units with a bond beyond its cut-off, shape ``(frame,)``."""
        if not len(self.bonds):
            return np.zeros(len(fractions), dtype=np.int64)
        vectors = fractions[:, self.bonds[:, 1]] - fractions[:, self.bonds[:, 0]]
        vectors = (vectors - np.round(vectors)) @ cells
        spacings = 1.0 / np.linalg.norm(np.linalg.inv(cells), axis=1)
        for frame in np.flatnonzero(spacings.min(axis=1) < 2.0 * self.cutoffs_A.max()):
            vectors[frame] = minimum_image(vectors[frame], cells[frame])
        is_broken = np.linalg.norm(vectors, axis=2) > self.cutoffs_A
        first_bonds = np.unique(self.bonds[:, 0], return_index=True)[1]
        return np.asarray(np.logical_or.reduceat(is_broken, first_bonds, axis=1).sum(axis=1))

    def _displacements(
        self,
        fractions: NDArray[np.float64],
        cells: NDArray[np.float64],
        images: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Drift and root-mean-square displacement [Å], shape ``(2, frame)``."""
        if not len(self.atoms):
            return np.full((2, len(fractions)), np.nan)
        moved = (fractions[:, self.atoms] - self.fractions - images) @ cells
        masses = atomic_masses[self.numbers[self.atoms]]
        drift = np.average(moved, axis=1, weights=masses)
        rest = moved - drift[:, None]
        rmsd = np.sqrt(np.mean(np.sum(rest**2, axis=2), axis=1))
        return np.stack([np.linalg.norm(drift, axis=1), rmsd])


class _Bond(NamedTuple):
    """Centre and ligand atom, their elements, and the length [Å] in the start structure."""

    centre: int
    ligand: int
    pair: tuple[str, str]
    length_A: float


def _asked(
    atoms: Atoms, polyhedra: Sequence[PolyhedronSection]
) -> dict[tuple[str, str], float | None]:
    """Cut-off of each pair of centre and ligand that was listed and is in the structure."""
    limits = {
        (one.centre, one.ligand): one.cutoff_A
        for one in polyhedra
        if {one.centre, one.ligand} <= set(atoms.symbols)
    }
    if not limits:
        listed = ", ".join(f"{one.centre}-{one.ligand}" for one in polyhedra)
        msg = (
            f"explore.framework: none of [{listed}] is in {atoms.symbols}; list units of this "
            "structure, or leave the key out to have them found"
        )
        raise StructureError(msg)
    return limits


def _possible_pairs(atoms: Atoms, mobile: str) -> list[tuple[str, str]]:
    """Pairs of cation and anion that could be bonded."""
    present = sorted(set(atoms.symbols) - {mobile})
    rank = {symbol: i for i, symbol in enumerate(ANIONS)}
    return [
        (centre, ligand)
        for centre in present
        for ligand in present
        if ligand in rank and rank[ligand] < rank.get(centre, len(rank))
    ]


def _first_shells(atoms: Atoms, pairs: Collection[tuple[str, str]]) -> list[_Bond]:
    """Bonds from each centre to its first shell of ligands, sorted by centre."""
    reach = {
        pair: BOND_OVER_RADII * sum(covalent_radii[atomic_numbers[one]] for one in pair)
        for pair in pairs
    }
    neighbours: dict[tuple[int, tuple[str, str]], dict[int, float]] = defaultdict(dict)
    if reach:
        symbols = atoms.get_chemical_symbols()
        found = zip(*neighbor_list("ijd", atoms, reach), strict=True)
        for i, j, length in sorted(found, key=lambda one: one[2]):
            pair = (symbols[i], symbols[j])
            if pair in reach:
                # a second image of the same ligand is farther and no bond of its own
                neighbours[int(i), pair].setdefault(int(j), float(length))
    bonds: list[_Bond] = []
    for (centre, pair), shell in neighbours.items():
        last = 0.0
        for ligand, length in shell.items():
            if last and length > SHELL_GAP * last:
                break
            bonds.append(_Bond(centre, ligand, pair, length))
            last = length
    return sorted(bonds)


def _rigid(bonds: list[_Bond]) -> list[_Bond]:
    """Bonds of centres with few enough ligands to be a unit."""
    coordination = Counter(bond.centre for bond in bonds)
    return [bond for bond in bonds if coordination[bond.centre] in RIGID_COORDINATION]


def _cutoffs(
    bonds: list[_Bond], limits: Mapping[tuple[str, str], float | None]
) -> NDArray[np.float64]:
    """Length [Å] above which each bond is broken, shape ``(bond,)``."""
    lengths: dict[tuple[str, str], list[float]] = defaultdict(list)
    for bond in bonds:
        lengths[bond.pair].append(bond.length_A)
    cutoffs: dict[tuple[str, str], float] = {}
    for pair in {*lengths, *limits}:
        if pair not in lengths:
            msg = (
                f"explore.framework: no {pair[0]}-{pair[1]} bond in the start structure; "
                "correct the unit, or leave it out"
            )
            raise StructureError(msg)
        longest = max(lengths[pair])
        found = max(BROKEN_OVER_MEAN * fmean(lengths[pair]), longest)
        cutoffs[pair] = limits.get(pair) or found
        if longest > cutoffs[pair]:
            msg = (
                f"explore.framework: a {pair[0]}-{pair[1]} bond of the start structure is "
                f"{longest:.2f} Å long, beyond its cutoff_A of {cutoffs[pair]:g} Å; raise it"
            )
            raise StructureError(msg)
    return np.array([cutoffs[bond.pair] for bond in bonds])
