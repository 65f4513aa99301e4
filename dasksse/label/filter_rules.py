"""Rules that refuse a labelled frame for what it looks like, whatever the other frames are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from ase.data import atomic_masses, atomic_numbers, chemical_symbols, covalent_radii

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from dasksse.records import Frames

    Refusals = Iterator[tuple[int, str]]
    """Index of a refused frame, and the reason."""

AUTO_SHARE = 0.6
"""``auto`` refuses pairs closer than this times the sum of covalent radii. The closest pair of
the DFT labels of Huang et al. (doi:10.1063/5.0041849), expanded and molten frames included, is
Li-Li at 0.65."""


@dataclass(frozen=True)
class Reference:
    """What the frames of a system are compared with.

    Attributes
    ----------
    frame
        The structure, as one frame.
    bonds
        Centre and ligand atom of each bond of the framework, shape ``(bond, 2)``.
    cutoffs_A
        Length [Å] above which each bond is broken, shape ``(bond,)``.
    framework
        Indices of the atoms that are not mobile, shape ``(framework,)``.
    """

    frame: Frames
    bonds: NDArray[np.int64]
    cutoffs_A: NDArray[np.float64]
    framework: NDArray[np.int64]


def _too_close(frames: Frames, limit: Any, _: Any) -> Refusals:  # noqa: ANN401 - three forms
    from dasksse.structures.periodic import neighbour_pairs  # brings scipy

    limits = _pair_limits(limit, frames.numbers)
    for index in range(len(frames)):
        first, second, vectors = neighbour_pairs(
            frames.positions[index], frames.cells[index], limits.max()
        )
        missing = limits[first, second] - np.linalg.norm(vectors, axis=1)
        if missing.max(initial=0.0) > 0.0:
            worst = int(missing.argmax())
            pair = (first[worst], second[worst])
            least = limits[pair]
            text = (
                f"{_names(frames, pair)} distance of {least - missing[worst]:.2f} Å is below "
                f"{least:.2f} Å"
            )
            yield index, text


def _pair_limits(
    limit: float | str | dict[str, float], numbers: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Smallest distance [Å] of each pair of atoms; 0 where any will do, ``(atom, atom)``."""
    if isinstance(limit, str):
        radii = covalent_radii[numbers]
        return np.asarray(AUTO_SHARE * (radii[:, None] + radii))
    if not isinstance(limit, dict):
        return np.full((len(numbers), len(numbers)), limit)
    limits = np.zeros((len(numbers), len(numbers)))
    for pair, value in limit.items():
        one, other = (numbers == atomic_numbers[symbol] for symbol in pair.split("-"))
        limits[np.outer(one, other) | np.outer(other, one)] = value
    return limits


def _other_volume(frames: Frames, limit: tuple[float, float], reference: Reference) -> Refusals:
    low, high = limit
    for index, ratio in enumerate(frames.volumes_A3 / reference.frame.volumes_A3[0]):
        if not low <= ratio <= high:
            text = (
                f"volume is {ratio:.3f} of that of the structure, outside {low:g} to {high:g}"
            )
            yield index, text


def _bond_lengths(frames: Frames, bonds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Length [Å] of bonds in each frame, shape ``(frame, bond)``."""
    from dasksse.structures.periodic import minimum_image  # brings scipy

    vectors = frames.positions[:, bonds[:, 1]] - frames.positions[:, bonds[:, 0]]
    return np.linalg.norm(
        [minimum_image(*one) for one in zip(vectors, frames.cells, strict=True)], axis=2
    )


def _changed_bond(frames: Frames, limit: float, reference: Reference) -> Refusals:
    before = _bond_lengths(reference.frame, reference.bonds)[0]
    lengths = _bond_lengths(frames, reference.bonds)
    changes = lengths / before - 1.0
    for index, change in enumerate(changes):
        worst = int(np.abs(change).argmax())
        if abs(change[worst]) > limit:
            first, second = reference.bonds[worst]
            text = (
                f"{_names(frames, (first, second))} bond of atoms {first} and {second} is "
                f"{lengths[index, worst]:.2f} Å, {100 * change[worst]:+.0f} % from the "
                f"{before[worst]:.2f} Å of the structure; {100 * limit:g} % are allowed"
            )
            yield index, text


def _broken_units(frames: Frames, limit: float, reference: Reference) -> Refusals:
    is_broken = _bond_lengths(frames, reference.bonds) > reference.cutoffs_A
    centres, unit = np.unique(reference.bonds[:, 0], return_inverse=True)
    for index, bonds in enumerate(is_broken):
        n_broken = len(np.unique(unit[bonds]))
        if n_broken > limit * len(centres):
            text = (
                f"{n_broken} of {len(centres)} framework units are broken, more than a share "
                f"of {limit:g}"
            )
            yield index, text


def _molten(frames: Frames, limit: float, reference: Reference) -> Refusals:
    atoms = reference.framework
    masses = atomic_masses[frames.numbers[atoms]]
    places = reference.frame.positions[0, atoms] @ np.linalg.inv(reference.frame.cells[0])
    moved = frames.positions[:, atoms] @ np.linalg.inv(frames.cells) - places
    moved -= moved[:, :1]  # a drift, or another choice of images, is no displacement
    moved = (moved - np.round(moved)) @ frames.cells
    moved -= np.average(moved, axis=1, weights=masses)[:, None]
    for index, rmsd in enumerate(np.sqrt(np.mean(np.sum(moved**2, axis=2), axis=1))):
        if rmsd > limit:
            text = (
                f"framework atoms are {rmsd:.2f} Å (root mean square) from their places in the "
                f"structure, more than {limit:g} Å: molten"
            )
            yield index, text


def _names(frames: Frames, atoms: tuple[int, int]) -> str:
    return "-".join(chemical_symbols[frames.numbers[atom]] for atom in atoms)


class FrameRule(NamedTuple):
    """A rule on one frame: a function, and the part of the reference that it needs."""

    refuse: Callable[[Frames, Any, Any], Refusals]
    needs: str


NEEDS = {"frame": "atoms", "bonds": "rigid unit such as PS4", "framework": "immobile atom"}
"""Parts of a reference that rules cannot do without."""

FRAME_RULES: dict[str, FrameRule] = {
    "min_distance_A": FrameRule(_too_close, ""),
    "volume_ratio": FrameRule(_other_volume, "frame"),
    "max_bond_change": FrameRule(_changed_bond, "bonds"),
    "max_broken_share": FrameRule(_broken_units, "bonds"),
    "max_framework_rmsd_A": FrameRule(_molten, "framework"),
}
"""By key of ``label.filters``, in the order in which they are asked."""
