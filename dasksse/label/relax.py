"""Relax a crystal with a calculator and keep every configuration visited as a label."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from dasksse.errors import DasksseError, LabelError
from dasksse.label.contract import Place
from dasksse.records import Frames, Labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ase import Atoms

    from dasksse.label.contract import Answer, LabelCalculator

_MAX_STEP_A = 0.2
"""Longest move of one atom in one step: forces of many eV/Å must not throw atoms across."""

OPTIMISERS = ("LBFGS", "FIRE", "BFGSLineSearch")
"""Optimisers of ASE that :func:`relax` knows by name."""


@dataclass(frozen=True)
class Relaxed:
    """A relaxed crystal and what was learnt on the way.

    Attributes
    ----------
    atoms
        Last configuration, without a calculator.
    labels
        Every distinct configuration visited, first to last: energy [eV], forces [eV/Å] and
        virial [eV] (NaN where the calculator gives none).
    converged
        True when the forces (and the strain gradient) fell below the limit.
    steps
        Steps taken.
    """

    atoms: Atoms
    labels: Labels
    converged: bool
    steps: int


def relax(
    atoms: Atoms,
    calculator: LabelCalculator,
    *,
    max_steps: int,
    max_force_eV_A: float,
    cell: bool,
    place: Callable[[int], Place] | None = None,
    on_step: Callable[[int], None] | None = None,
    optimiser: str = "LBFGS",
) -> Relaxed:
    """Relax positions, and the cell if asked, to the nearest minimum.

    Parameters
    ----------
    atoms
        Crystal to start from, taken as periodic; it is left as it is.
    calculator
        Gives energy and forces, and the stress when the cell shall relax.
    max_steps
        Most steps, 0 or more.
    max_force_eV_A
        Converged when no atom feels a larger force [eV/Å]; with ``cell`` the rows of the
        virial per atom [eV] must be below it too.
    cell
        Relax the cell vectors as well, to zero pressure.
    place
        Gives folder and worker for each configuration, by its number; nothing special when
        None.
    on_step
        Called with the number of configurations labelled so far.
    optimiser
        One of :data:`OPTIMISERS`.

    Returns
    -------
    Relaxed
        Last configuration and the labels of all.

    Raises
    ------
    LabelError
        The calculator failed, gave values that are not finite, or gives no stress though the
        cell shall relax.

    Notes
    -----
    Steps are capped. L-BFGS needs the fewest force calls among those of ASE's optimisers that
    are robust far from the minimum. The cell enters through the logarithm of its
    deformation, see :class:`ase.filters.FrechetCellFilter`.
    """
    from ase import optimize
    from ase.filters import FrechetCellFilter

    if cell and not calculator.gives_virial:
        text = "no stress, so the cell cannot relax: relax positions only"
        raise LabelError(calculator.source, 1, "", text)
    moving = atoms.copy()
    moving.pbc = True
    recorder = _Recorder(calculator, place or (lambda _: Place()), on_step)
    moving.calc = recorder
    walker = getattr(optimize, optimiser)(
        FrechetCellFilter(moving) if cell else moving, logfile=None, maxstep=_MAX_STEP_A
    )
    with warnings.catch_warnings():
        # scipy says so at errors of 1e-13 in the logarithm of the deformation
        warnings.filterwarnings("ignore", message="logm result may be inaccurate")
        converged = bool(walker.run(fmax=max_force_eV_A, steps=max_steps))
    moving.calc = None
    return Relaxed(moving, recorder.labels(), converged, walker.get_number_of_steps())


class _Recorder(Calculator):
    """Labels each new configuration once, with all its properties, and remembers it.

    ASE's cache asks it for new configurations only, so the labels are distinct and a code that
    is started anew for each property still runs once a step.
    """

    implemented_properties: ClassVar[Sequence[str]] = (
        "energy",
        "free_energy",
        "forces",
        "stress",
    )

    def __init__(
        self,
        calculator: LabelCalculator,
        place: Callable[[int], Place],
        on_step: Callable[[int], None] | None,
    ) -> None:
        super().__init__()
        self._calculator = calculator
        self._place = place
        self._on_step = on_step
        self._visited: list[tuple[Atoms, Answer, float]] = []

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Label the configuration; raises :class:`LabelError` when that fails."""
        super().calculate(atoms, properties, system_changes)
        frame = self.atoms.copy()
        started = time.monotonic()
        answer = self._label(frame)
        self.results = {
            "energy": answer.energy,
            "free_energy": answer.energy,
            "forces": answer.forces,
        }
        if answer.virial is not None:
            stress = -answer.virial / frame.get_volume()
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)
        seconds = np.nan if answer.is_known else time.monotonic() - started
        self._visited.append((frame, answer, seconds))
        if self._on_step is not None:
            self._on_step(len(self._visited))

    def _label(self, frame: Atoms) -> Answer:
        source, number = self._calculator.source, len(self._visited)
        try:
            answer = self._calculator.single_point(frame, self._place(number))
        except (MemoryError, DasksseError):
            raise
        except Exception as error:
            text = f"configuration {number} of the relaxation: {type(error).__name__}: {error}"
            raise LabelError(source, 1, "", text) from error
        virial = np.zeros((3, 3)) if answer.virial is None else answer.virial
        numbers = np.concatenate([[answer.energy], answer.forces.ravel(), virial.ravel()])
        if not np.isfinite(numbers).all():
            text = (
                f"configuration {number} of the relaxation: energy, forces or virial not finite"
            )
            raise LabelError(source, 1, "", text)
        return answer

    def labels(self) -> Labels:
        """Everything visited, first to last."""
        frames, answers, seconds = zip(*self._visited, strict=True)
        nothing = np.full((3, 3), np.nan)
        return Labels(
            frames=Frames(
                numbers=np.asarray(frames[0].numbers, dtype=np.int64),
                positions=np.stack([frame.positions for frame in frames]),
                cells=np.stack([frame.cell.array for frame in frames]),
            ),
            energies=np.array([answer.energy for answer in answers]),
            forces=np.stack([answer.forces for answer in answers]),
            virials=np.stack([nothing if a.virial is None else a.virial for a in answers]),
            source=self._calculator.source,
            functional=self._calculator.functional,
            is_surrogate=self._calculator.is_surrogate,
            reasons=("",) * len(frames),
            seconds=np.array(seconds),
            memory_bytes=np.array([a.memory_bytes or np.nan for a in answers], dtype=float),
        )
