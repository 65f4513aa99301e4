"""Lattice parameters of relaxed crystals by functional, as Table II of Huang et al. 2021.

doi:10.1063/5.0041849
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.config.schema import RegistrySection
from dasksse.errors import ConfigError
from dasksse.label import CALCULATOR_KINDS, resolved_calculator
from dasksse.label.dft.settings import DftSettings
from dasksse.loop.units import structure_unit
from dasksse.loop.walk import Plan, RunState, WaitingError, Walk, make_unit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ase import Atoms

    from dasksse.config.schema import RunConfig, SystemSection
    from dasksse.records import Json, Unit

KIND = "relaxation"
STEPS_AT_ONCE = 100
"""Steps of one unit; more are a unit of their own, so that a later session can allow more."""


@dataclass(frozen=True)
class RelaxRequest:
    """What to relax and how.

    Attributes
    ----------
    systems
        Names of systems.
    functionals
        Functionals, one relaxation each; the configured calculator as it is when empty.
    cell
        Relax the cell vectors too.
    max_steps
        Most steps.
    max_force_eV_A
        Relaxed when no force is larger [eV/Å], nor a row of the virial per atom [eV].
    optimiser
        One of :data:`dasksse.label.OPTIMISERS`.
    """

    systems: tuple[str, ...]
    functionals: tuple[str, ...]
    cell: bool
    max_steps: int
    max_force_eV_A: float
    optimiser: str


@dataclass(frozen=True)
class Lattice:
    """A cell of the structure file: lengths [Å], angles [degree], volume [Å³]."""

    lengths_A: tuple[float, ...]
    angles_deg: tuple[float, ...]
    volume_A3: float

    @classmethod
    def of(cls, cell_A: Sequence[Sequence[float]], repeats: Sequence[int]) -> Lattice:
        """Lattice of the cell that was repeated to a supercell."""
        from ase.cell import Cell

        cell = Cell(np.asarray(cell_A) / np.asarray(repeats)[:, None])
        values = [float(value) for value in cell.cellpar()]
        return cls(tuple(values[:3]), tuple(values[3:]), float(cell.volume))

    def scaled(self, factor: float) -> Lattice:
        """Lattice with another volume and the same shape."""
        lengths = tuple(length * factor ** (1.0 / 3.0) for length in self.lengths_A)
        return Lattice(lengths, self.angles_deg, self.volume_A3 * factor)


@dataclass(frozen=True)
class LatticeRow:
    """One line of the table.

    Attributes
    ----------
    system
        Name of the system.
    method
        Functional of a DFT code, else the kind of the calculator.
    lattice
        Its lattice; None when the relaxation failed.
    reference
        Lattice of the structure file.
    records
        What the units of the relaxation returned, in order; the last one holds the result.
    reason
        Why it failed; empty when it did not.
    """

    system: str
    method: str
    lattice: Lattice | None
    reference: Lattice | None
    records: Sequence[Mapping[str, Json]]
    reason: str = ""

    @property
    def record(self) -> Mapping[str, Json]:
        """The result; empty when the relaxation failed."""
        return {} if self.reason else self.records[-1]

    @property
    def is_converged(self) -> bool:
        """True for a relaxation that came to its end."""
        return bool(self.record.get("converged", False))

    @property
    def energy_eV_atom(self) -> float | None:
        """Energy of the relaxed crystal [eV/atom]."""
        if self.lattice is None:
            return None
        return float(self.record["energy_eV"]) / int(self.record["n_atoms"])

    @property
    def deviations_percent(self) -> tuple[float, ...] | None:
        """Deviation of a, b, c and volume from the structure file [%]."""
        if self.lattice is None or self.reference is None:
            return None
        found = (*self.lattice.lengths_A, self.lattice.volume_A3)
        given = (*self.reference.lengths_A, self.reference.volume_A3)
        return tuple(100.0 * (a / b - 1.0) for a, b in zip(found, given, strict=True))

    def atoms(self) -> Atoms:
        """Relaxed crystal, supercell and all."""
        from ase import Atoms

        return Atoms(
            self.record["symbols"],
            positions=self.record["positions_A"],
            cell=self.record["cell_A"],
            pbc=True,
        )


def calculators(section: RegistrySection, functionals: Sequence[str]) -> list[RegistrySection]:
    """The calculator with each functional; as it is when none are named.

    Raises
    ------
    ConfigError
        When the calculator cannot change its functional, or does not have one of them.
    """
    section = resolved_calculator(section)
    if not functionals:
        return [section]
    if not issubclass(CALCULATOR_KINDS[section.kind].settings_model, DftSettings):
        able = [
            n for n, k in CALCULATOR_KINDS.items() if issubclass(k.settings_model, DftSettings)
        ]
        msg = (
            f"--functional: the functional of kind {section.kind!r} cannot be chosen; leave it "
            f"out, or take another label.calculator.kind: {', '.join(able) or 'none here'}"
        )
        raise ConfigError(msg)
    changed = []
    for functional in functionals:
        settings = {**section.settings, "functional": functional}
        try:
            changed.append(
                resolved_calculator(RegistrySection(kind=section.kind, settings=settings))
            )
        except ConfigError as error:
            msg = f"--functional: {error}"
            raise ConfigError(msg) from error
    return changed


def method_name(calculator: RegistrySection) -> str:
    """Functional of a DFT code, else the kind of the calculator."""
    if issubclass(CALCULATOR_KINDS[calculator.kind].settings_model, DftSettings):
        return str(calculator.settings["functional"])
    return calculator.kind


class Relaxation:
    """Relaxations as a plan of units.

    Parameters
    ----------
    request
        What to relax and how.
    """

    name = "relax"

    def __init__(self, request: RelaxRequest) -> None:
        self._request = request
        self.rows: list[LatticeRow] = []
        """The table; empty while the plan is not finished."""

    def plan(self, config: RunConfig, digests: Mapping[str, str], state: RunState) -> Plan:
        """Units that can start now.

        Raises
        ------
        ConfigError
            When the calculator does not have a functional.
        """
        walk = Walk(state)
        try:
            self.rows = self._walk(walk, config, digests)
        except WaitingError:
            return walk.plan
        walk.plan.is_finished = True
        return walk.plan

    def _walk(
        self, walk: Walk, config: RunConfig, digests: Mapping[str, str]
    ) -> list[LatticeRow]:
        structures = {
            name: structure_unit(config, name, digests[name]) for name in self._request.systems
        }
        walk.need(list(structures.values()), "structures")
        rows = [
            self._row(walk, config.system(name), structure, calculator)
            for name, structure in structures.items()
            for calculator in calculators(config.label.calculator, self._request.functionals)
        ]
        known = [row for row in rows if row is not None]
        if len(known) < len(rows):
            walk.plan.stage = KIND
            raise WaitingError
        return known

    def _row(
        self, walk: Walk, system: SystemSection, structure: Unit, calculator: RegistrySection
    ) -> LatticeRow | None:
        """Line of a relaxation; None while it is under way."""
        method = method_name(calculator)
        records: list[Mapping[str, Json]] = []
        steps_left = self._request.max_steps
        while steps_left > 0 and not (records and records[-1]["converged"]):
            steps = min(steps_left, STEPS_AT_ONCE)
            before = records[-1]["trajectory"] if records else None
            unit = self._unit(structure, calculator, before, steps)
            if not walk.want([unit]):
                return None
            record = walk.result(unit)
            if record is None:
                reason = str(walk.state.failed[unit.key].get("error", ""))
                return LatticeRow(system.name, method, None, None, records, reason)
            records.append(record)
            steps_left -= steps
        given = Lattice.of(records[0]["start_cell_A"], system.supercell)
        return LatticeRow(
            system.name,
            method,
            Lattice.of(records[-1]["cell_A"], system.supercell),
            given.scaled(1.0 / system.volume_scale),
            records,
        )

    def _unit(
        self, structure: Unit, calculator: RegistrySection, before: Json, steps: int
    ) -> Unit:
        request = self._request
        payload = {
            "structure": structure.key,
            "before": before,
            "calculator": calculator.model_dump(mode="json"),
            "cell": request.cell,
            "max_steps": steps,
            "max_force_eV_A": request.max_force_eV_A,
            "optimiser": request.optimiser,
        }
        return make_unit(
            KIND,
            "LABEL",
            "relaxation:relax_lattice",
            payload,
            amount=steps,
            amount_name="labels",
        )


def write_structures(rows: Sequence[LatticeRow], folder: Path, root: Path) -> list[Path]:
    """Write relaxed crystals as CIF, and the configurations on the way as extended XYZ.

    Parameters
    ----------
    rows
        The table; rows of failed relaxations are left out.
    folder
        Where to write.
    root
        Folder of the study.

    Returns
    -------
    list[Path]
        The CIF files.
    """
    from ase.io import write

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for row in rows:
        if row.lattice is None:
            continue
        stem = f"{row.system}-{row.method}"
        written.append(folder / f"{stem}.cif")
        write(written[-1], row.atoms(), format="cif")
        write(folder / f"{stem}.extxyz", row.atoms(), format="extxyz")
        parts = [(root / record["trajectory"]).read_text() for record in row.records]
        (folder / f"{stem}-path.extxyz").write_text("".join(parts))
    return written
