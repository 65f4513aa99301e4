"""One system for each composition: names, order of atoms, and frames that are known already."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from ase.data import chemical_symbols
from ase.formula import Formula

from dasksse.records import Frames

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dasksse.records import Labels
    from dasksse.store.label_reader import FrameIdentity


class Compositions:
    """Systems by composition, and which frames of them are labelled.

    The first labels of a composition decide on the order of its atoms. Later ones are brought
    into it: the first Li goes to the place of the first Li, and so on.

    Parameters
    ----------
    known
        Atomic numbers and labelled frames of systems that exist, by name.
    """

    def __init__(
        self, known: Mapping[str, tuple[NDArray[np.int64], set[FrameIdentity]]] | None = None
    ) -> None:
        self._orders: dict[bytes, tuple[str, NDArray[np.int64]]] = {}
        self._frames: dict[str, set[FrameIdentity]] = {}
        for name, (numbers, frames) in (known or {}).items():
            self._orders.setdefault(np.sort(numbers).tobytes(), (name, numbers))
            self._frames[name] = set(frames)

    def add(self, labels: Labels) -> tuple[str, Labels, int]:
        """Take in good labels.

        Parameters
        ----------
        labels
            Labels of any order of atoms.

        Returns
        -------
        tuple[str, Labels, int]
            System, labels in its order that are not known yet, and how many are.

        Notes
        -----
        A frame is known when one of equal content has a label of the same functional, and both
        or none of them come from a surrogate.
        """
        name, numbers = self._system(np.asarray(labels.frames.numbers, dtype=np.int64))
        ordered = _reordered(labels, numbers)
        known = self._frames.setdefault(name, set())
        new = []
        for index, key in enumerate(ordered.frames.content_keys()):
            identity = (key, labels.functional, labels.is_surrogate)
            if identity not in known:
                known.add(identity)
                new.append(index)
        return name, ordered.take(new), len(ordered) - len(new)

    def _system(self, numbers: NDArray[np.int64]) -> tuple[str, NDArray[np.int64]]:
        composition = np.sort(numbers).tobytes()
        if composition not in self._orders:
            formula = Formula.from_list([chemical_symbols[z] for z in numbers])
            self._orders[composition] = f"{formula:metal}", numbers
        return self._orders[composition]


def _reordered(labels: Labels, numbers: NDArray[np.int64]) -> Labels:
    frames = labels.frames
    own = np.asarray(frames.numbers, dtype=np.int64)
    order = np.empty(len(numbers), dtype=np.int64)
    order[np.argsort(numbers, kind="stable")] = np.argsort(own, kind="stable")
    return replace(
        labels,
        frames=Frames(numbers, frames.positions[:, order], frames.cells),
        forces=labels.forces[:, order],
    )
