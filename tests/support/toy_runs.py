"""Toy runs: real DeePMD-kit and LAMMPS, tiny nets; driven from outside as a user would."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import xarray
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
TOY = ROOT / "configs" / "toy.yaml"
PATIENCE_S = 600.0


@dataclass
class ToyRun:
    """A run of the toy preset in its own process."""

    folder: Path
    config: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def run_dir(self) -> Path:
        return self.folder / "run"

    def start(self) -> ToyRun:
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dasksse.run", str(self.config), "--dir", str(self.run_dir)],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        log.close()
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def wait(self) -> int:
        assert self._process is not None
        return self._process.wait(timeout=PATIENCE_S)

    def finish(self) -> ToyRun:
        self.start()
        assert self.wait() == 0, self.log()[-3000:]
        return self

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def kill(self) -> list[int]:
        """SIGKILL the driver; process ids of all it had started."""
        children = [child.pid for child in psutil.Process(self.pid).children(recursive=True)]
        os.kill(self.pid, signal.SIGKILL)
        assert self._process is not None
        self._process.wait()
        return children

    def until(self, condition: Callable[[], Any]) -> Any:
        """Wait for something to be true of the run."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            value = condition()
            if value:
                return value
            assert self._process is None or self._process.poll() is None, self.log()[-3000:]
            time.sleep(0.05)
        raise AssertionError("waited too long\n" + self.log()[-3000:])

    def children(self, words: str) -> list[psutil.Process]:
        """Processes of the run whose command line holds some words."""
        found = []
        for child in psutil.Process(self.pid).children(recursive=True):
            try:
                if words in " ".join(child.cmdline()):
                    found.append(child)
            except psutil.Error:
                continue
        return found

    def done(self, kind: str = "*") -> dict[Path, float]:
        """Finished units and when they were finished."""
        return {
            path.parent: path.stat().st_mtime
            for path in self.run_dir.glob(f"work/{kind}/*/result.json")
            if path.parent.suffix != ".part"
        }

    def attempts(self) -> dict[str, int]:
        """Attempts of every finished unit."""
        return {
            f"{unit.parent.name}/{unit.name}": json.loads((unit / "result.json").read_text())[
                "attempts"
            ]
            for unit in self.done()
        }

    def facts(self) -> dict[str, Any]:
        database = sqlite3.connect(self.run_dir / "journal.sqlite")
        rows = database.execute("SELECT name,value FROM facts").fetchall()
        database.close()
        return {name: json.loads(value) for name, value in rows}

    def tree(self) -> dict[str, xarray.Dataset]:
        """Every group of the store as plain xarray reads it."""
        tree = xarray.open_datatree(self.run_dir / "data.zarr", engine="zarr")
        return {path: tree[path].to_dataset() for path in tree.groups}

    def content(self) -> dict[str, Any]:
        """What two equal runs have in common: frames, labels, selection, models left aside."""
        found: dict[str, Any] = {}
        for path, data in self.tree().items():
            if "frame_key" in data:
                # one frame may be labelled twice, as a probe and as a check
                order = np.lexsort([data[key].values for key in ("unit_key", "frame_key")])
                found[path] = {
                    name: data[name].values[order] for name in ("energy", "forces", "positions")
                }
            elif "positions" in data:
                names = ("positions", "cell", "scalars", "verdict", "n_valid")
                found[path] = {name: data[name].values for name in names}
        return found


def make_run(folder: Path, **changes: Any) -> ToyRun:
    """Write a toy configuration with some keys changed (``train__steps=100``)."""
    values = yaml.safe_load(TOY.read_text())
    values["systems"][0]["structure"] = str(TOY.parent / values["systems"][0]["structure"])
    values["engine"] = {"kind": "local", "settings": {"workers": 1, "dashboard_port": 0}}
    for path, value in changes.items():
        *parents, last = path.split("__")
        section = values
        for parent in parents:
            section = section[int(parent)] if isinstance(section, list) else section[parent]
        section[last] = value
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(values))
    return ToyRun(folder, config)


def assert_equal_content(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Frames, deviations, verdicts and labels agree to the bit."""
    assert one.keys() == other.keys()
    for path, arrays in one.items():
        for name, values in arrays.items():
            np.testing.assert_array_equal(values, other[path][name], err_msg=f"{path} {name}")
