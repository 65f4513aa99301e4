"""Stages that make structures: build, relax, perturb."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.config.schema import RegistrySection, RelaxSection, SystemSection
from dasksse.records import Frames, Json, Labels, UnitContext
from dasksse.store.folders import RunFolder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ase import Atoms

SYSTEM_FILE = "system.npz"
LABELS_FILE = "labels.npz"
FRAMES_FILE = "frames.npz"


def relative_final(context: UnitContext, name: str) -> str:
    """Path that a file of this unit will have once the unit is done, from the run folder."""
    final = context.workdir.with_suffix("")
    return str((final / name).relative_to(context.run_dir))


def labels_record(labels: Labels, context: UnitContext) -> dict[str, Any]:
    """What the record of a unit says of its labels: how many, whose, and of which frames."""
    keys, is_good = labels.frames.content_keys(), labels.is_good
    return {
        "n": len(labels),
        "n_good": int(is_good.sum()),
        "n_known": int((is_good & np.isnan(labels.seconds)).sum()),
        "source": labels.source,
        "functional": labels.functional,
        "is_surrogate": labels.is_surrogate,
        "labels_file": relative_final(context, LABELS_FILE),
        "labelled": [key for key, good in zip(keys, is_good, strict=True) if good],
    }


def _frames(atoms: Atoms) -> Frames:
    return Frames(
        np.asarray(atoms.numbers, dtype=int),
        np.asarray(atoms.positions)[None],
        np.asarray(atoms.cell)[None],
    )


def read_atoms(path: Path) -> Atoms:
    """First frame of a stored system as ASE atoms."""
    from ase import Atoms

    frames = Frames.load(path)
    return Atoms(frames.numbers, frames.positions[0], cell=frames.cells[0], pbc=True)


def build(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Read, order and repeat a crystal."""
    from dasksse.structures import build_system

    section = SystemSection.model_validate(payload["section"])
    kept = section.model_copy(update={"structure": Path(section.structure).name})
    built = build_system(
        kept,
        type_map=payload["type_map"],
        base_dir=context.run_dir / "inputs" / section.name,
        mobile_species=payload["mobile_species"],
    )
    _frames(built.atoms).save(context.workdir / SYSTEM_FILE)
    return {
        "file": relative_final(context, SYSTEM_FILE),
        "name": section.name,
        "formula": built.atoms.get_chemical_formula(mode="metal"),
        "n_atoms": len(built.atoms),
        "numbers": [int(n) for n in built.atoms.numbers],
        "volume_A3": float(built.atoms.get_volume()),
        "min_distance_A": float(built.min_distance_A),
        "notes": list(built.notes),
    }


def relax(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Relax a crystal; every step is a label."""
    from dasksse.label import KnownLabels, load_calculator
    from dasksse.label import relax as relax_atoms
    from dasksse.loop.stages.places import place_of

    folder = RunFolder(context.run_dir)
    section = RelaxSection.model_validate(payload["relax"])
    atoms = read_atoms(folder.unit("structure", payload["structure"]) / SYSTEM_FILE)
    calculator = KnownLabels(
        load_calculator(
            RegistrySection.model_validate(payload["label"]["calculator"]),
            base_dir=context.run_dir,
        ),
        _labels_of(atoms, payload["known"], context),
    )
    relaxed = relax_atoms(
        atoms,
        calculator,
        max_steps=section.max_steps,
        max_force_eV_A=section.max_force_eV_A,
        cell=section.cell,
        place=lambda number: place_of(context, number),
        on_step=lambda step: context.progress(step, "relaxation"),
    )
    labels = _without_large_forces(relaxed.labels, payload["label"]["max_force_eV_A"])
    labels.save(context.workdir / LABELS_FILE)
    _frames(relaxed.atoms).save(context.workdir / SYSTEM_FILE)
    return {
        **labels_record(labels, context),
        "file": relative_final(context, SYSTEM_FILE),
        "system": payload["system"],
        "converged": bool(relaxed.converged),
        "steps": int(relaxed.steps),
        "max_force_eV_A": float(np.abs(relaxed.labels.forces[-1]).max()),
    }


def _labels_of(atoms: Atoms, files: Sequence[str], context: UnitContext) -> list[Labels]:
    """Labels in files of the run that are of the same atoms in the same order."""
    found = [Labels.load(context.run_dir / file) for file in files]
    return [labels for labels in found if np.array_equal(labels.frames.numbers, atoms.numbers)]


def _without_large_forces(labels: Labels, max_force_eV_A: float) -> Labels:
    """Mask the first steps of a relaxation that are too far off to learn from."""
    from dasksse.label import ABOVE_CAP

    largest = np.abs(labels.forces).max(axis=(1, 2))
    refused = largest > max_force_eV_A
    energies, forces = labels.energies.copy(), labels.forces.copy()
    energies[refused], forces[refused] = np.nan, np.nan
    reasons = tuple(
        f"force component of {value:.1f} eV/Å is {ABOVE_CAP} of {max_force_eV_A:g} eV/Å"
        if is_refused
        else ""
        for value, is_refused in zip(largest, refused, strict=True)
    )
    return replace(labels, energies=energies, forces=forces, reasons=reasons)


def start_set(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Perturbed copies of a crystal."""
    from dasksse.structures import start_set as perturb

    low, high = payload["rattle_A"]
    frames = perturb(
        read_atoms(context.run_dir / payload["structure_file"]),
        n_frames=payload["n_frames"],
        rattle_A=(low, high),
        strain=payload["strain"],
        min_distance_A=payload["min_distance_A"],
        seed=payload["seed"],
    )
    frames.save(context.workdir / FRAMES_FILE)
    return {
        "file": relative_final(context, FRAMES_FILE),
        "n_frames": len(frames),
        "frame_keys": frames.content_keys(),
    }
