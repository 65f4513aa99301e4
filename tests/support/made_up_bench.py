"""Studies whose units are finished with made-up records, without engine and disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pretender import toy

from dasksse.loop.walk import RunState
from dasksse.study.protocol import Protocol
from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dasksse.config.schema import RunConfig
    from dasksse.records import Unit
    from dasksse.study.outcome import Outcome, StudyKind

LGPS = [*[3] * 20, *[32] * 2, *[15] * 4, *[16] * 24]
"""Atomic numbers of a cell of Li10GeP2S12."""


def lgps_config(**studies: Any) -> RunConfig:
    """The toy configuration with the elements of LGPS and settings of studies."""
    return toy(type_map=["Li", "Ge", "P", "S"], studies=studies)


class MadeUpBench:
    """Finishes every unit that studies ask for.

    Parameters
    ----------
    config
        Configuration.
    numbers
        Atomic numbers of the crystal.
    answers
        What a unit of a kind, or of a function, gives; None lets it fail for good.
    """

    def __init__(
        self,
        config: RunConfig,
        answers: Mapping[str, Callable[[Unit], dict[str, Any] | None]],
        *,
        numbers: Sequence[int] = LGPS,
    ) -> None:
        self.config = config
        self.numbers = list(numbers)
        self.answers = answers
        self.done: list[Unit] = []
        self.batches: list[list[Unit]] = []
        """Units that were ready at the same time."""
        self.results: dict[str, dict[str, Any]] = {}
        self.failed: dict[str, dict[str, Any]] = {}

    def conclude(self, kind: StudyKind) -> Outcome:
        """Work until the study has its outcome."""
        return self.conclude_all([kind])[kind.name]

    def conclude_all(self, kinds: Sequence[StudyKind]) -> dict[str, Outcome]:
        """Work until all of them have."""
        protocol = Protocol(
            kinds, root=Path(), models=("a.pb", "b.pb"), labels={}, base_dir=Path()
        )
        while True:
            state = RunState(self.results, self.failed)
            plan = protocol.plan(self.config, {"salt": "0" * 16}, state)
            if plan.is_finished:
                return protocol.outcomes
            assert plan.ready, "nothing to do and not finished"
            self.batches.append(plan.ready)
            for unit in plan.ready:
                self._finish(unit)

    def asked(self, kind: str) -> list[Unit]:
        """Units of a kind that were done or failed."""
        return [unit for unit in self.done if unit.kind == kind]

    def _finish(self, unit: Unit) -> None:
        self.done.append(unit)
        name = unit.function.rpartition(":")[2]
        answer = self.answers.get(name) or self.answers.get(unit.kind)
        record = getattr(self, f"_{unit.kind}")(unit) if answer is None else answer(unit)
        if record is None:
            self.failed[unit.key] = {"kind": unit.kind, "error": "engine died"}
        else:
            self.results[unit.key] = record

    def _structure(self, unit: Unit) -> dict[str, Any]:
        repeats = int(np.prod(unit.payload["section"]["supercell"]))
        numbers = [number for number in self.numbers for _ in range(repeats)]
        return {
            "file": "system.npz",
            "formula": "made up",
            "numbers": numbers,
            "n_atoms": len(numbers),
        }

    def _production(self, unit: Unit) -> dict[str, Any]:
        spec = unit.payload["spec"]
        return {"n_frames": spec["n_steps"] // spec["frame_interval_steps"] + 1}


def point(
    temperature_K: float, *, Ea_eV: float = 0.25, factor: float = 1.0, **changes: Any
) -> dict[str, Any]:
    """Point of a diffusion record on an Arrhenius line, with an error of 10 %."""
    D = factor * 3e-8 * float(np.exp(-Ea_eV / (BOLTZMANN_EV_K * temperature_K)))
    return {
        "temperature_K": temperature_K,
        "D_m2_s": D,
        "D_err_m2_s": 0.1 * D,
        "upper_bound_m2_s": None,
        "framework_broken": 0.0,
        "framework_melted": [],
        "untrusted_fraction": 0.0,
        "volume_A3": 960.0,
        **changes,
    }


def unresolved(temperature_K: float, bound_m2_s: float) -> dict[str, Any]:
    """Point of which only an upper bound is known."""
    return point(temperature_K, D_m2_s=None, D_err_m2_s=None, upper_bound_m2_s=bound_m2_s)


def record_of(points: Sequence[Mapping[str, Any]], *damaged: str) -> dict[str, Any]:
    """Diffusion record."""
    return {"points": list(points), "arrhenius": None, "damaged": list(damaged)}
