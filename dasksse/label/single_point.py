"""Energies, forces and virials of frames, one single point each; failures are data."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from dasksse.errors import ConfigError, OutOfTimeError, ProgramMissingError
from dasksse.label.contract import Answer, Place
from dasksse.records import Labels
from dasksse.store.folders import is_disk_full

if TYPE_CHECKING:
    from collections.abc import Callable

    from dasksse.label.contract import LabelCalculator
    from dasksse.records import Frames

_REASON_LENGTH = 300
ABOVE_CAP = "above the cap"
"""Part of the reason of a frame that was labelled well but is too far off to learn from."""


@dataclass(frozen=True)
class LabelLimits:
    """What a label must keep to.

    Attributes
    ----------
    max_force_eV_A
        Largest component of a force [eV/Å].
    max_net_force_eV_A
        Largest component of the sum of all forces, divided by the number of atoms [eV/Å]: far
        from zero, the calculation is not converged.
    """

    max_force_eV_A: float = math.inf
    max_net_force_eV_A: float = math.inf


@dataclass
class _Columns:
    """Labels as they come in."""

    frames: Frames
    energies: list[float] = field(default_factory=list)
    forces: list[np.ndarray] = field(default_factory=list)
    virials: list[np.ndarray] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    memory_bytes: list[float] = field(default_factory=list)

    def add(self, answer: Answer | None, reason: str, seconds: float) -> None:
        good = answer if not reason else None
        nothing = np.full((3, 3), np.nan)
        self.energies.append(np.nan if good is None else good.energy)
        self.forces.append(
            np.full((self.frames.n_atoms, 3), np.nan) if good is None else good.forces
        )
        self.virials.append(nothing if good is None or good.virial is None else good.virial)
        self.reasons.append(reason)
        is_known = answer is not None and answer.is_known
        self.seconds.append(np.nan if is_known else seconds)
        memory = None if answer is None else answer.memory_bytes
        self.memory_bytes.append(np.nan if memory is None else memory)

    def labels(self, calculator: LabelCalculator) -> Labels:
        n_frames, n_atoms = len(self.frames), self.frames.n_atoms
        return Labels(
            frames=self.frames,
            energies=np.array(self.energies, dtype=float),
            forces=np.array(self.forces, dtype=float).reshape(n_frames, n_atoms, 3),
            virials=np.array(self.virials, dtype=float).reshape(n_frames, 3, 3),
            source=calculator.source,
            functional=calculator.functional,
            is_surrogate=calculator.is_surrogate,
            reasons=tuple(self.reasons),
            seconds=np.array(self.seconds, dtype=float),
            memory_bytes=np.array(self.memory_bytes, dtype=float),
        )


def label_frames(
    frames: Frames,
    calculator: LabelCalculator,
    *,
    virial: bool = True,
    limits: LabelLimits | None = None,
    place: Callable[[int], Place] | None = None,
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
    limits
        What a label must keep to; anything goes when None.
    place
        Gives folder and worker for a frame, by its index; nothing special when None.
    on_frame
        Called after each frame with the number of frames done so far.

    Returns
    -------
    Labels
        One label per frame, in order: energy [eV] consistent with the forces [eV/Å], and
        virial ``-dE/d(strain)`` [eV], with time and memory that each took; a label that was
        known already took none (NaN).

    Raises
    ------
    ProgramMissingError, ConfigError
        Nothing can be labelled with this calculator here.
    OutOfTimeError
        The worker's walltime ends.
    OSError
        The disk is full.
    """
    limits = limits or LabelLimits()
    columns = _Columns(frames)
    for i in range(len(frames)):
        atoms = Atoms(frames.numbers, frames.positions[i], cell=frames.cells[i], pbc=True)
        started = time.monotonic()
        answer: Answer | None = None
        try:
            atoms.wrap()
            answer = calculator.single_point(
                atoms, Place() if place is None else place(i), virial=virial
            )
            reason = _refusal(answer, limits)
        except (MemoryError, ProgramMissingError, ConfigError, OutOfTimeError):
            raise
        except Exception as error:
            if is_disk_full(error):
                raise
            calculator.forget()
            reason = _short(error)
        columns.add(answer, reason, time.monotonic() - started)
        if on_frame is not None:
            on_frame(i + 1)
    return columns.labels(calculator)


def without_label(frames: Frames, calculator: LabelCalculator, reason: str) -> Labels:
    """Frames that are given up before they are computed.

    Parameters
    ----------
    frames
        Configurations.
    calculator
        Where their labels would have come from.
    reason
        Why there are none.
    """
    columns = _Columns(frames)
    for _ in range(len(frames)):
        columns.add(None, reason[:_REASON_LENGTH], np.nan)
    return columns.labels(calculator)


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_REASON_LENGTH]


def _refusal(answer: Answer, limits: LabelLimits) -> str:
    """Why a label must not be used; empty when it may."""
    if not (np.isfinite(answer.energy) and np.isfinite(answer.forces).all()):
        return "energy or forces are not finite"
    if answer.virial is not None and not np.isfinite(answer.virial).all():
        return "virial is not finite"
    largest = float(np.abs(answer.forces).max(initial=0.0))
    if largest > limits.max_force_eV_A:
        return (
            f"force component of {largest:.1f} eV/Å is {ABOVE_CAP} of "
            f"{limits.max_force_eV_A:g} eV/Å"
        )
    net = float(np.abs(answer.forces.mean(axis=0)).max())
    if net > limits.max_net_force_eV_A:
        return (
            f"net force of {net:.3g} eV/Å per atom is above "
            f"{limits.max_net_force_eV_A:g} eV/Å: not converged"
        )
    return ""
