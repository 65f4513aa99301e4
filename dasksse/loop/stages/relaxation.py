"""Stage that relaxes a crystal for its lattice, and goes on where it was broken off."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.config.schema import RegistrySection
from dasksse.label.contract import Answer, LabelCalculator, Place
from dasksse.loop.stages.labels import TIME_MARGIN
from dasksse.loop.stages.structures import SYSTEM_FILE, read_atoms, relative_final
from dasksse.store.folders import RunFolder, write_atomically
from dasksse.units import pressure_from_virial, virial_from_stress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ase import Atoms

    from dasksse.records import Json, UnitContext

TRAJECTORY_FILE = "relaxation.extxyz"
SAME_A = 1e-6
"""Positions that differ by less are those of the trajectory, which has eight decimals [Å]."""


def relax_lattice(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Relax a crystal for some steps; each configuration is kept at once: a kill costs one.

    With ``before``, it goes on from the end of another such unit's trajectory.

    Raises
    ------
    LabelError
        When the calculator failed.
    OutOfTimeError
        When the worker has no time for another configuration.
    """
    from dasksse.label import load_calculator, relax
    from dasksse.loop.stages.places import place_of

    start = read_atoms(
        RunFolder(context.run_dir).unit("structure", payload["structure"]) / SYSTEM_FILE
    )
    trajectory = context.workdir / TRAJECTORY_FILE
    own = read_trajectory(trajectory)
    before = payload["before"]
    known = [*(read_trajectory(context.run_dir / before)[-1:] if before else []), *own]
    calculator = _Kept(
        load_calculator(
            RegistrySection.model_validate(payload["calculator"]), base_dir=context.run_dir
        ),
        trajectory,
        known[-1] if known else None,
    )
    steps_done = max(0, len(own) - (0 if before else 1))
    relaxed = relax(
        known[-1] if known else start,
        calculator,
        max_steps=max(0, payload["max_steps"] - steps_done),
        max_force_eV_A=payload["max_force_eV_A"],
        cell=payload["cell"],
        place=lambda number: place_of(context, number),
        on_step=lambda step: context.progress(steps_done + step, "relaxation"),
        optimiser=payload["optimiser"],
    )
    labels, atoms = relaxed.labels, relaxed.atoms
    has_virial = bool(labels.has_virial[-1])
    return {
        "trajectory": relative_final(context, TRAJECTORY_FILE),
        "symbols": atoms.get_chemical_symbols(),
        "positions_A": atoms.positions.tolist(),
        "cell_A": atoms.cell.array.tolist(),
        "start_cell_A": start.cell.array.tolist(),
        "n_atoms": len(atoms),
        "energy_eV": float(labels.energies[-1]),
        "largest_force_eV_A": float(np.linalg.norm(labels.forces[-1], axis=1).max()),
        "pressure_GPa": (
            pressure_from_virial(labels.virials[-1], atoms.get_volume()) if has_virial else None
        ),
        "converged": relaxed.converged,
        "n_configurations": len(own) + calculator.n_written,
        "source": labels.source,
        "functional": labels.functional,
        "is_surrogate": labels.is_surrogate,
    }


def read_trajectory(path: Path) -> list[Atoms]:
    """Configurations of a relaxation; one that its writer died in is cut off the file."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    end = 0
    while end < len(lines):
        stop = end + int(lines[end]) + 2  # number of atoms, comment, atoms
        if stop > len(lines) or not lines[stop - 1].endswith("\n"):
            write_atomically(path, "".join(lines[:end]))
            break
        end = stop
    if end == 0:
        return []
    from ase.io import read

    return list(read(path, ":", format="extxyz"))


class _Kept(LabelCalculator):
    """Writes each configuration it computes to a trajectory; does not compute the last twice.

    Parameters
    ----------
    calculator
        Computes.
    trajectory
        Where to write.
    last
        Last configuration of the trajectory with its energy, forces and stress; None for none.
    """

    def __init__(
        self, calculator: LabelCalculator, trajectory: Path, last: Atoms | None
    ) -> None:
        self.source = calculator.source
        self.functional = calculator.functional
        self.is_surrogate = calculator.is_surrogate
        self.gives_virial = calculator.gives_virial
        self._calculator = calculator
        self._trajectory = trajectory
        self._last = last
        self._longest_s = 0.0
        self.n_written = 0

    def single_point(self, atoms: Atoms, place: Place, *, virial: bool = True) -> Answer:
        """Compute and write."""
        if self._last is not None and _is_same(atoms, self._last):
            return _answer_of(self._last)
        place.workplace.check_time(TIME_MARGIN * self._longest_s)
        started = time.monotonic()
        answer = self._calculator.single_point(atoms, place, virial=virial)
        self._longest_s = max(self._longest_s, time.monotonic() - started)
        self._write(atoms, answer)
        if place.workdir is not None:
            shutil.rmtree(place.workdir)  # the folder of one that fails is kept, with its log
        return answer

    def forget(self) -> None:
        """Drop what a failed calculation may have left behind."""
        self._calculator.forget()

    def _write(self, atoms: Atoms, answer: Answer) -> None:
        from ase.calculators.singlepoint import SinglePointCalculator
        from ase.io import write

        frame = atoms.copy()
        stress = None if answer.virial is None else -answer.virial / frame.get_volume()
        frame.calc = SinglePointCalculator(
            frame, energy=answer.energy, forces=answer.forces, stress=stress
        )
        write(self._trajectory, frame, format="extxyz", append=True)
        self.n_written += 1


def _is_same(one: Atoms, other: Atoms) -> bool:
    return bool(
        np.abs(one.positions - other.positions).max() < SAME_A
        and np.abs(one.cell.array - other.cell.array).max() < SAME_A
    )


def _answer_of(frame: Atoms) -> Answer:
    """Answer that stands in a trajectory."""
    results = frame.calc.results
    stress = results.get("stress")
    virial = None if stress is None else virial_from_stress(stress, frame.get_volume())
    return Answer(float(results["energy"]), np.asarray(results["forces"]), virial)
