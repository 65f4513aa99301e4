"""MD of the speed example: sizes, threads and ranks, and several runs at once."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from speed_models import PUBLISHED, Network, crystal, made_model

from dasksse.config.studies import LADDER
from dasksse.errors import ExternalProgramError
from dasksse.explore import MdSpec, close_clients
from dasksse.process import die_with_parent, search_path
from dasksse.records import UnitContext, Workplace
from dasksse.store.folders import read_json
from dasksse.study.case import cell_name
from dasksse.study.speed_timing import ROWS, hours_per_ns, machine, measure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Row = dict[str, Any]
Cell = tuple[int, int, int]

TIMESTEP_FS = 2.0
STILL_FS = 1e-6
"""Time step for networks that know nothing: no atom moves, so nothing flies apart."""
MOST_RUNS_ON_GPU = 8

ATOM_STEP_S = {
    ("float32", False): 1.0e-4,
    ("float64", False): 2.2e-4,
    ("float32", True): 1.0e-4,
    ("float64", True): 1.2e-4,
}
START_S, MODEL_S = 6.0, 18.0
"""For the estimate: one core of an AMD EPYC, roughly."""


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    kinds: tuple[tuple[str, bool], ...] = tuple(ATOM_STEP_S)
    cells: tuple[Cell, ...] = LADDER
    scaling: tuple[Cell, ...] = ((2, 2, 2), (4, 4, 2))
    published: tuple[Cell, ...] = ((3, 3, 2),)
    training: tuple[Cell, ...] = ((1, 1, 1), (2, 2, 2))
    interval: int = 50
    steps: int = 100
    repeats: int = 2
    train_steps: int = 60


QUICK = Size(
    kinds=(("float32", False), ("float32", True)),
    cells=((1, 1, 1), (2, 1, 1)),
    scaling=((2, 1, 1),),
    published=(),
    training=((1, 1, 1),),
    interval=5,
    steps=5,
    repeats=1,
    train_steps=4,
)


@dataclass(frozen=True)
class Bench:
    """Where, what and on what."""

    root: Path
    networks: list[Network]
    size: Size
    cores: int
    gpus: list[str]
    is_quick: bool


@dataclass(frozen=True)
class Task:
    """One resumable measurement, with the time it takes on a CPU, roughly."""

    part: str
    name: str
    cost_s: float
    measure: Callable[[Path], list[Row]]


# --- MD --------------------------------------------------------------------------------------


def payload(bench: Bench, models: list[Path], network: Network, cells: list[Cell]) -> Row:
    """What `dasksse.study.speed_timing.measure` is asked."""
    spec = MdSpec(
        models=tuple(map(str, models)),
        type_map=network.type_map,
        ensemble="nvt",
        temperature_K=600.0,
        pressure_GPa=0.0,
        timestep_fs=STILL_FS if network.model is None else TIMESTEP_FS,
        n_steps=bench.size.steps,
        frame_interval_steps=bench.size.interval,
        segment_steps=bench.size.steps,
        seed=1,
        thermostat_damping_fs=200.0,
        barostat_damping_fs=2000.0,
        zbl=None,
        min_distance_A=0.6,
        max_temperature_ratio=5.0,
        max_volume_ratio=1.5,
    )
    return {
        "spec": spec.to_json(),
        "cells": [{"name": cell_name(c), "structure_file": cell_file(bench, c)} for c in cells],
        "n_steps": bench.size.steps,
        "repeats": bench.size.repeats,
    }


def cell_file(bench: Bench, cell: Cell) -> str:
    """The crystal as a file below the root."""
    name = f"cells/{cell_name(cell)}.npz"
    if not (bench.root / name).is_file():
        (bench.root / "cells").mkdir(exist_ok=True)
        crystal(cell).save(bench.root / name)
    return name


def context(bench: Bench, folder: Path, workplace: Workplace) -> UnitContext:
    """Context of a measurement, which tells its progress."""
    folder.mkdir(parents=True, exist_ok=True)

    def tell(_: float, note: str = "") -> None:
        print(f"  {note}", flush=True)

    return UnitContext(bench.root, folder, tell, workplace)


def timed(row: Row, **facts: Any) -> Row:
    """A row of `measure` in the units that people compare."""
    about = row["machine"]
    facts = {**facts, "threads": about["threads"], "ranks": about["ranks"], **row}
    return facts | step_times(min(row["seconds_per_step"], default=None))


def step_times(step_s: float | None) -> Row:
    """Time of an MD step, its inverse, and hours for a nanosecond of steps of 2 fs."""
    if step_s is None:
        return dict.fromkeys(("step_s", "steps_per_s", "hours_per_ns"))
    hours = hours_per_ns(step_s, TIMESTEP_FS)
    return {"step_s": step_s, "steps_per_s": 1.0 / step_s, "hours_per_ns": hours}


def md(
    bench: Bench,
    networks: list[Network],
    cells: tuple[Cell, ...],
    kind: tuple[str, bool],
    workplace: Workplace,
    folder: Path,
) -> list[Row]:
    """Time steps with the first network, and with all of them where there are more."""
    precision, compressed = kind
    models = [
        made_model(network, precision, compressed=compressed, root=bench.root)
        for network in networks
    ]
    facts = {
        "network": network_name(networks[0]),
        "precision": precision,
        "compressed": compressed,
        "runs": 1,
    }
    asked = payload(bench, models, networks[0], list(cells))
    about = context(bench, folder, workplace)
    try:
        rows = measure(asked, about)["rows"]
    except ExternalProgramError as error:  # LAMMPS or a launcher is not there
        row = {"cell": cell_name(cells[0]), "n_atoms": len(crystal(cells[0]).numbers)}
        row |= {"n_models": 1, "seconds_per_step": [], "reason": str(error)}
        rows = [row | {"machine": machine(about)}]
    return [timed(row, **facts) for row in rows]


def network_name(network: Network) -> str:
    """Name for tables."""
    return "given" if network.name.startswith("given-") else network.name


def md_tasks(bench: Bench) -> list[Task]:
    """Every size, one model and the ensemble, both precisions, compressed or not."""
    ensemble = bench.networks * 2 if bench.is_quick else bench.networks
    lists = [(ensemble, bench.size.cells)]
    if bench.size.published:
        lists.append(([Network("published", PUBLISHED)], bench.size.published))
    tasks = []
    for networks, cells in lists:
        for kind in bench.size.kinds:
            atoms = sum(n_atoms(cell) for cell in cells) * min(2, len(networks))
            cost_s = md_cost_s(bench, kind, atoms) + MODEL_S * len(networks) * (not kind[1])
            word = "-compressed" if kind[1] else ""
            name = f"md-{network_name(networks[0])}-{kind[0]}{word}"
            run = partial(md, bench, networks, cells, kind, Workplace())
            tasks.append(Task("md", name, cost_s, run))
    return tasks


def n_atoms(cell: Cell) -> int:
    """Atoms of Li10GeP2S12."""
    return 50 * int(np.prod(cell))


def md_cost_s(bench: Bench, kind: tuple[str, bool], atoms: int) -> float:
    """Time of a measurement on one core [s]."""
    steps = bench.size.steps * bench.size.repeats + 10
    return 2 * START_S + ATOM_STEP_S[kind] * atoms * steps


# --- threads, ranks and runs -----------------------------------------------------------------


def doublings(most: int) -> list[int]:
    """1, 2, 4 ... and the most."""
    return sorted({2**n for n in range(most.bit_length())} | {most})


def thread_tasks(bench: Bench) -> list[Task]:
    """One run with several threads, and with several MPI ranks of one thread."""
    kind = ("float32", False)
    counts = doublings(bench.cores)
    places = {f"threads-{count}": Workplace(threads=count) for count in counts}
    places |= {f"ranks-{n}": Workplace(prefix=("mpirun", "-n", str(n))) for n in counts[1:]}
    cost_s = md_cost_s(bench, kind, sum(map(n_atoms, bench.size.scaling)))
    if shutil.which("mpirun", path=search_path(os.environ)) is None:
        print("no mpirun is installed: MPI ranks are left out")
        places = {name: place for name, place in places.items() if not place.prefix}
    timed_with = partial(md, bench, bench.networks[:1], bench.size.scaling, kind)
    return [
        Task("threads", name, cost_s, partial(timed_with, place))
        for name, place in places.items()
    ]


def run_tasks(bench: Bench) -> list[Task]:
    """Several runs at once, each with one thread; on GPUs, taking them in turn."""
    most = min(bench.cores, MOST_RUNS_ON_GPU * len(bench.gpus)) if bench.gpus else bench.cores
    atoms = sum(map(n_atoms, bench.size.scaling))
    cost_s = md_cost_s(bench, ("float32", False), atoms)
    return [
        Task("runs", f"runs-{count}", cost_s, partial(runs_at_once, bench, count))
        for count in doublings(most)
    ]


def runs_at_once(bench: Bench, count: int, folder: Path) -> list[Row]:
    """Steps of all runs together; they begin to be timed at one moment."""
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted attempt timed ran alone
    network = bench.networks[0]
    model = made_model(network, "float32", compressed=False, root=bench.root)
    asked = [payload(bench, [model], network, [cell]) for cell in bench.size.scaling]
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(count)
    folders = [folder / str(number) for number in range(count)]
    children = []
    for number, place in enumerate(folders):
        device = visible_gpus(bench)[number % len(bench.gpus)] if bench.gpus else None
        arguments = (bench, asked, place, device, barrier)
        children.append(spawn.Process(target=one_of_runs, args=arguments, daemon=True))
        children[-1].start()
    for child in children:
        child.join()
    return [
        together([folder / cell["cells"][0]["name"] / ROWS for folder in folders], network)
        for cell in asked
    ]


def visible_gpus(bench: Bench) -> list[str]:
    """Names of the GPUs that this process was given, as `CUDA_VISIBLE_DEVICES` spells them."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return given.split(",") if given else [str(index) for index in range(len(bench.gpus))]


def one_of_runs(
    bench: Bench, asked: list[Row], folder: Path, device: str | None, barrier: Any
) -> None:
    """One process with a LAMMPS of its own: load, wait for the others, then be timed."""
    die_with_parent()
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    try:
        for payload in asked:
            name = payload["cells"][0]["name"]
            warm = context(bench, folder / f"warm-{name}", Workplace())
            measure({**payload, "repeats": 0}, warm)
            barrier.wait()
            measure(payload, context(bench, folder / name, Workplace()))
    except BaseException:
        barrier.abort()  # nobody shall wait for this one
        raise
    finally:
        close_clients()


def together(files: list[Path], network: Network) -> Row:
    """One row for runs at once: the sum of their speeds, each a mean over its repeats."""
    found = [read_json(path)[0] for path in files if path.is_file()]
    whole = [row for row in found if row["seconds_per_step"]]
    facts = {"network": network_name(network), "precision": "float32", "compressed": False}
    facts |= {"runs": len(files), **(found[0] if found else {"cell": files[0].parent.name})}
    facts |= {"threads": 1, "ranks": 1, "seconds_per_step": []}
    if len(whole) < len(files):
        lost = len(files) - len(whole)
        reasons = [row["reason"] for row in found if row["reason"]]
        text = f"{lost} of {len(files)} runs at once failed: {'; '.join(reasons[:1])}"
        return {**facts, "reason": text, "step_s": None}
    means = [float(np.mean(row["seconds_per_step"])) for row in whole]
    total = sum(1.0 / mean for mean in means)
    return {**facts, "seconds_per_step": means, **step_times(1.0 / total)}
