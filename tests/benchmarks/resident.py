"""Exploration runs through the resident child against one process per run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from measure import LGPS, LOOSE_LIMITS, QUICKSTART, ZBL_A, Clock, Outcome, Row, clocked

from dasksse.config.load import load_config
from dasksse.config.schema import RegistrySection
from dasksse.explore import MdSpec, close_clients, read_md, run_md
from dasksse.label import label_frames, load_calculator
from dasksse.records import Frames, Workplace
from dasksse.structures import read_structure, start_set, to_atoms
from dasksse.train import suggest_sel, train_member, training_input, write_deepmd_data

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms
    from measure import Options

    from dasksse.config.schema import RunConfig

N_STEPS = 500
FRAME_INTERVAL_STEPS = 10
TEMPERATURE_K = 300.0
TRAINING_FRAMES, TRAINING_STEPS = 24, 1000
QUICK_FRAMES, QUICK_TRAINING_STEPS, QUICK_MODELS, QUICK_STEPS = 4, 20, 2, 20


def measure(options: Options) -> Outcome:
    """Run the same MD both ways; half of the single processes run before, half after.

    So a slow drift of the machine's load falls on both ways alike.
    """
    config = load_config(QUICKSTART).config
    atoms = to_atoms(read_structure(LGPS.name, base_dir=LGPS.parent))
    models = _train_models(options, config, atoms)
    spec = _spec(config, models, QUICK_STEPS if options.is_quick else N_STEPS)
    start = Frames(
        np.asarray(atoms.numbers), np.array([atoms.positions]), np.array([atoms.cell.array])
    )
    resident, single = Clock(), Clock()
    half = range(options.runs // 2)
    _md(options, spec, start, "single", half, single)
    _md(options, spec, start, "resident", range(options.runs), resident)
    _md(options, spec, start, "single", range(len(half), options.runs), single)
    runs = options.runs
    return Outcome(
        [
            Row("wall time, one process per run over resident", single.wall_s / resident.wall_s,
                at_least=2.0),
            Row("CPU time, one process per run over resident", single.cpu_s / resident.cpu_s),
            Row(f"{runs} runs, resident child: wall", resident.wall_s, "s"),
            Row(f"{runs} runs, one process per run: wall", single.wall_s, "s"),
            Row(f"{runs} runs, resident child: CPU", resident.cpu_s, "s"),
            Row(f"{runs} runs, one process per run: CPU", single.cpu_s, "s"),
            Row("steps per second, resident child", runs * spec.n_steps / resident.wall_s,
                "1/s"),
            Row("largest difference of positions between the two ways",
                _largest_difference(options.workdir, runs), "Å", at_most=0.0),
        ],
        notes=[
            (f"{len(atoms)} atoms, {len(models)} models, {spec.n_steps} steps of "
             f"{spec.timestep_fs:g} fs, NVT at {TEMPERATURE_K:g} K, frames and deviations "
             f"every {FRAME_INTERVAL_STEPS} steps, one thread, one run at a time; networks of "
             "little training with a ZBL repulsion under them."),
            "The resident child's time holds its one start.",
        ],
    )  # fmt: skip


def _train_models(options: Options, config: RunConfig, atoms: Atoms) -> tuple[str, ...]:
    """Ensemble of the quickstart's networks, trained just enough to run MD."""
    n_frames = QUICK_FRAMES if options.is_quick else TRAINING_FRAMES
    steps = QUICK_TRAINING_STEPS if options.is_quick else TRAINING_STEPS
    options.say(f"labelling {n_frames} frames by 7net-0")
    frames = start_set(
        atoms,
        n_frames=n_frames,
        rattle_A=(0.02, 0.08),
        strain=0.02,
        min_distance_A=1.0,
        seed=1,
    )
    section = RegistrySection(kind="sevennet", settings={"model": "7net-0"})
    labels = [("lgps", label_frames(frames, load_calculator(section)))]
    systems = write_deepmd_data(
        labels, type_map=config.type_map, folder=options.workdir / "data"
    )
    rcut_A = float(config.train.descriptor["rcut"])
    sel = suggest_sel(labels, type_map=config.type_map, rcut_A=rcut_A)
    n_models = QUICK_MODELS if options.is_quick else config.train.ensemble_size
    models = []
    for member in range(n_models):
        options.say(f"training model {member + 1} of {n_models}")
        deepmd_input = training_input(
            config.train,
            type_map=config.type_map,
            systems=systems,
            validation=[],
            sel=sel,
            steps=steps,
            seed=member,
            warm=False,
            has_virial=True,
        )
        trained = train_member(
            deepmd_input,
            workdir=options.workdir / f"model-{member}",
            backend=config.train.backend,
            init_from=None,
            compress=False,
            workplace=Workplace(),
        )
        models.append(str(trained.model_file))
    return tuple(models)


def _spec(config: RunConfig, models: tuple[str, ...], n_steps: int) -> MdSpec:
    explore = config.explore
    return MdSpec(
        models=models,
        type_map=config.type_map,
        ensemble="nvt",
        temperature_K=TEMPERATURE_K,
        pressure_GPa=0.0,
        timestep_fs=explore.timestep_fs,
        n_steps=n_steps,
        frame_interval_steps=FRAME_INTERVAL_STEPS,
        segment_steps=n_steps,
        seed=1,
        thermostat_damping_fs=explore.thermostat_damping_fs,
        barostat_damping_fs=explore.barostat_damping_fs,
        zbl=ZBL_A,
        **LOOSE_LIMITS,
    )


def _md(
    options: Options, spec: MdSpec, start: Frames, way: str, runs: range, clock: Clock
) -> None:
    """Do some of the runs one way; no child lives before or after.

    Raises
    ------
    RuntimeError
        When a run blows up: it would be shorter than the others.
    """
    close_clients()
    for run in runs:
        if run % 10 == 0:
            options.say(f"{way} runs: {run} of {options.runs}")
        with clocked(clock):
            result = run_md(
                replace(spec, seed=run + 1), start, workdir=options.workdir / way / str(run)
            )
            if way == "single":
                close_clients()
        if result.end != "complete":
            msg = f"run {run} blew up ({result.reason}): the two ways cannot be compared"
            raise RuntimeError(msg)
    with clocked(clock):
        close_clients()


def _largest_difference(workdir: Path, runs: int) -> float:
    """Largest difference of any coordinate [Å] between the two ways."""
    return max(
        float(
            np.abs(
                read_md(workdir / "resident" / str(run)).positions
                - read_md(workdir / "single" / str(run)).positions
            ).max()
        )
        for run in range(runs)
    )
