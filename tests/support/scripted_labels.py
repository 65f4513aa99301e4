"""Labels for kind ``python`` that go wrong by script, frame by frame, in any process."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase.calculators.calculator import SCFError, all_changes
from fake_runs import drive
from toy_runs import make_run

from dasksse.engine.serial_runner import SerialRunner
from dasksse.label.toy import ToyIonicCalculator
from dasksse.loop.schemes import plan_dpgen
from dasksse.records import content_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toy_runs import ToyRun

    from dasksse.loop.walk import Plan

N_FRAMES = 8


class ScriptedCalculator(ToyIonicCalculator):
    """The toy model, and what the script says of a frame.

    A frame's number is its place in the order in which frames were first asked for; a line for
    each call goes to ``calls.log``, both beside the script.

    Parameters
    ----------
    folder
        Folder with ``script.json``: what happens, by number of the frame. ``scf``, ``crash``,
        ``force`` (above the cap), ``net`` (net force), ``kill N`` (kills the process N times).
    """

    def __init__(self, folder: str) -> None:
        super().__init__(charges={"Li": 1.0, "Cl": -1.0})
        self._folder = Path(folder)

    def calculate(
        self,
        atoms: Any = None,
        properties: Any = ("energy",),
        system_changes: Any = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        Path(self.directory, "engine.out").write_text("iteration 100: no convergence\n")
        number, n_calls = self._note_call()
        script = json.loads((self._folder / "script.json").read_text())
        what, _, times = script.get(str(number), "").partition(" ")
        if what == "scf":
            raise SCFError("no convergence in 100 iterations")
        if what == "crash":
            raise RuntimeError("segmentation fault")
        if what == "kill" and n_calls <= int(times):
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "force":
            self.results["forces"][:2, 0] = 80.0, -80.0
        if what == "net":
            self.results["forces"] += 0.1

    def _note_call(self) -> tuple[int, int]:
        """Number of the frame, and how often it was asked for."""
        log = self._folder / "calls.log"
        calls = log.read_text().split() if log.exists() else []
        key = content_key(self.atoms.positions.round(6))
        with log.open("a") as stream:
            stream.write(f"{key}\n")
        return list(dict.fromkeys([*calls, key])).index(key), calls.count(key) + 1


def calls_by_frame(folder: Path) -> list[int]:
    """How often each frame was asked for, by its number."""
    calls = (folder / "calls.log").read_text().split()
    return [calls.count(key) for key in dict.fromkeys(calls)]


def until_labelled(*arguments: Any) -> Plan:
    """The plan of a run that ends when its first labels are settled."""
    plan = plan_dpgen(*arguments)
    if any(unit.kind == "dataset" for unit in plan.ready):
        plan.ready = [unit for unit in plan.ready if unit.kind == "label"]
        plan.is_finished = not plan.ready
    return plan


def scripted_run(folder: Path, script: Mapping[int, str], **changes: Any) -> ToyRun:
    """A toy run whose start set is labelled by a script."""
    folder.mkdir(exist_ok=True)
    (folder / "script.json").write_text(json.dumps(script))
    settings = {
        "factory": "scripted_labels:ScriptedCalculator",
        "settings": {"folder": str(folder)},
        "functional": "PBE",
        "is_surrogate": False,
    }
    values = {
        "engine": {"kind": "serial"},
        "start__n_frames": N_FRAMES,
        "label": {"calculator": {"kind": "python", "settings": settings}, "batch_size": 1},
        "stop__retries": 1,
        "stop__max_generations": 1,
        "stop__failure_budget": {"label": 0.5},
        "probe__n_frames": 0,
        "production": None,
    }
    return make_run(folder, **(values | changes))


def label_all(run: ToyRun) -> str:
    """Work until all labels are settled; what was on the screen."""
    runner = lambda: SerialRunner(run.run_dir)  # noqa: E731
    screen = drive(run.run_dir, until_labelled, runner, config=run.config).screen
    return screen.getvalue()
