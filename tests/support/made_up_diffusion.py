"""Studies of D(T) with made-up results: no engine, no disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import atomic_numbers
from pretender import toy

from dasksse.analyse.conductivity import nernst_einstein_mS_cm
from dasksse.loop.walk import RunState
from dasksse.study.protocol import Protocol
from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dasksse.config.schema import RunConfig
    from dasksse.loop.walk import Plan
    from dasksse.records import Unit
    from dasksse.study.outcome import Outcome, StudyKind

LGPS = {"Li": 20, "Ge": 2, "P": 4, "S": 24}
VOLUME_A3 = 990.0
HAVEN = 0.5


def lgps(**changes: Any) -> RunConfig:
    """LGPS with one ordered system and the cations of the paper that exchange places."""
    return toy(
        **{
            "type_map": ["Li", "Ge", "P", "S"],
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
    """D and its error on one line, whatever the group."""

    def law(group: str, temperature_K: float) -> tuple[float, float]:
        D = D300_m2_s * np.exp(-Ea_eV / BOLTZMANN_EV_K * (1 / temperature_K - 1 / 300.0))
        return float(D), float(share * D)

    return law


class Player:
    """Finishes units with made-up records until the studies are done."""

    def __init__(
        self,
        kinds: Sequence[StudyKind],
        config: RunConfig,
        *,
        law: Any,
        base_dir: Path = Path(),
        numbers: dict[str, int] = LGPS,
        untrusted: float = 0.0,
    ) -> None:
        self.config = config
        self.law = law
        self.untrusted = untrusted
        self.numbers = [atomic_numbers[s] for s, n in numbers.items() for _ in range(n)]
        self.results: dict[str, dict[str, Any]] = {}
        self.failed: dict[str, dict[str, Any]] = {}
        self.units: list[Unit] = []
        self.fail_groups: set[str] = set()
        self._volumes: dict[str, float] = {}
        self._groups: dict[str, tuple[str, tuple[float, ...]]] = {}
        self.protocol = Protocol(
            kinds,
            root=Path(),
            models=("ensemble/0.pb", "ensemble/1.pb", "ensemble/2.pb", "ensemble/3.pb"),
            labels={},
            base_dir=base_dir,
        )

    def plan(self) -> Plan:
        return self.protocol.plan(
            self.config, {"lgps": "0" * 16}, RunState(self.results, self.failed)
        )

    def run(self) -> dict[str, Outcome]:
        for _ in range(50):
            plan = self.plan()
            if plan.is_finished:
                return self.protocol.outcomes
            assert plan.ready, f"nothing to do and not finished: {plan.blocked}"
            for group in plan.groups:
                name = group.path.partition("/")[2]
                self._groups[group.path] = (name, group.temperatures_K)
            for unit in plan.ready:
                self._finish(unit)
        message = "the studies do not come to an end"
        raise AssertionError(message)

    def names(self, kind: str = "production") -> list[str]:
        return [u.payload["group"].partition("/")[2] for u in self.units if u.kind == kind]

    def volume_of(self, name: str) -> float:
        unit = next(
            u
            for u in self.units
            if u.kind == "production" and u.payload["group"].endswith(f"/{name}")
        )
        return self._volumes[unit.payload["structure_file"]]

    def _finish(self, unit: Unit) -> None:
        self.units.append(unit)
        if unit.kind == "production" and unit.payload["group"] in self.fail_groups:
            self.failed[unit.key] = {"kind": unit.kind, "key": unit.key, "error": "died"}
            return
        self.results[unit.key] = getattr(self, f"_{unit.kind}")(unit)

    def _structure(self, unit: Unit) -> dict[str, Any]:
        section = unit.payload["section"]
        repeats = int(np.prod(section["supercell"]))
        file = f"work/structure/{unit.key}/system.npz"
        self._volumes[file] = VOLUME_A3 * repeats * section["volume_scale"]
        numbers = self.numbers * repeats
        return {"file": file, "numbers": numbers, "n_atoms": len(numbers)}

    def _production(self, unit: Unit) -> dict[str, Any]:
        return {"n_frames": 41, "end": "complete"}

    def _diffusion(self, unit: Unit) -> dict[str, Any]:
        name, temperatures_K = self._groups[unit.payload["group"]]
        counts = unit.payload["n_valid"]
        alive = [t for run, t in enumerate(temperatures_K) if counts[str(run)]]
        lost = len(temperatures_K) - len(alive)
        return {
            "points": [self.point(name, t) for t in sorted(set(alive))],
            "arrhenius": None,
            "damaged": [f"{name}: {lost} runs are lost"] if lost else [],
        }

    def point(self, name: str, temperature_K: float) -> dict[str, Any]:
        """Record of the diffusion stage; without D an upper bound of 1e-12 m²/s."""
        D, error = self.law(name, temperature_K)
        volume_A3 = self.volume_of(name)
        n_mobile = 20.0 * round(volume_A3 / VOLUME_A3)
        point: dict[str, Any] = {
            "temperature_K": temperature_K,
            "D_m2_s": D,
            "D_err_m2_s": error,
            "upper_bound_m2_s": 1e-12 if D is None else None,
            "untrusted_fraction": self.untrusted,
            "framework_broken": 0.0,
            "framework_melted": [],
            "length_ps": 1000.0,
            "volume_A3": volume_A3,
            "n_atoms_species": n_mobile,
            "n_runs": 1,
            "effective_jumps": 1234.5,
            "regime": "diffusive" if D is not None else "not_diffusive",
        }
        if D is None or error is None:
            return point
        sigma = nernst_einstein_mS_cm(
            D,
            carrier_density_A3=n_mobile / volume_A3,
            temperature_K=temperature_K,
            charge=1.0,
        )
        return {
            **point,
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
