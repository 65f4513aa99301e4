"""Training of one ensemble member in one child process, resumable at its checkpoints."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from dasksse.config.load import differing_keys
from dasksse.errors import ConfigError, ProgramMissingError, StoreError, TrainingError
from dasksse.label.deepmd import child_environment
from dasksse.process import run_program
from dasksse.train.backends import (
    BACKENDS,
    CLAIM_SUFFIX,
    UNAVAILABLE_EXIT,
    Backend,
)
from dasksse.train.deepmd_input import CHECKPOINT_NAME, CURVE_NAME
from dasksse.train.deepmd_parse import read_learning_curve
from dasksse.train.time_limit import TimeLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from dasksse.records import Workplace

PROGRAM = "DeePMD-kit"
_INPUT = "input.json"
_CHECKPOINT_NOTE = "checkpoint"
"""File that all backends rewrite with every checkpoint."""


@dataclass(frozen=True)
class TrainedModel:
    """What a training leaves behind.

    Attributes
    ----------
    model_file
        Frozen model, compressed if that was asked for.
    checkpoint
        Checkpoint to start a later training from (``init_from``).
    steps
        Training steps.
    learning_curve
        File that :func:`dasksse.train.deepmd_parse.read_learning_curve` reads.
    wall_s
        Wall time of this call [s], start-up and freezing included.
    """

    model_file: Path
    checkpoint: Path
    steps: int
    learning_curve: Path
    wall_s: float


def backend_named(name: str) -> Backend:
    """Backend by its name in the configuration.

    Raises
    ------
    ConfigError
        When there is none of that name.
    ProgramMissingError
        When DeePMD-kit itself is not installed.
    """
    if name not in BACKENDS:
        msg = f"train.backend: {name!r} is not known; allowed: {', '.join(BACKENDS)}"
        raise ConfigError(msg)
    if find_spec("deepmd") is None:
        raise ProgramMissingError(PROGRAM, -1, "", BACKENDS[name].install)
    return BACKENDS[name]


def run_child(
    job: Mapping[str, Any],
    *,
    workdir: Path,
    workplace: Workplace,
    on_poll: Callable[[], None] | None = None,
) -> None:
    """Run :mod:`dasksse.train.deepmd_child` on a job to its end.

    Parameters
    ----------
    job
        Its task and what that needs; written to ``workdir/<task>.json``.
    workdir
        Made if it is not there; everything is written here, the log to ``<task>.log``.
    workplace
        Threads and command prefix; a child that is silent for its ``hung_after_s`` is ended.
    on_poll
        Called about twice a second.

    Raises
    ------
    ProgramMissingError
        When a backend cannot be loaded, or the program of the prefix is not there.
    TrainingError
        When the child fails or is silent for too long; carries the end of its log.
    """
    task = job["task"]
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / f"{task}.json").write_text(json.dumps(job, indent=1))
    (workdir / f"{task}{CLAIM_SUFFIX}").unlink(missing_ok=True)
    child = [sys.executable, "-P", "-m", "dasksse.train.deepmd_child", f"{task}.json"]
    try:
        run_program(
            [*workplace.prefix, *child],
            name=f"{PROGRAM} ({task})",
            log=workdir / f"{task}.log",
            env=child_environment(workplace.threads),
            silence_s=workplace.hung_after_s,
            watch=[workdir / name for name in (CURVE_NAME, _CHECKPOINT_NOTE)],
            on_poll=on_poll,
            error=TrainingError,
        )
    except TrainingError as error:
        if error.returncode != UNAVAILABLE_EXIT:
            raise
        reason = error.log_tail.rsplit("\n", maxsplit=1)[-1]
        install = "; ".join(BACKENDS[name].install for name in job["backends"])
        raise ProgramMissingError(
            PROGRAM, error.returncode, str(workdir), f"{reason}\ninstall: {install}"
        ) from error


class _CurveWatcher:
    """Reports the last row of a learning curve when the file has grown."""

    def __init__(self, path: Path, report: Callable[[float, str], None] | None) -> None:
        self._path = path
        self._report = report
        self._size = -1

    def __call__(self) -> None:
        if self._report is None:
            return
        try:
            size = self._path.stat().st_size
            if size == self._size:
                return
            curve = read_learning_curve(self._path)
        except (OSError, StoreError):  # not there yet, or its first line is being written
            return
        self._size = size
        if len(curve):
            forces = curve.training.get("rmse_f")
            note = "" if forces is None else f"force RMSE {1000 * forces[-1]:.0f} meV/Å"
            self._report(float(curve.steps[-1]), note)


def _without_seeds(model: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_seeds(value) if isinstance(value, dict) else value
        for key, value in model.items()
        if key != "seed"
    }


def _check_same_model(deepmd_input: Mapping[str, Any], init_from: Path) -> None:
    """Refuse a warm start from another network before DeePMD-kit fails on tensor shapes."""
    earlier = init_from.parent / _INPUT
    if not earlier.is_file():
        return
    old = json.loads(earlier.read_text())["model"]
    new = deepmd_input["model"]
    found = [
        f"{key} is {here} here and {there} there"
        for key, there, here in sorted(
            differing_keys(_without_seeds(old), _without_seeds(new), "model.")
        )
    ]
    if found:
        msg = (
            f"warm start from {init_from}: the networks differ: {'; '.join(found)}. Keep sel "
            "and the network of the first training, or start without init_from"
        )
        raise ConfigError(msg)


def _needs_statistics(
    deepmd_input: Mapping[str, Any], backend: str, *, compress: bool, nearest_A: float | None
) -> bool:
    """Tell whether DeePMD-kit must look at all neighbours: for tables, or an automatic sel.

    It compares all atoms of all frames, minutes for thousands of frames of 400 atoms.
    """
    sel: Sequence[int] | str = deepmd_input["model"]["descriptor"].get("sel", "auto")
    is_known = backend == "tensorflow" and nearest_A is not None
    return (compress and not is_known) or isinstance(sel, str)


def _training_job(
    backend: Backend, *, init_from: Path | None, compress: bool
) -> dict[str, Any]:
    """Names of what a training reads and writes."""
    suffix = backend.model_suffix
    return {
        "task": "train",
        "input": _INPUT,
        "init_from": None if init_from is None else str(init_from.resolve()),
        "checkpoint_name": CHECKPOINT_NAME,
        "curve_name": CURVE_NAME,
        "frozen": f"frozen_model{suffix}",
        "compressed": f"compressed_model{suffix}" if compress else None,
    }


def _newest_checkpoint(backend: Backend, workdir: Path, *, restart: bool) -> int:
    """Step from which the next attempt would go on; 0 when it would start over."""
    steps = backend.checkpoint_steps(workdir, name=CHECKPOINT_NAME) if restart else []
    return max(steps, default=0)


def train_member(  # noqa: PLR0913 - every fact a training depends on, by keyword
    deepmd_input: dict[str, Any],
    *,
    workdir: Path,
    backend: str,
    init_from: Path | None,
    compress: bool,
    workplace: Workplace,
    nearest_A: float | None = None,
    restart: bool = True,
    on_progress: Callable[[float, str], None] | None = None,
) -> TrainedModel:
    """Train one model, freeze it and, if asked for, compress it.

    Called again with the same folder after a crash, it goes on from the last whole checkpoint.

    Parameters
    ----------
    deepmd_input
        From :func:`dasksse.train.deepmd_input.training_input`.
    workdir
        Folder of this training alone; made if it is not there.
    backend
        ``tensorflow``, ``pytorch``, ``jax`` or ``paddle``.
    init_from
        Checkpoint to take the first parameters from; None for random ones.
    compress
        Tabulate the embedding: costs time now, pays in long or large MD.
    workplace
        Threads, command prefix and remaining time of the worker.
    nearest_A
        Smallest distance of two atoms in the data [Å], written into models of TensorFlow, which
        cannot be compressed without it; DeePMD-kit looks for it itself where it must.
    restart
        False starts from the beginning even if there are checkpoints (comparison mode).
    on_progress
        Called with the step and a note whenever the learning curve has grown.

    Raises
    ------
    ConfigError
        When the backend is not known, or the network is not that of ``init_from``.
    ProgramMissingError
        When DeePMD-kit or the backend is not installed.
    OutOfTimeError
        When the worker's time is over, behind a checkpoint if possible.
    TrainingError
        When training, freezing or compressing fails, or the child hangs.
    """
    kind = backend_named(backend)
    workdir.mkdir(parents=True, exist_ok=True)
    if init_from is not None:
        _check_same_model(deepmd_input, init_from)
    (workdir / _INPUT).write_text(json.dumps(deepmd_input, indent=1))
    steps = int(deepmd_input["training"]["numb_steps"])
    job = _training_job(kind, init_from=init_from, compress=compress)
    job |= {
        "backend": backend,
        "backends": [backend],
        "steps": steps,
        "restart": restart,
        "nearest_A": nearest_A,
        "skip_neighbor_stat": not _needs_statistics(
            deepmd_input, backend, compress=compress, nearest_A=nearest_A
        ),
    }
    curve = workdir / CURVE_NAME
    watch_curve = _CurveWatcher(curve, on_progress)
    newest = partial(_newest_checkpoint, kind, workdir, restart=restart)
    watch_time = TimeLimit(workplace, newest, n_steps=steps)

    def poll() -> None:
        watch_curve()
        watch_time()

    started = time.monotonic()
    run_child(job, workdir=workdir, workplace=workplace, on_poll=poll)
    watch_curve()
    return TrainedModel(
        model_file=workdir / (job["compressed"] or job["frozen"]),
        checkpoint=kind.checkpoint(workdir, steps, name=CHECKPOINT_NAME),
        steps=steps,
        learning_curve=curve,
        wall_s=time.monotonic() - started,
    )
