"""What a run will take: units of work by kind, core-hours and disk, before anything starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dasksse.units import FS_PER_PS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dasksse.config.schema import RunConfig, ScheduleSection
    from dasksse.loop.label_rate import LabelRate

_SMALL_NET = 32.0
_TRAIN_STEP_S, _TRAIN_S = 0.003, 0.008
"""Of a step, and of its 50 atoms with a small net: LGPS on one busy core of an AMD EPYC,
``se_e2_a``, float32: 21 ms for 50 and some 145 ms for 400 atoms with 25-50-100 neurons, 12 ms
with 8-16-32."""
_MD_S = 0.005
_DOUBLE, _COMPRESSED = 2.5, 0.4
_REFERENCE_ATOMS = 50.0
_ENGINE_START_S = 10.0
_BYTES_PER_ATOM_FRAME = 4.0
_LOSSLESS_BYTES_PER_ATOM_FRAME = 24.0
_BYTES_PER_ATOM_LABEL = 60.0


@dataclass
class Estimate:
    """Work of a run at most: every generation with all its labels, all runs at full length.

    Attributes
    ----------
    tasks
        Units by kind.
    amounts
        Amount of work by kind: labels, training steps, MD steps.
    core_s
        Rough core-seconds by kind; None where nothing is known about the calculator.
    disk_bytes
        Rough size of the store.
    cores
        Cores that a unit takes, by kind, where it is not one.
    """

    tasks: dict[str, int] = field(default_factory=dict)
    amounts: dict[str, float] = field(default_factory=dict)
    core_s: dict[str, float | None] = field(default_factory=dict)
    disk_bytes: float = 0.0
    cores: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, tasks: int, amount: float, core_s: float | None) -> None:
        """Add work of a kind."""
        self.tasks[kind] = self.tasks.get(kind, 0) + tasks
        self.amounts[kind] = self.amounts.get(kind, 0.0) + amount
        before = self.core_s.get(kind, 0.0)
        self.core_s[kind] = None if core_s is None or before is None else before + core_s

    def seconds_each(self, kind: str) -> float | None:
        """Rough time of one label, training step or MD step [s]; None where it is not known."""
        core_s, amount = self.core_s.get(kind), self.amounts[kind]
        if core_s is None or not amount:
            return None
        return core_s / amount / self.cores.get(kind, 1)

    @property
    def core_hours(self) -> float | None:
        """Core-hours in all; None when a part is unknown."""
        parts = list(self.core_s.values())
        known = [part for part in parts if part is not None]
        return sum(known) / 3600.0 if len(known) == len(parts) else None


def _net_factor(config: RunConfig) -> float:
    """Cost of the network relative to the small one the rates were measured with."""
    widest = config.train.descriptor.get("neuron", [25, 50, 100])[-1]
    precision = 1.0 if config.train.precision == "float32" else _DOUBLE
    return max(0.3, (float(widest) / _SMALL_NET) ** 0.8) * precision


def estimate_run(
    config: RunConfig,
    n_atoms: Mapping[str, int],
    *,
    label_rate: LabelRate | None = None,
    label_cores: int = 1,
) -> Estimate:
    """Estimate a run's work from its configuration and the systems' sizes.

    Parameters
    ----------
    config
        The run's configuration.
    n_atoms
        Atoms of each system, by name.
    label_rate
        Measured time of a label; what is known of the calculator beforehand when None.
    label_cores
        Cores that a label takes.
    """
    estimate = Estimate(cores={"label": label_cores})
    core_s = core_s_per_label(config, label_rate)

    def add_labels(name: str, labels: int, tasks: int | None = None) -> None:
        _add_labels(estimate, config, n_atoms[name], labels, core_s, tasks)

    first = config.systems[0].name
    starts = config.start.systems or (first,)
    for name in starts:
        add_labels(name, config.start.n_frames // len(starts))
        if config.start.relax is not None:
            add_labels(name, config.start.relax.max_steps, tasks=1)
    trained_atoms = n_atoms[starts[0]]
    rounds = _rounds(config)
    for generation, (line, length_ps) in enumerate(rounds):
        _add_training(estimate, config, generation, trained_atoms)
        for name in line.systems:
            steps = length_ps * FS_PER_PS / config.explore.timestep_fs
            interval = config.explore.frame_interval_steps
            _add_md(estimate, config, "md", n_atoms[name], _runs(line), steps, interval)
            add_labels(name, config.select.labels_of(name) + config.select.accurate_checks)
        if generation == config.probe.generation:
            add_labels(line.systems[0], config.probe.n_frames)
    _add_training(estimate, config, len(rounds), trained_atoms, is_last=True)
    production = config.production
    if production is not None:
        runs = len(production.temperatures_K) * production.replicas
        steps = production.length_ps * FS_PER_PS / production.timestep_fs
        for name in production.systems or (first,):
            interval = production.frame_interval_steps
            parts = runs * production.most_parts
            _add_md(estimate, config, "production", n_atoms[name], parts, steps, interval)
    return estimate


def _rounds(config: RunConfig) -> list[tuple[ScheduleSection, float]]:
    """Line and length of the MD [ps] of each generation of the schedule."""
    rounds = [
        (line, line.lengths_ps[min(number, len(line.lengths_ps) - 1)])
        for line in config.explore.schedule
        for number in range(line.max_generations)
    ]
    return rounds[: config.stop.max_generations]


def _runs(line: ScheduleSection) -> int:
    """MD runs of one system in one generation."""
    pressures = len(line.pressures_GPa) if line.ensemble.startswith("npt") else 1
    return len(line.temperatures_K) * line.replicas * pressures


def core_s_per_label(
    config: RunConfig, rate: LabelRate | None
) -> Callable[[int], float | None]:
    """Core-seconds of a label by its number of atoms: measured, known of its kind, or None.

    Parameters
    ----------
    config
        The run's configuration.
    rate
        Measured time of a label; what is known of the calculator beforehand when None.
    """
    from dasksse.label import label_costs

    if rate is not None:
        return rate.core_seconds
    return label_costs(config.label.calculator).seconds_per_frame


def _add_labels(
    estimate: Estimate,
    config: RunConfig,
    n_atoms: int,
    labels: int,
    core_s_of: Callable[[int], float | None],
    tasks: int | None,
) -> None:
    from dasksse.label import label_costs

    if labels <= 0:
        return
    seconds = core_s_of(n_atoms)
    batch_size = config.label.batch_size or label_costs(config.label.calculator).batch_size
    count = -(-labels // batch_size) if tasks is None else tasks
    estimate.add("label", count, labels, None if seconds is None else labels * seconds)
    estimate.disk_bytes += labels * n_atoms * _BYTES_PER_ATOM_LABEL


def _add_training(
    estimate: Estimate,
    config: RunConfig,
    generation: int,
    n_atoms: int,
    *,
    is_last: bool = False,
) -> None:
    steps = config.train.steps
    if generation > 0 and config.train.warm_start:
        steps = config.train.steps_warm
    if is_last and config.production is not None and config.production.train_steps:
        steps = config.production.train_steps
    if not steps:
        return
    members = config.train.ensemble_size
    seconds = _TRAIN_STEP_S + _TRAIN_S * _net_factor(config) * n_atoms / _REFERENCE_ATOMS
    core_s = members * (steps * seconds + _ENGINE_START_S)
    estimate.add("train", members, members * steps, core_s)


def md_core_s_per_step(config: RunConfig, n_atoms: float, interval: int) -> float:
    """Rough core-seconds of an MD step in which model 0 drives and all judge each frame.

    Parameters
    ----------
    config
        The run's configuration.
    n_atoms
        Atoms of the cell.
    interval
        Steps between frames.
    """
    share = 1.0 + (config.train.ensemble_size - 1) / interval
    factor = _net_factor(config) * (_COMPRESSED if config.train.compress else 1.0)
    return _MD_S * factor * n_atoms / _REFERENCE_ATOMS * share


def _add_md(
    estimate: Estimate,
    config: RunConfig,
    kind: str,
    n_atoms: int,
    runs: int,
    steps: float,
    interval: int,
) -> None:
    seconds = md_core_s_per_step(config, n_atoms, interval)
    estimate.add(kind, runs, runs * steps, runs * steps * seconds)
    per_frame = _BYTES_PER_ATOM_FRAME if config.store.step_A else _LOSSLESS_BYTES_PER_ATOM_FRAME
    estimate.disk_bytes += runs * steps / interval * n_atoms * per_frame
