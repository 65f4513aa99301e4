"""Variants of a crystal: supercells, cation orderings, volumes, perturbed start sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from ase import Atoms

from dasksse.errors import StructureError
from dasksse.records import Frames
from dasksse.structures.periodic import minimum_distance
from dasksse.structures.read import SITE_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from dasksse.config.schema import CationOrderingSection

Crystal = TypeVar("Crystal", "Atoms", "Structure")
"""ASE atoms or a pymatgen structure."""

MAX_DRAWS = 200
"""Times one frame of a start set is drawn before the request is refused."""


def make_supercell(atoms: Atoms, repeats: Sequence[int]) -> Atoms:
    """Repeat a crystal along its cell vectors.

    Parameters
    ----------
    atoms
        Crystal; unchanged.
    repeats
        Repeats along a, b, c, each at least 1.
    """
    return atoms.repeat(tuple(repeats))


def scale_volume(atoms: Atoms, volume_scale: float) -> Atoms:
    """Scale the volume of a crystal, fractional coordinates kept.

    Parameters
    ----------
    atoms
        Crystal; unchanged.
    volume_scale
        New volume over the old one, above 0.
    """
    scaled = atoms.copy()
    scaled.set_cell(scaled.cell.array * volume_scale ** (1.0 / 3.0), scale_atoms=True)
    return scaled


def permute_cations(crystal: Crystal, section: CationOrderingSection) -> Crystal:
    """Redistribute species at random over the sites they hold together.

    Parameters
    ----------
    crystal
        ASE atoms, or a structure with whole atoms; unchanged.
    section
        Species that exchange places, the site to which this is restricted, and the seed. A
        site is named by a label or Wyckoff symbol of the file, or by the beginning of one
        when no name is equal to it.

    Returns
    -------
    ase.Atoms | pymatgen.core.Structure
        Crystal of the same kind and composition, equal for equal seeds.

    Raises
    ------
    StructureError
        When there is no such site, or it holds fewer than two of the species.
    """
    symbols, names = _symbols_and_names(crystal)
    chosen = _exchange_sites(symbols, names, section)
    held = {symbols[i] for i in chosen}
    if len(held) < 2:  # noqa: PLR2004 - an exchange takes two
        where = f"site {section.site!r}" if section.site else "the crystal"
        msg = (
            f"cation_ordering: {where} holds {', '.join(sorted(held)) or 'none'} of "
            f"{list(section.species)}, so there is nothing to exchange"
        )
        raise StructureError(msg)
    order = np.random.default_rng(section.seed).permutation(len(chosen))
    permuted = list(symbols)
    for place, source in zip(chosen, order, strict=True):
        permuted[place] = symbols[chosen[source]]
    return _with_symbols(crystal, permuted)


def start_set(
    atoms: Atoms,
    *,
    n_frames: int,
    rattle_A: tuple[float, float],
    strain: float,
    min_distance_A: float,
    seed: int,
) -> Frames:
    """Perturbed copies of a crystal to learn from, the crystal itself first.

    Parameters
    ----------
    atoms
        Crystal with a periodic cell.
    n_frames
        Frames in all, at least 1.
    rattle_A
        Lowest and highest standard deviation [Å] of the Gaussian displacements; drawn
        uniformly for each frame.
    strain
        Largest component of the symmetric strain; each one is drawn uniformly from
        ``[-strain, strain]``.
    min_distance_A
        Frames with closer atoms [Å] are drawn again.
    seed
        Seed, at least 0. A frame depends on the seed and its number alone, so that a longer
        set begins with the shorter one.

    Returns
    -------
    Frames
        ``n_frames`` configurations.

    Raises
    ------
    StructureError
        When the crystal itself has closer atoms, or a frame fails ``MAX_DRAWS`` times.

    Notes
    -----
    The strain ``e`` maps cell and positions by ``r (1 + e)``; displacements come after it.
    """
    positions, cell = atoms.positions, atoms.cell.array
    own = minimum_distance(positions, cell)
    if own < min_distance_A:
        msg = (
            f"start.min_distance_A is {min_distance_A:g} Å, but the closest atoms of the "
            f"crystal itself are {own:.3g} Å apart; lower it or correct the structure"
        )
        raise StructureError(msg)
    drawn = [(positions, cell)]
    for frame in range(1, n_frames):
        rng = np.random.default_rng([seed, frame])
        for _ in range(MAX_DRAWS):
            perturbed = _perturb(positions, cell, rattle_A=rattle_A, strain=strain, rng=rng)
            if minimum_distance(*perturbed) >= min_distance_A:
                drawn.append(perturbed)
                break
        else:
            msg = (
                f"frame {frame} of the start set had atoms closer than {min_distance_A:g} Å in "
                f"all of {MAX_DRAWS} draws with rattle_A {list(rattle_A)} and strain "
                f"{strain:g}; the closest atoms of the crystal itself are {own:.3g} Å apart: "
                "lower start.rattle_A, start.strain or start.min_distance_A"
            )
            raise StructureError(msg)
    return Frames(
        atoms.numbers.astype(np.int64),
        np.array([frame_positions for frame_positions, _ in drawn]),
        np.array([frame_cell for _, frame_cell in drawn]),
    )


def _perturb(
    positions: NDArray[np.float64],
    cell: NDArray[np.float64],
    *,
    rattle_A: tuple[float, float],
    strain: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions and cell [Å] under a random symmetric strain and random displacements."""
    upper = np.triu(rng.uniform(-strain, strain, size=(3, 3)))
    deformation = np.eye(3) + upper + np.triu(upper, 1).T
    displacements = rng.normal(0.0, rng.uniform(*rattle_A), size=positions.shape)
    return positions @ deformation + displacements, cell @ deformation


def _exchange_sites(
    symbols: Sequence[str], names: Sequence[str], section: CationOrderingSection
) -> list[int]:
    """Indices of the atoms that exchange places."""
    mine = [i for i, symbol in enumerate(symbols) if symbol in section.species]
    if section.site is None:
        return mine
    exact = [i for i in mine if section.site in names[i].split()]
    starting = [i for i in mine if any(n.startswith(section.site) for n in names[i].split())]
    if not exact and not starting:
        known = sorted({name for i in mine for name in names[i].split()})
        msg = (
            f"cation_ordering: no site {section.site!r} holds {' or '.join(section.species)}; "
            f"sites with them: {', '.join(known) or 'none'}"
        )
        raise StructureError(msg)
    return exact or starting


def _symbols_and_names(crystal: Atoms | Structure) -> tuple[list[str], list[str]]:
    """Element and names of each site; an atom without a name is called by its element."""
    if isinstance(crystal, Atoms):
        symbols = list(crystal.get_chemical_symbols())
        return symbols, [str(name) for name in crystal.arrays.get(SITE_NAMES, symbols)]
    names = crystal.site_properties.get(SITE_NAMES, crystal.labels)
    return [site.specie.symbol for site in crystal], [str(name) for name in names]


def _with_symbols(crystal: Crystal, symbols: Sequence[str]) -> Crystal:
    """Copy of a crystal with other elements on its sites."""
    changed = crystal.copy()
    if isinstance(changed, Atoms):
        changed.set_chemical_symbols(list(symbols))
        return changed
    for site, symbol in zip(changed, symbols, strict=True):
        label = site.label
        site.species = symbol
        site.label = label
    return changed
