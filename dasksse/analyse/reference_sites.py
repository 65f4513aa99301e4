"""Sites of the mobile ions from a reference structure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dasksse.analyse.alignment import cell_difference, framework_orbits
from dasksse.analyse.sites import (
    MAX_CLASSES,
    SAME_SITE_A,
    Sites,
    merge_close,
    numbered_classes,
)
from dasksse.errors import AnalysisError
from dasksse.structures.read import NOTES, SITE_NAMES, read_structure

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pymatgen.core import PeriodicSite, Species, Structure

EMPTY = "X"
"""Symbol of sites that no ion needs to be on."""


def read_reference_sites(
    path: Path,
    mobile: str,
    cell: NDArray[np.float64],
    *,
    supercell: tuple[int, int, int] | None = None,
    merge_below_A: float = SAME_SITE_A,
) -> Sites:
    """Sites of an element in a structure file, as often as they are in a cell.

    Parameters
    ----------
    path
        CIF with partial occupancies, or any other format that pymatgen or ASE reads. All sites
        that hold the element count, however little; further sites, such as interstitial ones,
        may be given as element X.
    mobile
        Symbol of the element.
    cell
        Mean cell of the trajectories as rows [Å], shape ``(lattice, xyz)``.
    supercell
        How often the cell repeats that of the file along each vector; found where it is None.
    merge_below_A
        Sites closer than this become one at their mean [Å].

    Raises
    ------
    StructureError
        If the file cannot be read.
    AnalysisError
        If it has no site of the element, or no repetition of its cell fits.
    """
    structure = read_structure(str(path), base_dir=Path())
    return reference_sites(
        structure,
        mobile,
        cell,
        supercell=supercell,
        merge_below_A=merge_below_A,
        source=str(path),
    )


def reference_sites(
    structure: Structure,
    mobile: str,
    cell: NDArray[np.float64],
    *,
    supercell: tuple[int, int, int] | None = None,
    merge_below_A: float = SAME_SITE_A,
    source: str = "reference structure",
) -> Sites:
    """Sites of an element in a structure, as often as they are in a cell.

    Parameters are those of :func:`read_reference_sites`, with the structure as
    :func:`dasksse.structures.read_structure` gives it and a name for it.

    Raises
    ------
    AnalysisError
        If it has no site of the element, or no repetition of its cell fits.

    Notes
    -----
    Classes are the names of the file (labels and Wyckoff symbols), or, where the file has none
    or a name for each site, the orbits of the framework's symmetry.
    """
    holds_ion = np.array([_holds(site, mobile) for site in structure])
    if not holds_ion.any():
        elements = ", ".join(sorted({e.symbol for e in structure.composition.elements}))
        msg = f"{source}: no site of {mobile} (or X); its elements are {elements}"
        raise AnalysisError(msg)
    matrix = _multiples(structure.lattice.matrix, cell, supercell, source)
    places = structure.frac_coords[holds_ion]
    names, class_of = _classes(structure, holds_ion, mobile)
    weights = np.array([_occupancy(site, mobile) for site in structure])[holds_ion]
    owners = merge_close(places, structure.lattice.matrix, weights, merge_below_A)
    kept = np.unique(owners)
    notes = list(structure.properties.get(NOTES, ()))
    if len(kept) < len(places):
        notes.append(
            f"{source}: of {len(places)} sites of {mobile} those closer than "
            f"{merge_below_A:g} Å were merged, {len(kept)} are left"
        )
    names, kept_class = _merged_classes(names, class_of, owners, kept)
    fractions, copies = _repeated(_centres(places, owners, kept), matrix)
    is_framework = [any(_is_other(s, mobile) for s in site.species) for site in structure]
    anchors, _ = _repeated(structure.frac_coords[np.array(is_framework)], matrix)
    return Sites(
        species=mobile,
        cell=cell,
        fractions=fractions,
        classes=names,
        class_of=kept_class[copies],
        anchors=anchors,
        source=source,
        notes=tuple(notes),
    )


def _holds(site: PeriodicSite, mobile: str) -> bool:
    return any(not _is_other(species, mobile) for species in site.species)


def _is_other(species: Species, mobile: str) -> bool:
    """Whether a species belongs to the framework."""
    return str(species.symbol) not in {mobile, EMPTY}


def _occupancy(site: PeriodicSite, mobile: str) -> float:
    return sum(
        share for species, share in site.species.items() if not _is_other(species, mobile)
    )


def _multiples(
    unit_cell: NDArray[np.float64],
    cell: NDArray[np.float64],
    supercell: tuple[int, int, int] | None,
    source: str,
) -> NDArray[np.int64]:
    """Whole-number matrix that makes the cell of the trajectories out of that of the file."""
    lengths = np.linalg.norm(cell, axis=1) / np.linalg.norm(unit_cell, axis=1)
    guess = np.diag(np.maximum(np.rint(lengths), 1) if supercell is None else supercell)
    trials = [guess.astype(np.int64)]
    oblique = np.rint(cell @ np.linalg.inv(unit_cell)).astype(np.int64)
    if supercell is None and round(np.linalg.det(oblique)):
        trials.append(oblique)
    for matrix in trials:
        if cell_difference(cell, matrix @ unit_cell) is None:
            return matrix
    times = " x ".join(str(count) for count in np.diag(guess).astype(int))
    msg = (
        f"{source}: the cell does not match that of the trajectories, nor do {times} of it: "
        f"{cell_difference(cell, guess @ unit_cell)}. Give the structure in the setting and "
        "with the order of axes of the trajectories, or take sites from the density"
    )
    raise AnalysisError(msg)


def _classes(
    structure: Structure, holds_ion: NDArray[np.bool_], mobile: str
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Names of classes, and the class of each site that can hold an ion."""
    sites = [site for site, holds in zip(structure, holds_ion, strict=True) if holds]
    given = [str(site.properties.get(SITE_NAMES, site.label)) for site in sites]
    is_named = set(given) != {mobile}
    if is_named and len(set(given)) <= min(MAX_CLASSES, max(len(sites) // 2, 3)):
        names, class_of = np.unique(given, return_inverse=True)
        return tuple(names.tolist()), class_of
    still = structure.copy()
    still.remove_sites(np.flatnonzero(holds_ion).tolist())
    groups = np.arange(len(sites))
    if len(still):
        numbers = np.array([max(site.species, key=site.species.get).Z for site in still])
        frame = (still.lattice.matrix, still.frac_coords, numbers)
        groups = framework_orbits(structure.frac_coords[holds_ion], frame)
    if len(np.unique(groups)) > MAX_CLASSES:
        return (mobile,), np.zeros(len(sites), dtype=np.int64)
    letters, class_of = numbered_classes(groups, np.bincount(groups)[groups].astype(float))
    return tuple(f"{mobile}-{letter}" for letter in letters), class_of


def _merged_classes(
    names: tuple[str, ...],
    class_of: NDArray[np.int64],
    owners: NDArray[np.int64],
    kept: NDArray[np.int64],
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Classes of the sites that are left, with the names of all that went into them."""
    joined = [
        "/".join(dict.fromkeys(names[k] for k in np.sort(class_of[owners == owner])))
        for owner in kept
    ]
    left, inverse = np.unique(joined, return_inverse=True)
    return tuple(left.tolist()), inverse


def _centres(
    places: NDArray[np.float64], owners: NDArray[np.int64], kept: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean fractional coordinates of the sites that went into each one that is left."""
    apart = places - places[owners]
    apart -= np.rint(apart)
    return places[kept] + np.stack([apart[owners == owner].mean(axis=0) for owner in kept])


def _repeated(
    fractions: NDArray[np.float64], matrix: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Fractional coordinates in the larger cell, and which each is a copy of."""
    from pymatgen.util.coord import lattice_points_in_supercell

    shifts = lattice_points_in_supercell(matrix)
    copies = (fractions @ np.linalg.inv(matrix))[:, None] + shifts
    return copies.reshape(-1, 3) % 1.0, np.repeat(np.arange(len(fractions)), len(shifts))
