"""Studies driven to their outcomes with made-up records: no engine, no disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.symbols import Symbols
from pretender import toy

from dasksse.analyse.conductivity import nernst_einstein_mS_cm
from dasksse.loop.walk import RunState
from dasksse.study.protocol import Protocol
from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dasksse.config.schema import RunConfig
    from dasksse.loop.walk import Plan
    from dasksse.records import Unit
    from dasksse.study.outcome import Outcome, StudyKind

    DOf = Callable[[str, float], tuple[float | None, float | None]]
    """D and its error [m²/s] of a case, by its name, at a temperature [K]."""

    Answer = Callable[[Unit], dict[str, Any] | str]
    """Record of a unit; a text is the error of one that failed for good."""

NO_FOLDER = Path("/no/such/folder")
MODELS = tuple(f"ensemble/{number}.pb" for number in range(4))

ELEMENTS = ["Li", "Ge", "P", "S"]
LGPS = [*[3] * 20, *[32] * 2, *[15] * 4, *[16] * 24]
"""Atomic numbers of a cell of Li10GeP2S12."""
VOLUME_A3 = 990.0
"""Volume of this cell."""
HAVEN = 0.5


def lgps(**changes: Any) -> RunConfig:
    """LGPS with one ordered system and the cations of the paper that exchange places."""
    return toy(
        **{
            "type_map": ELEMENTS,
            "mobile_species": "Li",
            "systems": [{"name": "lgps", "structure": "lgps.vasp"}],
            "start__systems": ["lgps"],
            "explore__schedule": [
                {"systems": ["lgps"], "temperatures_K": [300.0], "lengths_ps": [1.0]}
            ],
            "explore__framework": None,
            "production": {"equilibration_ps": 0.0},
            "studies__disorder__species": ["Ge", "P"],
            **changes,
        }
    )


def arrhenius(D300_m2_s: float, Ea_eV: float, share: float = 0.1) -> Any:
    """D and its error on one line, whatever the case."""

    def D_of(_name: str, temperature_K: float) -> tuple[float, float]:
        D = D300_m2_s * np.exp(-Ea_eV / BOLTZMANN_EV_K * (1 / temperature_K - 1 / 300.0))
        return float(D), float(share * D)

    return D_of


def point(
    temperature_K: float,
    D: float | None,
    error: float | None,
    *,
    volume_A3: float = VOLUME_A3,
    **changes: Any,
) -> dict[str, Any]:
    """Point of D(T) as the diffusion stage writes it; a bound of 1e-12 m²/s where D is None."""
    n_mobile = 20.0 * round(volume_A3 / VOLUME_A3)
    known: dict[str, Any] = {}
    if D is not None and error is not None:
        sigma = nernst_einstein_mS_cm(
            D,
            carrier_density_A3=n_mobile / volume_A3,
            temperature_K=temperature_K,
            charge=1.0,
        )
        known = {
            "D_low95_m2_s": D * np.exp(-1.96 * error / D),
            "D_high95_m2_s": D * np.exp(1.96 * error / D),
            "D_collective_m2_s": D / HAVEN,
            "D_collective_err_m2_s": 2.0 * error / HAVEN,
            "haven_ratio": HAVEN,
            "haven_ratio_err": 0.1,
            "sigma_mS_cm": sigma,
            "sigma_err_mS_cm": sigma * error / D,
            "sigma_collective_mS_cm": sigma / HAVEN,
            "sigma_collective_err_mS_cm": 2.0 * sigma * error / D / HAVEN,
        }
    return {
        "temperature_K": temperature_K,
        "D_m2_s": D,
        "D_err_m2_s": error,
        "upper_bound_m2_s": 1e-12 if D is None else None,
        "regime": "subdiffusive" if D is None else "diffusive",
        "untrusted_fraction": 0.0,
        "framework_broken": 0.0,
        "framework_melted": [],
        "length_ps": 1000.0,
        "volume_A3": volume_A3,
        "n_atoms_species": n_mobile,
        "n_runs": 1,
        "effective_jumps": 1234.5,
        **known,
        **changes,
    }


def record_of(points: Sequence[Mapping[str, Any]], *damaged: str) -> dict[str, Any]:
    """Diffusion record."""
    return {"points": list(points), "arrhenius": None, "damaged": list(damaged)}


def runs_of(*names: str) -> Callable[[Unit], bool]:
    """Tell whether a unit is a production run of these cases; of any case without names."""

    def is_theirs(unit: Unit) -> bool:
        return unit.kind == "production" and (
            not names or unit.payload["group"].removeprefix("production/") in names
        )

    return is_theirs


class StudyPlayer:
    """Finishes the units that studies ask for, one after another.

    Parameters
    ----------
    kinds
        The studies.
    D_of
        D of each case.
    answers
        Of other units than those of structures, production runs and D(T), or instead of
        theirs: by kind of unit, or by ``module:function`` of a study's own.
    is_failing
        Which units fail for good.
    numbers
        Atomic numbers of the crystal.
    places
        Arguments of the protocol that differ.
    """

    def __init__(
        self,
        kinds: Sequence[StudyKind],
        config: RunConfig,
        D_of: DOf = lambda _name, _at_K: (1e-10, 1e-11),
        *,
        answers: Mapping[str, Answer] | None = None,
        is_failing: Callable[[Unit], bool] = lambda _unit: False,
        numbers: Sequence[int] = LGPS,
        **places: Any,
    ) -> None:
        self.kinds = kinds
        self.config = config
        self.D_of = D_of
        self.answers: dict[str, Answer] = {
            "structure": self.structure,
            "production": self.production,
            "diffusion": self.diffusion,
            **(answers or {}),
        }
        self.is_failing = is_failing
        self.numbers = list(numbers)
        self.protocol = Protocol(
            kinds,
            **{
                "root": NO_FOLDER,
                "models": MODELS,
                "labels": {},
                "base_dir": NO_FOLDER,
                **places,
            },
        )
        self.results: dict[str, dict[str, Any]] = {}
        self.failed: dict[str, dict[str, Any]] = {}
        self.units: list[Unit] = []
        self.batches: list[list[Unit]] = []
        """Units that could start at the same time, at each look."""
        self._volumes_A3: dict[str, float] = {}
        self._temperatures_K: dict[str, tuple[float, ...]] = {}

    def take_up(self, earlier: StudyPlayer) -> None:
        """Go on in the folder of other studies."""
        self.results.update(earlier.results)
        self.failed.update(earlier.failed)
        self._volumes_A3.update(earlier._volumes_A3)

    def plan(self) -> Plan:
        """What the studies ask for next."""
        digests = {system.name: "0" * 16 for system in self.config.systems}
        plan = self.protocol.plan(self.config, digests, RunState(self.results, self.failed))
        for group in plan.groups:
            self._temperatures_K[group.path] = group.temperatures_K
        return plan

    def run(self) -> dict[str, Outcome]:
        """Outcomes of all studies."""
        while not (plan := self.plan()).is_finished:
            assert plan.ready, f"nothing to do and not finished: {plan.blocked}"
            self.batches.append(plan.ready)
            self._finish(plan.ready[0])
        return self.protocol.outcomes

    def conclude(self) -> Outcome:
        """Outcome of the last of the studies."""
        return self.run()[self.kinds[-1].name]

    def asked(self, name: str) -> list[Unit]:
        """Units of a kind, or of a function of a study's own, in the order of their end."""
        return [unit for unit in self.units if name in (unit.kind, _function(unit))]

    def cases(self) -> list[str]:
        """Cases by name, one for each production run."""
        return [_case(unit) for unit in self.asked("production")]

    def volume_A3(self, case: str) -> float:
        """Volume of the cell of a case."""
        run = next(unit for unit in self.asked("production") if _case(unit) == case)
        return self._volumes_A3[run.payload["structure_file"]]

    def structure(self, unit: Unit) -> dict[str, Any]:
        section = unit.payload["section"]
        n_cells = int(np.prod(section["supercell"]))
        file = f"work/structure/{unit.key}/system.npz"
        self._volumes_A3[file] = VOLUME_A3 * n_cells * section["volume_scale"]
        return {
            "file": file,
            "formula": str(Symbols(self.numbers * n_cells)),
            "n_atoms": len(self.numbers) * n_cells,
            "numbers": self.numbers * n_cells,
            "volume_A3": self._volumes_A3[file],
        }

    def production(self, unit: Unit) -> dict[str, Any]:
        spec = unit.payload["spec"]
        n_frames = spec["n_steps"] // spec["frame_interval_steps"] + 1
        return {"n_frames": n_frames, "end": "complete"}

    def diffusion(self, unit: Unit) -> dict[str, Any]:
        path = unit.payload["group"]
        runs = list(enumerate(self._temperatures_K[path]))
        has_frames = {run: bool(unit.payload["n_valid"][str(run)]) for run, _ in runs}
        case = _case(unit)
        points = [
            point(at_K, *self.D_of(case, at_K), volume_A3=self.volume_A3(case))
            for at_K in sorted({at_K for run, at_K in runs if has_frames[run]})
        ]
        lost = [f"{path} run {run}: lost, no frames" for run, _ in runs if not has_frames[run]]
        return record_of(points, *lost)

    def _finish(self, unit: Unit) -> None:
        self.units.append(unit)
        name = _function(unit)
        answer = self.answers[name if name in self.answers else unit.kind]
        record = "engine died\nin line 3" if self.is_failing(unit) else answer(unit)
        if isinstance(record, str):
            self.failed[unit.key] = {"kind": unit.kind, "error": record}
        else:
            self.results[unit.key] = record


def _function(unit: Unit) -> str:
    """Module and function of a unit of a study's own."""
    return unit.function.rpartition(".")[2]


def _case(unit: Unit) -> str:
    return str(unit.payload["group"].removeprefix("production/"))
