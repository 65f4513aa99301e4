"""Energies, forces and virials of frames, one single point each; failures are data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError

from dasksse.records import Labels
from dasksse.units import virial_from_stress

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dasksse.label.kinds import LabelCalculator
    from dasksse.records import Frames

    Array = NDArray[np.float64]

_REASON_LENGTH = 300
ABOVE_CAP = "above the cap"
"""Part of the reason of a frame that was labelled well but is too far off to learn from."""


def label_frames(
    frames: Frames,
    calculator: LabelCalculator,
    *,
    virial: bool = True,
    max_force_eV_A: float = math.inf,
    on_frame: Callable[[int], None] | None = None,
) -> Labels:
    """Label every frame; one that fails carries NaNs and a reason and stops no other.

    Parameters
    ----------
    frames
        Configurations, periodic in all directions; positions [Å] wrapped or not.
    calculator
        Where labels come from.
    virial
        Ask for the virial too; it is NaN where not asked for or not given.
    max_force_eV_A
        Frames with a larger force component [eV/Å] are refused, above 0.
    on_frame
        Called after each frame with the number of frames done so far.

    Returns
    -------
    Labels
        One label per frame, in order: energy [eV] consistent with the forces [eV/Å], and
        virial ``-dE/d(strain)`` [eV].
    """
    n_frames, n_atoms = len(frames), frames.n_atoms
    energies = np.full(n_frames, np.nan)
    forces = np.full((n_frames, n_atoms, 3), np.nan)
    virials = np.full((n_frames, 3, 3), np.nan)
    reasons = []
    for i in range(n_frames):
        atoms = Atoms(frames.numbers, frames.positions[i], cell=frames.cells[i], pbc=True)
        try:
            atoms.wrap()
            energy, force, strain = label_atoms(atoms, calculator, virial=virial)
            reason = _refusal(energy, force, strain, max_force_eV_A)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever a calculator raises is data here)
            _forget(calculator)
            reason = f"{type(error).__name__}: {error}"[:_REASON_LENGTH]
        if not reason:
            energies[i], forces[i] = energy, force
            virials[i] = np.nan if strain is None else strain
        reasons.append(reason)
        if on_frame is not None:
            on_frame(i + 1)
    return Labels(
        frames=frames,
        energies=energies,
        forces=forces,
        virials=virials,
        source=calculator.source,
        functional=calculator.functional,
        is_surrogate=calculator.is_surrogate,
        reasons=tuple(reasons),
    )


def label_atoms(
    atoms: Atoms, calculator: LabelCalculator, *, virial: bool = True
) -> tuple[float, Array, Array | None]:
    """Energy [eV], forces [eV/Å] and virial [eV] of one configuration.

    Parameters
    ----------
    atoms
        Periodic configuration; its calculator is set to this one.
    calculator
        Where the label comes from. Whatever it raises, this raises.
    virial
        Ask for the virial too.

    Returns
    -------
    tuple[float, NDArray[np.float64], NDArray[np.float64] | None]
        Energy whose derivative the forces are (the free energy where electrons are smeared),
        forces of shape ``(atom, xyz)``, and virial ``-dE/d(strain)`` of shape
        ``(lattice, xyz)``, None where not asked for or not given.
    """
    wanted = ["energy", "forces"]
    if virial and calculator.gives_virial:
        wanted.append("stress")
    with calculator.lock:
        engine = calculator.calculator
        atoms.calc = engine
        if isinstance(engine, Calculator) and engine.calculation_required(atoms, wanted):
            # One calculation for all three: asked one by one, codes that are started anew for
            # each property would do the work up to three times.
            changes = engine.check_state(atoms)
            engine.results = {}
            engine.atoms = atoms.copy()
            engine.calculate(atoms, wanted, changes)
        forces = np.array(atoms.get_forces(), dtype=float)
        energy = _force_consistent_energy(atoms)
        if "stress" not in wanted:
            return energy, forces, None
        return energy, forces, virial_from_stress(atoms.get_stress(), atoms.get_volume())


def _force_consistent_energy(atoms: Atoms) -> float:
    """Free energy if the calculator gave one, else the energy; never starts a second run."""
    results = getattr(atoms.calc, "results", None)
    gives_free_energy = results is None or "free_energy" in results
    try:
        return float(atoms.get_potential_energy(force_consistent=gives_free_energy))
    except PropertyNotImplementedError:
        return float(atoms.get_potential_energy())


def _refusal(energy: float, forces: Array, virial: Array | None, max_force_eV_A: float) -> str:
    """Why a label must not be used; empty when it may."""
    if not (np.isfinite(energy) and np.isfinite(forces).all()):
        return "energy or forces are not finite"
    if virial is not None and not np.isfinite(virial).all():
        return "virial is not finite"
    largest = float(np.abs(forces).max(initial=0.0))
    if largest > max_force_eV_A:
        return (
            f"force component of {largest:.1f} eV/Å is {ABOVE_CAP} of {max_force_eV_A:g} eV/Å"
        )
    return ""


def _forget(calculator: LabelCalculator) -> None:
    """Drop what a failed calculation may have left behind."""
    reset = getattr(calculator.calculator, "reset", None)
    if reset is not None:
        with calculator.lock:
            reset()
