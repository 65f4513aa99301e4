"""Little processes that look like those of a run: ``python actors.py ROLE ...``.

They do no work: the drill's choice of victims and its judgement are tested on them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from dasksse.store.folders import ATTEMPTS, RunFolder, unit_lock, write_json

ENGINE_WORD = "lammps_server"
ENGINE_BYTES = 100_000_000


def begin(folder: RunFolder, kind: str, key: str) -> Path:
    """Begin an attempt of a unit as a worker does; the lock is held until this process ends."""
    part = folder.part(kind, key)
    part.mkdir(parents=True, exist_ok=True)
    lock = unit_lock(part)
    assert lock.acquire()
    _held.append(lock)
    with (part / ATTEMPTS).open("a") as stream:
        stream.write("{}\n")
    return part


_held: list[object] = []


def engine() -> None:
    """An engine that takes more memory than the worker that started it."""
    memory = b"1" * ENGINE_BYTES
    time.sleep(600)
    del memory


def worker(run_dir: str, kind: str, key: str) -> None:
    begin(RunFolder(Path(run_dir)), kind, key)
    _outlive(_start("engine", ENGINE_WORD))


def job(run_dir: str, name: str, kind: str, key: str) -> None:
    """A job's program with one busy worker; its file is written as the real one's is."""
    child = _start("worker", run_dir, kind, key)
    values = {"host": os.uname().nodename, "pid": os.getpid(), "worker_pids": [child.pid]}
    folder = Path(run_dir) / "cluster" / "workers"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{name}.json", {**values, "job_id": "77", "pool": "local"})
    _outlive(child)


def driver(_: str, run_dir: str, mode: str) -> None:
    """A driver that does one unit in a second by itself.

    ``forgetful`` does a finished unit again; ``full`` stops twice because the disk is full;
    ``broken`` stops with another message.
    """
    folder = RunFolder(Path(run_dir))
    final = folder.unit("md", "a" * 16)
    if mode == "forgetful" and final.is_dir():
        final.rename(folder.part("md", "a" * 16))
    if mode == "broken":
        sys.exit("no such thing")
    done = folder.unit("label", "b" * 16)
    if not done.is_dir():
        _finish(begin(folder, "label", "b" * 16), done)
    _finish(begin(folder, "md", "a" * 16), final)


def _outlive(child: subprocess.Popen[bytes]) -> None:
    child.wait()
    time.sleep(600)


def _finish(part: Path, final: Path) -> None:
    time.sleep(1.0)
    write_json(part / "result.json", {"value": {"steps_repeated": 0}, "generation": 0})
    part.rename(final)


def _start(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, __file__, *words])


if __name__ == "__main__":
    {"engine": lambda *_: engine(), "worker": worker, "job": job, "driver": driver}[
        sys.argv[1]
    ](*sys.argv[2:])
