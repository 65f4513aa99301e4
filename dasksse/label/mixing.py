"""Guard against training sets of labels whose energies do not compare.

Two DFT programs, two functionals or a program and its surrogate disagree by a constant per
element of up to thousands of eV, and by less regular amounts beside it. Labels of different
origin are therefore refused unless the user asks for them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from ase.data import chemical_symbols
from ase.formula import Formula

from dasksse.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from dasksse.label.filters import LabelPart
    from dasksse.records import Labels

    Origin = tuple[str, str]
    """Source and functional."""

    Energies = Mapping[str, tuple[float, NDArray[np.int64]]]
    """Energy [eV] and atomic numbers of each frame, by content key."""


def unmixed(
    parts: Sequence[LabelPart], mixing: str
) -> tuple[tuple[LabelPart, ...], tuple[str, ...]]:
    """Labels that may share a training set.

    Parameters
    ----------
    parts
        Labels in the order they were asked for: the last ones are of the calculator in use.
    mixing
        ``refuse`` labels of more than one source and functional, take them ``as_is``, or
        ``align`` the energies of the others to those of the last part.

    Returns
    -------
    tuple
        The parts, and notes on what was mixed and by how much energies were shifted.

    Raises
    ------
    ConfigError
        When labels are mixed and must not be, or cannot be aligned.

    Notes
    -----
    ``align`` takes one energy per element from frames that both sources have labelled, by
    least squares, and keeps such a frame once, with the label of the reference. Nothing else
    will do: matching the mean energies of different frames, even with the forces as a measure
    of how hot they are, misses by up to 130 meV/atom between parts of one DFT data set.
    """
    origins = list(dict.fromkeys(_origin(part.labels) for part in parts))
    if len(origins) < 2:  # noqa: PLR2004 - one alone is not mixed
        return tuple(parts), ()
    if mixing == "refuse":
        msg = (
            "the training set would mix labels whose energies do not compare:\n"
            f"{_listed(parts)}\n"
            "use one calculator for all of them, or set label.mixing to `align` (energies are "
            "shifted, by frames that both have labelled) or `as_is`; the labels stay on disk"
        )
        raise ConfigError(msg)
    if mixing == "as_is":
        return tuple(parts), (f"mixed as they are:\n{_listed(parts)}",)
    return _aligned(parts, origins)


def _origin(labels: Labels) -> Origin:
    return labels.source, labels.functional


def _listed(parts: Sequence[LabelPart]) -> str:
    counts: Counter[tuple[str, str, bool, str]] = Counter()
    for part in parts:
        labels = part.labels
        counts[*_origin(labels), labels.is_surrogate, part.system] += len(labels)
    return "\n".join(
        f"  {n} frames of {system}: {source}, functional {functional}"
        + ", surrogate" * is_surrogate
        for (source, functional, is_surrogate, system), n in counts.items()
    )


def _aligned(
    parts: Sequence[LabelPart], origins: Sequence[Origin]
) -> tuple[tuple[LabelPart, ...], tuple[str, ...]]:
    reference = _origin(parts[-1].labels)
    known = _energies(parts, reference)
    shifts = {reference: np.zeros(len(chemical_symbols))}
    notes = []
    for origin in origins:
        if origin == reference:
            continue
        own = [part for part in parts if _origin(part.labels) == origin]
        shifts[origin], note = _shift(own, _energies(own, origin), known)
        notes.append(note)
    aligned = []
    for part in parts:
        origin = _origin(part.labels)
        shifted = _shifted(part, shifts[origin])
        if origin != reference:
            keys = part.labels.frames.content_keys()
            shifted = shifted.take([i for i, key in enumerate(keys) if key not in known])
        if len(shifted.labels):
            aligned.append(shifted)
    return tuple(aligned), tuple(notes)


def _energies(parts: Sequence[LabelPart], origin: Origin) -> Energies:
    """What a source says of each frame."""
    return {
        key: (float(energy), part.labels.frames.numbers)
        for part in parts
        if _origin(part.labels) == origin
        for key, energy in zip(
            part.labels.frames.content_keys(), part.labels.energies, strict=True
        )
    }


def _shift(
    own: Sequence[LabelPart], energies: Energies, known: Energies
) -> tuple[NDArray[np.float64], str]:
    """Energy [eV] to add for each atom, by atomic number, and a note on the fit.

    Raises
    ------
    ConfigError
        When the frames in common do not fix the shift of every composition.
    """
    source, functional = _origin(own[0].labels)
    shared = sorted(energies.keys() & known.keys())
    atoms = _counts([energies[key][1] for key in shared])
    _require_fixed(own, atoms)
    differences = np.array([known[key][0] - energies[key][0] for key in shared])
    shift = np.linalg.lstsq(atoms, differences, rcond=None)[0]
    rest = (differences - atoms @ shift) / atoms.sum(axis=1)
    elements = ", ".join(
        f"{chemical_symbols[z]} {shift[z]:+.4f}" for z in np.flatnonzero(atoms.any(axis=0))
    )
    return shift, (
        f"energies of {source}, functional {functional}, were shifted by {elements} eV, from "
        f"{len(shared)} frames in common; what remains there is "
        f"{1000.0 * np.sqrt(np.mean(rest**2)):.1f} meV/atom (root mean square)"
    )


def _counts(numbers: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Atoms of each element, shape ``(frame, atomic number)``."""
    empty = np.empty((0, len(chemical_symbols)))
    rows = [np.bincount(one, minlength=len(chemical_symbols)) for one in numbers]
    return np.vstack([empty, *rows])


def _require_fixed(own: Sequence[LabelPart], atoms: NDArray[np.float64]) -> None:
    rank = np.linalg.matrix_rank(atoms) if len(atoms) else 0
    for part in own:
        numbers = part.labels.frames.numbers
        if np.linalg.matrix_rank(np.vstack([atoms, _counts([numbers])])) > rank:
            source, functional = _origin(part.labels)
            formula = Formula.from_list([chemical_symbols[z] for z in numbers])
            msg = (
                f"label.mixing: align: the energies of {part.system} ({formula:metal}) from "
                f"{source}, functional {functional}, cannot be shifted: {len(atoms)} frames "
                "are labelled by that and by the calculator in use too, none of a composition "
                "that fixes the shift; label some of its frames with both, or leave it out"
            )
            raise ConfigError(msg)


def _shifted(part: LabelPart, shift: NDArray[np.float64]) -> LabelPart:
    energies = part.labels.energies + shift[part.labels.frames.numbers].sum()
    return replace(part, labels=replace(part.labels, energies=energies))
