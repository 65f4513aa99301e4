"""A run with made-up results: the plan of the DP-GEN scheme without engine and disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dasksse.config.load import load_config
from dasksse.config.schema import RunConfig
from dasksse.loop.books import Books
from dasksse.loop.prepare import open_run_folder
from dasksse.loop.schemes import plan_dpgen
from dasksse.loop.walk import Plan, RunState
from dasksse.store.folders import RESULT, RunFolder, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dasksse.records import Unit

TOY = Path(__file__).parents[2] / "configs" / "toy.yaml"
DIGESTS = {"salt": "0" * 16}


def toy(**changes: Any) -> RunConfig:
    values = load_config(TOY).config.model_dump(mode="json")
    for path, value in changes.items():
        *parents, last = path.split("__")
        section = values
        for parent in parents:
            section = section[parent]
        section[last] = value
    return RunConfig.model_validate(values)


class Pretender:
    """Finishes units with made-up records, as a cluster would with real ones."""

    def __init__(
        self,
        config: RunConfig,
        *,
        accurate: list[float],
        digests: Mapping[str, str] = DIGESTS,
        D_m2_s: list[float] | None = None,
    ) -> None:
        self.config = config
        self.digests = digests
        self.accurate = accurate
        self.D_m2_s = D_m2_s or [1e-10]
        self.results: dict[str, dict[str, Any]] = {}
        self.failed: dict[str, dict[str, Any]] = {}
        self.decisions: dict[str, Any] = {}
        self.done: list[Unit] = []

    def plan(self) -> Plan:
        plan = plan_dpgen(
            self.config, self.digests, RunState(self.results, self.failed, self.decisions)
        )
        self.decisions |= plan.decisions
        return plan

    def finish(self, unit: Unit) -> None:
        self.done.append(unit)
        self.results[unit.key] = getattr(self, f"_{unit.kind}")(unit)

    def run(self, *, reverse: bool = False) -> Plan:
        plan = self.plan()
        while not plan.is_finished:
            assert plan.ready, "nothing to do and not finished"
            self.finish(plan.ready[-1 if reverse else 0])
            plan = self.plan()
        return plan

    def until(self, kind: str) -> Plan:
        """Finish units until one of this kind is the most urgent."""
        plan = self.plan()
        while plan.ready[0].kind != kind:
            self.finish(plan.ready[0])
            plan = self.plan()
        return plan

    def fail(self, unit: Unit, error: str = "engine died") -> None:
        self.failed[unit.key] = {
            "kind": unit.kind,
            "key": unit.key,
            "generation": unit.generation,
            "amount": unit.amount,
            "failure_class": "engine",
            "error": error,
        }

    def books(self) -> Books:
        kinds = {unit.key: unit.kind for unit in self.done}
        return Books(self.results, kinds, self.failed, self.decisions)

    def write(self, run_dir: Path, config: Path) -> RunFolder:
        """The same run on disk."""
        folder, _ = open_run_folder(load_config(config), run_dir)
        for unit in self.done:
            final = folder.unit(unit.kind, unit.key)
            final.mkdir(parents=True)
            record = {"value": self.results[unit.key], "generation": unit.generation}
            write_json(final / RESULT, record)
        for key, reason in self.failed.items():
            folder.quarantine(reason["kind"], key, reason)
        for name, value in self.decisions.items():
            write_json(folder.decision(name), value)
        return folder

    def kinds(self, kind: str) -> list[Unit]:
        return [unit for unit in self.done if unit.kind == kind]

    def _structure(self, unit: Unit) -> dict[str, Any]:
        return {"file": f"work/structure/{unit.key}/system.npz", "numbers": [3, 17]}

    def _imported(self, unit: Unit) -> dict[str, Any]:
        return {"n": 30, "n_good": 30}

    def _start(self, unit: Unit) -> dict[str, Any]:
        return {
            "file": f"work/start/{unit.key}/frames.npz",
            "n_frames": 24,
            "frame_keys": [f"{unit.key}{i}" for i in range(24)],
        }

    def _label(self, unit: Unit) -> dict[str, Any]:
        return {"n": len(unit.payload["indices"])}

    def _dataset(self, unit: Unit) -> dict[str, Any]:
        return {"n_train": 20, "n_held_out": 2, "sel": [8, 8], "sel_changed": False}

    def _train(self, unit: Unit) -> dict[str, Any]:
        return {
            "model": f"work/train/{unit.key}/model.pb",
            "checkpoint": f"work/train/{unit.key}/model.ckpt",
            "force_rmse_eV_A": 0.1,
        }

    def _md(self, unit: Unit) -> dict[str, Any]:
        return {"n_frames": 21, "end": "complete"}

    def _probe(self, unit: Unit) -> dict[str, Any]:
        return {
            "file": f"work/probe/{unit.key}/f.npz",
            "n_frames": 6,
            "places": [3, 7],
            "frame_keys": list("abcdef"),
        }

    def _select(self, unit: Unit) -> dict[str, Any]:
        accurate = self.accurate[min(unit.generation, len(self.accurate) - 1)]
        picks = 0 if accurate == 1.0 else 5
        return {
            "file": f"work/select/{unit.key}/f.npz",
            "n_picks": picks,
            "group": unit.payload["group"],
            "damaged": [],
            "n_checks": 2,
            "frame_keys": [f"{unit.generation}-{i}" for i in range(picks + 2)],
            "n_planned": 42,
            "accurate": accurate,
            "candidate": 1.0 - accurate,
            "failed": 0.0,
        }

    def _evaluate(self, unit: Unit) -> dict[str, Any]:
        return {"rmse": {"probe": {"mean": {"force_rmse_meV_A": 100.0}}}}

    def _production(self, unit: Unit) -> dict[str, Any]:
        return {"n_frames": 41, "end": "complete"}

    def _diffusion(self, unit: Unit) -> dict[str, Any]:
        return {"text": "D", "damaged": []}

    def _stability(self, unit: Unit) -> dict[str, Any]:
        D = self.D_m2_s[min(unit.generation, len(self.D_m2_s) - 1)]
        member = int(unit.payload["group"].rpartition("-")[2])
        stable = self.config.stop.stable_diffusion
        assert stable is not None
        return {
            "points": [
                {
                    "temperature_K": temperature_K,
                    "D_m2_s": D * (1.0 + 0.02 * member),
                    "D_err_m2_s": 0.02 * D,
                }
                for temperature_K in stable.temperatures_K
            ]
        }
