"""``dasksse doctor``: prove that each outside part works, and say how to mend what does not."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.symbols import Symbols
from rich.console import Console
from rich.markup import escape

from dasksse.cli.tiny_cell import tiny_cell
from dasksse.cli.validate import count_atoms, load_checked, read_cluster
from dasksse.config.schema import RegistrySection, TrainSection
from dasksse.engine.cluster import Start, make_runner
from dasksse.engine.queues import QUEUES
from dasksse.engine.settings import TAGS
from dasksse.label import located_calculator
from dasksse.process import INSTALL_ENGINES
from dasksse.records import Done, Frames, Labels, Workplace
from dasksse.scratch import ScratchFolder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from ase import Atoms

    from dasksse.config.load import LoadedConfig
    from dasksse.records import Outcome, Runner, Unit

QUEUE_PATIENCE_S = 600.0
"""A job may wait in its queue for so long before the doctor gives up [s]."""

SALT_A = 5.30
FREE_DISK_GB = 5.0
TINY: dict[str, Any] = {
    "ensemble_size": 2,
    "precision": "float32",
    "descriptor": {
        "type": "se_e2_a",
        "rcut": 4.0,
        "rcut_smth": 1.0,
        "neuron": [4, 8],
        "axis_neuron": 2,
    },
    "fitting_net": {"neuron": [8]},
    "steps": 2,
}


@dataclass(frozen=True)
class Part:
    """One thing to prove.

    Attributes
    ----------
    name
        What it is.
    prove
        Does it; returns one line on how it went.
    fix
        What to do when it fails.
    """

    name: str
    prove: Callable[[], str]
    fix: str


def _salt() -> Frames:
    """Eight atoms of rock salt, slightly rattled, in three versions."""
    corner = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]])
    fractions = np.concatenate([corner, corner + 1]) / 2.0 % 1.0
    rng = np.random.default_rng(0)
    positions = fractions * SALT_A + rng.normal(0, 0.05, size=(3, 8, 3))
    numbers = np.array([3] * 4 + [17] * 4)
    return Frames(numbers, positions, np.tile(SALT_A * np.eye(3), (3, 1, 1)))


class _Bench:
    """The parts in order; later ones use what earlier ones made."""

    def __init__(
        self,
        folder: Path,
        label: RegistrySection,
        engine: RegistrySection,
        *,
        elements: Sequence[str],
        crystal: Callable[[], Frames],
    ) -> None:
        self._folder = folder
        self._label = label
        self._engine = engine
        self._elements = elements
        self._crystal = crystal
        self._labels: Labels | None = None
        self._models: list[Path] = []

    def parts(self) -> list[Part]:
        """Everything a run needs."""
        return [
            Part("disk", self.disk, "free space, or run in another folder"),
            Part(
                f"labels ({self._label.kind})",
                self.label,
                'pip install "dasksse[sevennet]" for the default labeller, or see the message',
            ),
            Part("toy labels", self.toy_labels, "reinstall dasksse and ase"),
            Part("training (DeePMD-kit)", self.training, INSTALL_ENGINES),
            Part("MD (LAMMPS with the DeePMD plugin)", self.md, INSTALL_ENGINES),
            *(
                Part(
                    f"engine ({section.kind}{where})",
                    partial(self.job, section, number),
                    "see the message; `engine: {kind: serial}` needs nothing",
                )
                for number, (where, section) in enumerate(_each_pool(self._engine))
            ),
        ]

    def disk(self) -> str:
        """Space in the current folder."""
        free_GB = shutil.disk_usage(Path.cwd()).free / 1e9
        if free_GB < FREE_DISK_GB:
            msg = f"only {free_GB:.1f} GB free in {Path.cwd()}, {FREE_DISK_GB:g} asked for"
            raise OSError(msg)
        return f"{free_GB:.0f} GB free"

    def toy_labels(self) -> str:
        """Something to train on."""
        from dasksse.label import label_frames, load_calculator

        self._labels = label_frames(_salt(), load_calculator(RegistrySection(kind="toy")))
        return f"{len(self._labels)} frames"

    def training(self) -> str:
        """Two steps, two models."""
        from dasksse.train import train_member, training_input, write_deepmd_data

        if self._labels is None:
            msg = "no labels to train on"
            raise RuntimeError(msg)
        data = write_deepmd_data(
            [("salt", self._labels)], type_map=["Li", "Cl"], folder=self._folder / "data"
        )
        for member in range(2):
            made = train_member(
                training_input(
                    TrainSection.model_validate(TINY),
                    type_map=["Li", "Cl"],
                    systems=data,
                    validation=[],
                    sel=[16, 16],
                    steps=2,
                    seed=member + 1,
                    warm=False,
                    has_virial=True,
                ),
                workdir=self._folder / f"train-{member}",
                backend="tensorflow",
                init_from=None,
                compress=False,
                workplace=Workplace(),
            )
            self._models.append(made.model_file)
        return "2 models, 2 steps each"

    def md(self) -> str:
        """Two steps with both models."""
        from dasksse.explore import MdSpec, close_clients, read_md, run_md

        spec = MdSpec.from_json(
            {
                "models": [str(path) for path in self._models],
                "type_map": ["Li", "Cl"],
                "ensemble": "nvt",
                "temperature_K": 300.0,
                "pressure_GPa": 0.0,
                "timestep_fs": 1.0,
                "n_steps": 2,
                "frame_interval_steps": 1,
                "segment_steps": 2,
                "seed": 1,
                "thermostat_damping_fs": 100.0,
                "barostat_damping_fs": 1000.0,
                "zbl": None,
                "min_distance_A": 0.5,
                "max_temperature_ratio": 100.0,
                "max_volume_ratio": 2.0,
            }
        )
        try:
            run_md(spec, _salt().take([0]), workdir=self._folder / "md")
        finally:
            close_clients()
        frames = read_md(self._folder / "md")
        deviation = float(frames.atom_deviation.max())
        return f"{len(frames.steps)} frames, largest deviation {deviation:.3f} eV/Å"

    def label(self) -> str:
        """One frame by the calculator of the configuration."""
        from dasksse.label import Place, label_frames, load_calculator, missing_for_labels

        if missing := missing_for_labels(self._label, self._elements):
            raise RuntimeError("\n       ".join(missing))
        calculator = load_calculator(self._label)
        crystal = self._crystal()
        folder = self._folder / "label"
        folder.mkdir()
        labels = label_frames(crystal, calculator, place=lambda _: Place(folder))
        if not labels.is_good.all():
            raise RuntimeError(labels.reasons[0])
        kind = "a surrogate, not DFT" if labels.is_surrogate else "DFT"
        formula = Symbols(crystal.numbers).get_chemical_formula(mode="metal")
        return f"{labels.source} ({kind}), {formula} in {labels.seconds[0]:.1f} s"

    def job(self, engine: RegistrySection, number: int) -> str:
        """One unit of work through a worker of the engine."""
        from dasksse.loop.units import start_unit_for

        structure = self._folder / f"run-{number}" / "salt.npz"
        structure.parent.mkdir()
        _salt().take([0]).save(structure)
        runner = make_runner(engine, Start(structure.parent))
        try:
            outcome = _first_outcome(runner, start_unit_for(structure.name))
            news = runner.news()
        finally:
            runner.close()
        if isinstance(outcome, Done):
            return "one unit of work"
        if outcome is None:
            msg = f"no worker within {QUEUE_PATIENCE_S:.0f} s; {'; '.join(news) or 'no news'}"
            raise RuntimeError(msg)
        raise RuntimeError(outcome.error)


def _crystal(loaded: LoadedConfig | None) -> Frames:
    """A small crystal of the run's elements, slightly rattled; rock salt without a run.

    Where no salt of the elements is known, it is the smallest crystal of the run itself.
    """
    if loaded is None:
        return _salt().take([0])
    config = loaded.config
    made = tiny_cell(config.type_map, config.mobile_species, config.mobile_charge)
    if made is None:
        made = _smallest_crystal(loaded)
    made.rattle(0.05, seed=0)
    return Frames(made.numbers, made.positions[None], made.cell.array[None])


def _smallest_crystal(loaded: LoadedConfig) -> Atoms:
    from dasksse.structures import build_system

    config, counts = loaded.config, count_atoms(loaded)
    known = [system for system in config.systems if counts[system.name]]
    # a database entry is fetched only where there is nothing else
    smallest = min(known or config.systems, key=lambda system: counts[system.name])
    return build_system(
        smallest,
        type_map=config.type_map,
        base_dir=loaded.base_dir,
        mobile_species=config.mobile_species,
    ).atoms


def _each_pool(engine: RegistrySection) -> list[tuple[str, RegistrySection]]:
    """The engine with one job of one pool that takes all work, pool after pool."""
    pools = engine.settings.get("pools", {})
    if not pools:
        return [("", engine)]
    alone = {"tags": list(TAGS), "min_jobs": 1, "max_jobs": 1}
    return [
        (
            f", pool {name}",
            RegistrySection(
                kind=engine.kind,
                settings={**engine.settings, "pools": {name: {**(pool or {}), **alone}}},
            ),
        )
        for name, pool in pools.items()
    ]


def _first_outcome(runner: Runner, unit: Unit) -> Outcome | None:
    """Run one unit on the first worker that comes; the queue may let it wait."""
    end = time.monotonic() + QUEUE_PATIENCE_S
    runner.demand({unit.tag: 1})
    while not runner.free_slots(unit.tag) and time.monotonic() < end:
        runner.wait(0.5)
    if not runner.free_slots(unit.tag):
        return None
    runner.submit(unit)
    outcomes: list[Outcome] = []
    while not outcomes and time.monotonic() < end:
        outcomes = runner.wait(0.5)
    return outcomes[0] if outcomes else None


def command(arguments: argparse.Namespace) -> int:
    """Prove part after part; exit code 1 when one fails."""
    label, engine = RegistrySection(kind="sevennet"), RegistrySection(kind="local")
    loaded = None
    if arguments.config is not None:
        loaded, engine = load_checked(arguments.config, arguments.cluster)
        label = located_calculator(loaded.config.label.calculator, loaded.base_dir)
    elif arguments.cluster is not None:
        engine = read_cluster(arguments.cluster)
    console = Console(soft_wrap=True, highlight=False)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    failures = 0
    # jobs on other machines see the folder you are in, not this machine's temporary one
    place = Path.cwd() if engine.kind in QUEUES else None
    with contextlib.closing(ScratchFolder("doctor", place)) as scratch:
        bench = _Bench(
            scratch.path,
            label,
            engine,
            elements=loaded.config.type_map if loaded else ("Li", "Cl"),
            crystal=partial(_crystal, loaded),
        )
        for part in bench.parts():
            started = time.monotonic()
            try:
                text = part.prove()
            except Exception as error:  # noqa: BLE001 - whatever is broken is what we look for
                failures += 1
                console.print(f"[red]fails[/red]  {part.name}: {escape(str(error))}")
                console.print(f"       fix: {escape(part.fix)}")
            else:
                took = f"[dim]{time.monotonic() - started:.1f} s[/dim]"
                console.print(f"[green]works[/green]  {part.name}: {escape(text)} {took}")
    console.print("all parts work" if not failures else f"{failures} part(s) do not work")
    return 1 if failures else 0
