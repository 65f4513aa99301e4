"""What every source of labels is: from one configuration to energy, forces and virial."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.calculators.calculator import Calculator, PropertyNotImplementedError

from dasksse.records import Workplace
from dasksse.units import virial_from_stress

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ase import Atoms
    from numpy.typing import NDArray

    from dasksse.config.schema import Section

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class Place:
    """Where and how a single point is computed.

    Attributes
    ----------
    workdir
        Existing folder for the files of this configuration alone; None for calculators that
        write none.
    workplace
        Threads, command prefix, remaining time and patience of the worker.
    reproducible
        True when a label must not depend on what was computed before: nothing is reused.
    """

    workdir: Path | None = None
    workplace: Workplace = field(default_factory=Workplace)
    reproducible: bool = False


@dataclass(frozen=True)
class Answer:
    """Result of one single point.

    Attributes
    ----------
    energy
        Energy [eV] whose derivative the forces are: the free energy where electrons are
        smeared.
    forces
        Forces [eV/Å], shape ``(atom, xyz)``.
    virial
        ``-dE/d(strain)`` [eV], shape ``(lattice, xyz)``; None where there is none.
    scf_steps
        Steps to self-consistency; None where there is no such thing.
    memory_bytes
        Largest resident memory of the outside program; None where it is not known.
    fallback
        Name of the fallback that converged; empty when the asked settings did.
    is_known
        True for a label that existed already: nothing was computed.
    """

    energy: float
    forces: Array
    virial: Array | None
    scf_steps: int | None = None
    memory_bytes: float | None = None
    fallback: str = ""
    is_known: bool = False


class LabelCalculator(ABC):
    """A source of labels, loaded once per process and used for many configurations.

    Attributes
    ----------
    source
        Name, model or settings, and version, as labels record it. Labels of equal source and
        functional can be learned from together.
    functional
        Exchange-correlation functional it computes or was trained on.
    is_surrogate
        True when it is a model of DFT and not DFT itself.
    gives_virial
        True when it gives a stress that can be trusted.
    """

    source: str
    functional: str
    is_surrogate: bool
    gives_virial: bool

    @abstractmethod
    def single_point(self, atoms: Atoms, place: Place, *, virial: bool = True) -> Answer:
        """Compute one periodic configuration, which is left as it is.

        Parameters
        ----------
        atoms
            Configuration.
        place
            Where and how.
        virial
            Ask for the virial too; ignored where ``gives_virial`` is False.

        Raises
        ------
        ScfError
            When self-consistency was not reached, with any fallback.
        LabelError
            When the program failed, hung, or took too long.
        """

    def forget(self) -> None:  # noqa: B027 - most have nothing to forget
        """Drop what a failed calculation may have left behind."""


@dataclass
class AseCalculator(LabelCalculator):
    """Labels from an ASE calculator in this process.

    Attributes
    ----------
    calculator
        ASE calculator. It holds state, so it is used under ``lock``.
    lock
        Held while the calculator runs: one calculator serves all threads of a process.
    """

    calculator: Any
    source: str
    functional: str
    is_surrogate: bool
    gives_virial: bool
    lock: contextlib.AbstractContextManager[Any] = field(
        default_factory=threading.RLock, repr=False, compare=False
    )

    def single_point(self, atoms: Atoms, place: Place, *, virial: bool = True) -> Answer:
        """Compute one configuration; whatever the calculator raises, this raises."""
        wanted = ["energy", "forces"]
        if virial and self.gives_virial:
            wanted.append("stress")
        atoms = atoms.copy()
        with self.lock:
            engine = self.calculator
            atoms.calc = engine
            if place.workdir is not None and hasattr(engine, "directory"):
                engine.directory = place.workdir  # codes that write files write them here
            if isinstance(engine, Calculator) and engine.calculation_required(atoms, wanted):
                # One calculation for all three: asked one by one, codes that are started anew
                # for each property would do the work up to three times.
                changes = engine.check_state(atoms)
                engine.results = {}
                engine.atoms = atoms.copy()
                engine.calculate(atoms, wanted, changes)
            forces = np.array(atoms.get_forces(), dtype=float)
            energy = _force_consistent_energy(atoms)
            if "stress" not in wanted:
                return Answer(energy, forces, None)
            stress = virial_from_stress(atoms.get_stress(), atoms.get_volume())
            return Answer(energy, forces, stress)

    def forget(self) -> None:
        """Reset the ASE calculator."""
        reset = getattr(self.calculator, "reset", None)
        if reset is not None:
            with self.lock:
                reset()


def _force_consistent_energy(atoms: Atoms) -> float:
    """Free energy if the calculator gave one, else the energy; never starts a second run."""
    results = getattr(atoms.calc, "results", None)
    gives_free_energy = results is None or "free_energy" in results
    try:
        return float(atoms.get_potential_energy(force_consistent=gives_free_energy))
    except PropertyNotImplementedError:
        return float(atoms.get_potential_energy())


@dataclass(frozen=True)
class CalculatorKind:
    """An entry of the registry.

    Attributes
    ----------
    settings_model
        Section that checks the settings of this kind.
    make
        Builds the calculator from checked settings; slow imports happen here.
    summary
        One line for the user.
    seconds_per_frame
        Rough time of a single point [s] on one busy core, from checked settings and the number
        of atoms; None where it cannot be known.
    batch_size
        Frames that one unit of work labels: one where a frame takes minutes.
    commands
        Every command the calculator can run, from checked settings, for ``dasksse check``.
    needs
        Checks what must be on the machine (programs, pseudopotentials) for given elements, and
        gives one text per thing that is missing, with the fix; for ``dasksse doctor``.
    convergence
        Ladders of the settings that labels must not depend on, by name, coarse and cheap
        values first, from checked settings and cell vectors [Å]; for ``dasksse converge``.
    files
        Setting that names files of the user's, relative to the config file; empty for none. A
        run keeps copies of them.
    """

    settings_model: type[Section]
    make: Callable[[Any], LabelCalculator]
    summary: str
    seconds_per_frame: Callable[[Any, int], float | None] = lambda _settings, _atoms: None
    batch_size: int = 4
    commands: Callable[[Any], list[list[str]]] = lambda _settings: []
    needs: Callable[[Any, tuple[str, ...]], list[str]] = lambda _settings, _elements: []
    convergence: Callable[[Any, Array], Mapping[str, Sequence[Any]]] = lambda _settings, _: {}
    files: str = ""
