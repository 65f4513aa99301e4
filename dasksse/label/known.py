"""Labels that exist already, in place of those that would be computed again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from dasksse.label.contract import Answer, LabelCalculator
from dasksse.records import Frames

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dasksse.label.contract import Place
    from dasksse.records import Labels


class KnownLabels(LabelCalculator):
    """Gives labels that exist, and has a calculator compute the others.

    A label stands for a frame of equal content, whole lattice vectors aside, if source,
    functional and kind (surrogate or not) are those of the calculator. One without virial does
    not where the virial is asked for and the calculator would give it.

    Parameters
    ----------
    calculator
        Computes what is not known.
    stored
        Labels that exist, of any source; those that failed are passed over.
    """

    def __init__(self, calculator: LabelCalculator, stored: Iterable[Labels]) -> None:
        self._calculator = calculator
        self.source = calculator.source
        self.functional = calculator.functional
        self.is_surrogate = calculator.is_surrogate
        self.gives_virial = calculator.gives_virial
        self._answers: dict[str, Answer] = {}
        for labels in stored:
            if _origin(labels) == _origin(calculator):
                self._add(labels)

    def _add(self, labels: Labels) -> None:
        frames, has_virial = labels.frames, labels.has_virial
        for i in np.flatnonzero(labels.is_good):
            key = _key(Atoms(frames.numbers, frames.positions[i], cell=frames.cells[i]))
            virial = labels.virials[i] if has_virial[i] else None
            if key not in self._answers or virial is not None:
                energy, forces = float(labels.energies[i]), labels.forces[i]
                self._answers[key] = Answer(energy, forces, virial, is_known=True)

    def single_point(self, atoms: Atoms, place: Place, *, virial: bool = True) -> Answer:
        """Label of a configuration, computed only where none is known."""
        known = self._answers.get(_key(atoms)) if self._answers else None
        is_asked = virial and self.gives_virial
        if known is None or (is_asked and known.virial is None):
            return self._calculator.single_point(atoms, place, virial=virial)
        given = known.virial if is_asked else None
        return Answer(known.energy, known.forces, given, is_known=True)

    def forget(self) -> None:
        """Drop what a failed calculation may have left behind."""
        self._calculator.forget()


def _origin(labels: Labels | LabelCalculator) -> tuple[str, str, bool]:
    return labels.source, labels.functional, labels.is_surrogate


def _key(atoms: Atoms) -> str:
    """Content key of a periodic configuration with all atoms in the cell."""
    inside = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    inside.wrap()
    frames = Frames(
        np.asarray(inside.numbers, dtype=np.int64), inside.positions[None], inside.cell[:][None]
    )
    return frames.content_keys()[0]
