"""Crystals that are perturbed outside of a sphere, and the spread of the force amid it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols

from dasksse.errors import StructureError
from dasksse.loop.stages.structures import FRAMES_FILE, LABELS_FILE, relative_final
from dasksse.records import Frames, Json, Labels, UnitContext
from dasksse.store.folders import RunFolder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

MAX_DRAWS = 100
"""Draws of a perturbation before the distance of atoms is taken to be out of reach."""

N_SHELL = 6
"""Neighbours of each element by which sites are told apart."""

WIDTH_MARGIN = 1e-6
"""Relative margin of the cell's width: a sphere that just touches its image fits."""


# --- frames ----------------------------------------------------------------------------------


def draw(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Frames of every central atom and radius: the sphere as in the crystal, the rest rattled.

    A frame's displacements depend on the seed, the central atom and the frame's number, not on
    the radius: a larger sphere holds back more of the same displacements, so that radii differ
    by what they fix and not by chance.

    Raises
    ------
    StructureError
        When atoms cannot be kept apart.
    """
    from dasksse.structures.periodic import minimum_image, plane_spacings

    crystal = Frames.load(context.run_dir / payload["structure_file"])
    positions, cell = crystal.positions[0], crystal.cells[0]
    width_A = float(plane_spacings(cell).min())
    centres: list[dict[str, Any]] = []
    left_out: set[str] = set()
    found: list[Array] = []
    for atom in central_atoms(
        crystal, per_element=payload["atoms_per_element"], seed=payload["seed"]
    ):
        distances = np.linalg.norm(minimum_image(positions - positions[atom], cell), axis=1)
        for radius_A in sorted(payload["radii_A"]):
            is_free = distances > radius_A
            if 2.0 * radius_A > width_A * (1.0 + WIDTH_MARGIN):
                left_out.add(
                    f"{radius_A:g} Å: the cell is only {width_A:.2f} Å wide, below 2 r"
                )
                continue
            if not is_free.any():
                left_out.add(f"{radius_A:g} Å: no atom of the cell is farther away")
                continue
            drawn = _perturbed(crystal, atom, is_free, payload)
            centres.append(
                {
                    "element": chemical_symbols[crystal.numbers[atom]],
                    "atom": int(atom),
                    "radius_A": float(radius_A),
                    "n_fixed": int((~is_free).sum()),
                    "first": len(found),
                    "n_frames": len(drawn),
                }
            )
            found += drawn
    cells = np.repeat(crystal.cells, len(found), axis=0)
    frames = Frames(
        crystal.numbers, np.array(found).reshape(len(found), crystal.n_atoms, 3), cells
    )
    frames.save(context.workdir / FRAMES_FILE)
    return {
        "file": relative_final(context, FRAMES_FILE),
        "n_frames": len(frames),
        "frame_keys": frames.content_keys(),
        "centres": centres,
        "left_out": sorted(left_out),
        "width_A": width_A,
    }


def _perturbed(
    crystal: Frames, atom: int, is_free: NDArray[np.bool_], payload: Mapping[str, Json]
) -> list[Array]:
    """Positions [Å] of the frames of one sphere, each of shape ``(atom, xyz)``."""
    from dasksse.structures import minimum_distance

    positions, cell = crystal.positions[0], crystal.cells[0]
    found = []
    for frame in range(payload["n_frames"]):
        rng = np.random.default_rng([payload["seed"], atom, frame])
        for _ in range(MAX_DRAWS):
            step = rng.normal(scale=payload["rattle_A"], size=positions.shape)
            moved = np.where(is_free[:, None], positions + step, positions)
            if minimum_distance(moved, cell) >= payload["min_distance_A"]:
                found.append(moved)
                break
        else:
            msg = (
                f"locality: atoms closer than {payload['min_distance_A']:g} Å in all of "
                f"{MAX_DRAWS} draws, those of the crystal are "
                f"{minimum_distance(positions, cell):.3g} Å apart; lower "
                "studies.locality.rattle_A or start.min_distance_A"
            )
            raise StructureError(msg)
    return found


def central_atoms(crystal: Frames, *, per_element: int, seed: int) -> list[int]:
    """Atoms of each element whose surroundings differ most, elements by atomic number.

    Parameters
    ----------
    crystal
        One frame.
    per_element
        Atoms of each element; all of an element that has fewer.
    seed
        Seed of the first atom of each element, and of the choice among equal ones.

    Notes
    -----
    Atoms that are far apart in space would be images of each other in a supercell. Atoms are
    therefore told apart by the distances to their nearest neighbours of each element, and each
    next one is farthest, by these, from those that are chosen.
    """
    chosen: list[int] = []
    for number in np.unique(crystal.numbers):
        rng = np.random.default_rng([seed, int(number)])
        atoms = rng.permutation(np.flatnonzero(crystal.numbers == number))
        surroundings = np.array([_surroundings(crystal, atom) for atom in atoms])
        distance = np.full(len(atoms), np.inf)
        for _ in range(min(per_element, len(atoms))):
            # rounded, so that equal sites are equal and the shuffled order decides
            next_one = int(np.round(distance, 6).argmax())
            chosen.append(int(atoms[next_one]))
            apart = np.linalg.norm(surroundings - surroundings[next_one], axis=1)
            distance = np.minimum(distance, apart)
            distance[next_one] = -1.0
    return chosen


def _surroundings(crystal: Frames, atom: int) -> Array:
    """Distances [Å] to the nearest neighbours of each element, shape ``(neighbour,)``."""
    from dasksse.structures.periodic import minimum_image

    vectors = minimum_image(crystal.positions[0] - crystal.positions[0, atom], crystal.cells[0])
    distances = np.linalg.norm(vectors, axis=1)
    is_other = np.arange(crystal.n_atoms) != atom
    shells = [
        np.sort(distances[is_other & (crystal.numbers == number)])[:N_SHELL]
        for number in np.unique(crystal.numbers)
    ]
    return np.concatenate(shells)


# --- forces ----------------------------------------------------------------------------------


def spread(forces: Array) -> tuple[float, float]:
    """Root-mean-square deviation of a force from its mean, and its standard error.

    Parameters
    ----------
    forces
        Shape ``(frame, xyz)``, 2 frames or more.

    Notes
    -----
    ``sigma^2 = sum_n |F_n - <F>|^2 / (N - 1)``, all three components together. The error is
    that of Gaussian components of equal width, ``sigma / sqrt(6 (N - 1))``.
    """
    n_frames = len(forces)
    deviations = forces - forces.mean(axis=0)
    sigma = float(np.sqrt((deviations**2).sum() / (n_frames - 1)))
    return sigma, sigma / float(np.sqrt(6.0 * (n_frames - 1)))


def _with_spread(centre: Mapping[str, Json], forces: Array) -> dict[str, Any]:
    """A centre with the spread of its force, mean over models, of ``(model, frame, xyz)``."""
    known = forces[:, np.isfinite(forces).all(axis=(0, 2))]
    found = {**centre, "n_frames": known.shape[1], "sigma_eV_A": None, "error_eV_A": None}
    if known.shape[1] > 1:
        sigma, error = np.mean([spread(of_model) for of_model in known], axis=0)
        found |= {"sigma_eV_A": float(sigma), "error_eV_A": float(error)}
    return found


def _at(centre: Mapping[str, Json]) -> slice:
    return slice(centre["first"], centre["first"] + centre["n_frames"])


def from_labels(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Spread of the force on each centre, by the calculator; frames without label left out."""
    folder = RunFolder(context.run_dir)
    atoms = np.concatenate(
        [np.full(centre["n_frames"], centre["atom"]) for centre in payload["centres"]]
    )
    forces = np.full((len(atoms), 3), np.nan)
    about: dict[str, Any] = {}
    for key, indices in payload["units"]:
        labels = Labels.load(folder.unit("label", key) / LABELS_FILE)
        forces[indices] = labels.forces[np.arange(len(indices)), atoms[indices]]
        about = {
            "source": labels.source,
            "functional": labels.functional,
            "is_surrogate": labels.is_surrogate,
        }
    centres = [_with_spread(one, forces[None, _at(one)]) for one in payload["centres"]]
    return {"centres": centres, **about}


def from_models(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Spread of the force on each centre, by the models of the ensemble, their mean."""
    from dasksse.train import evaluate_models

    frames = Frames.load(context.run_dir / payload["frames_file"])
    (prediction,) = evaluate_models(
        [context.run_dir / path for path in payload["models"]],
        [("locality", _unlabelled(frames))],
        type_map=payload["type_map"],
        workdir=context.workdir,
        workplace=context.workplace,
    )
    return {
        "centres": [
            _with_spread(one, prediction.forces[:, _at(one), one["atom"]])
            for one in payload["centres"]
        ],
        "source": f"the ensemble of {len(payload['models'])} models",
        "functional": "",
        "is_surrogate": True,
    }


def _unlabelled(frames: Frames) -> Labels:
    n_frames = len(frames)
    return Labels(
        frames,
        np.full(n_frames, np.nan),
        np.full(frames.positions.shape, np.nan),
        np.full((n_frames, 3, 3), np.nan),
        source="",
        functional="",
        is_surrogate=True,
    )


def by_element(centres: Sequence[Mapping[str, Json]]) -> list[dict[str, Any]]:
    """Spread of each element and radius: mean over its atoms, their scatter, and the error.

    Returns
    -------
    list
        ``element``, ``radius_A``, ``sigma_eV_A``, ``error_eV_A`` (standard error, by frames),
        ``scatter_eV_A`` (standard deviation over atoms, None for one), ``n_atoms``,
        ``n_frames``; by element in the order in which they come, then by radius. Spheres with
        fewer than two frames are left out.
    """
    known = [centre for centre in centres if centre["sigma_eV_A"] is not None]
    rows = []
    for element in dict.fromkeys(centre["element"] for centre in known):
        own = [centre for centre in known if centre["element"] == element]
        for radius_A in sorted({centre["radius_A"] for centre in own}):
            group = [centre for centre in own if centre["radius_A"] == radius_A]
            sigma = np.array([centre["sigma_eV_A"] for centre in group])
            error = np.array([centre["error_eV_A"] for centre in group])
            rows.append(
                {
                    "element": element,
                    "radius_A": radius_A,
                    "sigma_eV_A": float(sigma.mean()),
                    "error_eV_A": float(np.sqrt((error**2).sum()) / len(group)),
                    "scatter_eV_A": float(sigma.std(ddof=1)) if len(group) > 1 else None,
                    "n_atoms": len(group),
                    "n_frames": sum(centre["n_frames"] for centre in group),
                }
            )
    return rows
