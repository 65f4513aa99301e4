"""Which atoms the rows of a LAMMPS dump are: sorted by id, the same in every frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import TrajectoryError
from dasksse.intake.species import element_numbers, element_of_mass
from dasksse.intake.text import same_words
from dasksse.intake.topology import is_lammps_data, read_atoms, read_masses

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from dasksse.intake.source import Hints

KINDS: dict[str, type] = {"id": int, "element": str, "type": int, "mass": float}
"""Columns that tell atoms apart, and what they hold."""


class AtomNames:
    """Ids and elements of the first frame, which all others must have.

    Parameters
    ----------
    path
        The dump.
    hints
        What the user says of types.

    Attributes
    ----------
    count
        Number of atoms.
    """

    def __init__(self, path: Path, hints: Hints) -> None:
        self._path = path
        self._hints = hints
        self._ids: NDArray[np.int64] | None = None
        self._kinds: dict[str, list[str]] = {}
        self._n_unsorted = 0
        self.count = 0

    def start(self, table: dict[str, Any]) -> NDArray[np.int64]:
        """Take in the first frame; give atomic numbers in the order of ids."""
        self.count = len(next(iter(table.values())))
        order = np.arange(self.count)
        if "id" in table:
            order = np.argsort(table["id"], kind="stable")
            self._ids = table["id"][order]
        for name in ("element", "type"):
            if name in table:
                self._kinds[name] = [str(table[name][i]) for i in order]
        return self._numbers(table, order)

    def sort(self, table: dict[str, Any], n_before: int) -> None:
        """Sort all columns of some frames by id; each is then ``(frame * atom,)`` again.

        Raises
        ------
        TrajectoryError
            When a frame has other atoms than the first.
        """
        if self._ids is not None:
            self._sort_by_id(table, n_before)
        for name, words in self._kinds.items():
            column = table[name]
            if name == "element":
                is_same = same_words(column, words)
            else:
                is_same = column.reshape(-1, self.count) == np.array(words, dtype=np.int64)
            if not is_same.all():
                frame, atom = np.argwhere(~is_same)[0]
                msg = (
                    f"{self._path}: frame {n_before + frame}: {name} of atom {atom + 1} is not "
                    f"{words[atom]}, as it was in frame 0; atoms must stay what they are"
                    + ("" if self._ids is not None else ", and without ids in the same order")
                )
                raise TrajectoryError(msg)

    def notes(self) -> list[str]:
        """What was done to the atoms."""
        if self._ids is None:
            return ["atoms have no id: their order is taken to be the same in all frames"]
        return [f"atoms of {self._n_unsorted} frames sorted by id"] if self._n_unsorted else []

    def _sort_by_id(self, table: dict[str, Any], n_before: int) -> None:
        ids = table["id"].reshape(-1, self.count)
        unsorted = np.flatnonzero((ids != self._ids).any(axis=1))
        if not len(unsorted):
            return
        rows = np.arange(ids.size).reshape(ids.shape)
        rows[unsorted] = np.take_along_axis(
            rows[unsorted], np.argsort(ids[unsorted], axis=1, kind="stable"), axis=1
        )
        order = rows.ravel()
        for name, column in table.items():
            table[name] = column[order]
        is_same = (table["id"].reshape(ids.shape) == self._ids).all(axis=1)
        if not is_same.all():
            msg = (
                f"{self._path}: frame {n_before + int(np.argmin(is_same))} has atoms of other "
                "ids than frame 0; all frames must have the same atoms"
            )
            raise TrajectoryError(msg)
        self._n_unsorted += len(unsorted)

    def _numbers(self, table: dict[str, Any], order: NDArray[np.int64]) -> NDArray[np.int64]:
        topology, species = self._hints.topology, self._hints.species
        if "type" in self._kinds and species:
            return element_numbers(self._kinds["type"], self._path, species)
        if "element" in self._kinds:
            return element_numbers(self._kinds["element"], self._path, species)
        if "mass" in table:
            return self._numbers_of_masses(table["mass"][order])
        if topology is not None and "type" in self._kinds and is_lammps_data(topology):
            return element_numbers(self._kinds["type"], self._path, read_masses(topology))
        if topology is not None:
            return self._numbers_of(read_atoms(topology, self._hints))
        types = sorted(set(self._kinds.get("type", ())), key=int)
        msg = (
            f"{self._path}: the elements of its types ({', '.join(types) or 'it names none'}) "
            "are not known; give them as --species-map "
            f"{','.join(f'{kind}=Li' for kind in types or ['1'])}, or a LAMMPS data file with "
            "masses or a structure file as --topology"
        )
        raise TrajectoryError(msg)

    def _numbers_of_masses(self, masses: NDArray[np.float64]) -> NDArray[np.int64]:
        elements = {mass: element_of_mass(mass) for mass in np.unique(masses)}
        unknown = [f"{mass:g}" for mass, number in elements.items() if number is None]
        if unknown:
            msg = (
                f"{self._path}: mass {', '.join(unknown)} is that of no element; give the "
                "elements of all types as --species-map 1=Li,..."
            )
            raise TrajectoryError(msg)
        return np.array([elements[mass] for mass in masses], dtype=np.int64)

    def _numbers_of(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        if len(numbers) != self.count:
            msg = (
                f"--topology {self._hints.topology}: has {len(numbers)} atoms, {self._path} "
                f"has {self.count}"
            )
            raise TrajectoryError(msg)
        return numbers
