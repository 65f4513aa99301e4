"""A study driven to its end on made-up results, without engine and disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols
from pretender import DIGESTS, toy

from dasksse.loop.walk import RunState
from dasksse.study.protocol import Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from dasksse.records import Unit
    from dasksse.store.allocation import TrajectoryGroup
    from dasksse.study.outcome import Outcome, StudyKind

    DOf = Callable[[str, float], tuple[float | None, float | None]]
    """D and its error [m²/s] of a case, by its name, at a temperature [K]."""

ATOMS = [3] * 10 + [14] + [15] * 2 + [16] * 12
"""Li10SiP2S12."""


def point_of(
    temperature_K: float, D: float | None, error: float | None, **changes: Any
) -> dict[str, Any]:
    """Point of D(T) as the diffusion stage writes it; a bound where D is None."""
    return {
        "temperature_K": temperature_K,
        "D_m2_s": D,
        "D_err_m2_s": error,
        "upper_bound_m2_s": 1e-11 if D is None else None,
        "regime": "subdiffusive" if D is None else "diffusive",
        "untrusted_fraction": 0.0,
        "framework_broken": 0.0,
        "framework_melted": [],
        "length_ps": 100.0,
        "volume_A3": 1000.0,
        **changes,
    }


class DrivenStudy:
    """Finishes the units that a study asks for.

    Parameters
    ----------
    kind
        The study.
    D_of
        D of each case.
    answer
        Result of other units of the study.
    is_failing
        Which units fail for good.
    changes
        Of the toy configuration, such as ``studies__members={...}``.
    """

    def __init__(
        self,
        kind: StudyKind,
        D_of: DOf = lambda _name, _at_K: (1e-10, 1e-11),
        *,
        answer: Callable[[Unit], dict[str, Any]] = lambda _unit: {},
        is_failing: Callable[[Unit], bool] = lambda _unit: False,
        root: Path = Path("studies"),
        base_dir: Path = Path(),
        n_models: int = 2,
        **changes: Any,
    ) -> None:
        self.config = toy(**changes)
        self.kind = kind
        self.D_of = D_of
        self.answer = answer
        self.is_failing = is_failing
        self.protocol = Protocol(
            [kind],
            root=root,
            models=tuple(f"ensemble/{i}.pb" for i in range(n_models)),
            labels={},
            base_dir=base_dir,
        )
        self.asked: list[Unit] = []
        self.results: dict[str, dict[str, Any]] = {}
        self.failed: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, TrajectoryGroup] = {}

    def of_kind(self, kind: str) -> list[Unit]:
        return [unit for unit in self.asked if unit.kind == kind]

    def run(self) -> Outcome:
        """The outcome; every unit that was ready has been done."""
        for _ in range(100):
            state = RunState(self.results, self.failed)
            plan = self.protocol.plan(self.config, DIGESTS, state)
            self.groups |= {group.path: group for group in plan.groups}
            if plan.is_finished:
                return self.protocol.outcomes[self.kind.name]
            assert plan.ready, "nothing to do and not finished"
            for unit in plan.ready:
                self._finish(unit)
        raise AssertionError("no end")

    def _finish(self, unit: Unit) -> None:
        self.asked.append(unit)
        if self.is_failing(unit):
            self.failed[unit.key] = {"kind": unit.kind, "error": "engine died\nin line 3"}
        elif unit.kind in ("structure", "production", "diffusion"):
            self.results[unit.key] = getattr(self, f"_{unit.kind}")(unit)
        else:
            self.results[unit.key] = self.answer(unit)

    def _structure(self, unit: Unit) -> dict[str, Any]:
        n_cells = int(np.prod(unit.payload["section"]["supercell"]))
        return {
            "file": f"work/structure/{unit.key}/system.npz",
            "formula": "".join(chemical_symbols[number] for number in ATOMS),
            "n_atoms": len(ATOMS) * n_cells,
            "numbers": ATOMS * n_cells,
            "volume_A3": 1000.0 * n_cells,
        }

    def _production(self, unit: Unit) -> dict[str, Any]:
        return {"n_frames": 41, "end": "complete"}

    def _diffusion(self, unit: Unit) -> dict[str, Any]:
        path = unit.payload["group"]
        counts = unit.payload["n_valid"]
        points, damaged = [], []
        for run, at_K in enumerate(self.groups[path].temperatures_K):
            if counts[str(run)]:
                points.append(
                    point_of(at_K, *self.D_of(path.removeprefix("production/"), at_K))
                )
            else:
                damaged.append(f"{path} run {run}: no frames")
        return {"points": points, "arrhenius": None, "damaged": damaged}
