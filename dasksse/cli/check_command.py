"""``dasksse check``: validate, and say what a run would take and what it would run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from dasksse.cli.validate import count_atoms, load_checked
from dasksse.engine.cluster import check_engine, label_cores
from dasksse.engine.cluster_commands import list_commands
from dasksse.engine.folder import JOB_PREFIX
from dasksse.engine.settings import QueueSettings
from dasksse.loop.estimate import Estimate, estimate_run
from dasksse.loop.label_rate import LabelRate, measured_rate
from dasksse.report.formats import format_bytes, format_core_time

if TYPE_CHECKING:
    import argparse

    from dasksse.config.load import LoadedConfig
    from dasksse.config.schema import RegistrySection

UNKNOWN_SIZE = 50
"""Atoms of a system that is not known yet, for the estimate."""

_RUN_ID = "00000000"

_NAMES = {
    "label": ("labels", "labels"),
    "train": ("trainings", "training steps"),
    "md": ("exploration runs", "MD steps"),
    "production": ("production runs", "MD steps"),
}


def estimate_for(
    loaded: LoadedConfig, engine: RegistrySection, n_atoms: dict[str, int], run_dir: Path
) -> tuple[Estimate, LabelRate | None]:
    """Estimate a run, from labels of its calculator where there are any in it or beside it."""
    config = loaded.config
    rate = measured_rate(config.label.calculator, run_dir)
    sizes = {name: count or UNKNOWN_SIZE for name, count in n_atoms.items()}
    cores = label_cores(engine)
    return estimate_run(config, sizes, label_rate=rate, label_cores=cores), rate


def print_plan(
    console: Console,
    loaded: LoadedConfig,
    engine: RegistrySection,
    n_atoms: dict[str, int],
    run_dir: Path,
) -> None:
    """Print systems, schedule and estimate."""
    config = loaded.config
    systems = ", ".join(f"{name} ({count or '?'} atoms)" for name, count in n_atoms.items())
    console.print(f"[bold]{config.name}[/bold]: {systems}", highlight=False)
    estimate, rate = estimate_for(loaded, engine, n_atoms, run_dir)
    has_labels = "label" in estimate.tasks
    labels = (
        f"labels from {config.label.calculator.kind}" if has_labels else "no labels to make"
    )
    console.print(
        f"{labels}; engine {engine.kind}; ensemble of {config.train.ensemble_size}",
        highlight=False,
    )
    schedule = Table(title="Schedule", title_justify="left", box=None, pad_edge=False)
    for column in ("line", "systems", "ensemble", "T (K)", "ps", "generations"):
        schedule.add_column(column)
    for index, line in enumerate(config.explore.schedule):
        schedule.add_row(
            str(index + 1),
            ", ".join(line.systems),
            line.ensemble,
            ", ".join(f"{t:g}" for t in line.temperatures_K),
            ", ".join(f"{length:g}" for length in line.lengths_ps),
            f"up to {line.max_generations}",
        )
    if config.explore.schedule:
        console.print(schedule)
    console.print(_estimate_table(estimate))
    if has_labels:
        console.print(_about_labels(estimate, rate), highlight=False, markup=False)
    known = format_core_time(sum(core_s or 0.0 for core_s in estimate.core_s.values()))
    unknown = " and those of the labels" if estimate.core_hours is None else ""
    console.print(
        f"at most {known}{unknown}, about {format_bytes(estimate.disk_bytes)} on disk",
        highlight=False,
    )


def _about_labels(estimate: Estimate, rate: LabelRate | None) -> str:
    """Where the time of labels in the estimate comes from."""
    if rate is not None:
        sizes = ", ".join(f"{s:.3g} s ({n} atoms)" for n, s in sorted(rate.mean_s.items()))
        return (
            f"time of a label: {sizes} on {rate.cores} core(s), mean of {rate.n_labels} in "
            f"{rate.run_dir}; other sizes by atoms^{rate.exponent:g}"
        )
    if estimate.core_s.get("label") is None:
        return (
            "time of a label: unknown for this calculator until a run has measured it "
            "(`dasksse check` looks in the run folder and in those beside it)"
        )
    return "time of a label: from the kind of calculator, one busy core; no run has measured it"


def _estimate_table(estimate: Estimate) -> Table:
    table = Table(title="Work at most", title_justify="left", box=None, pad_edge=False)
    for column in ("kind", "tasks", "amount", "core time"):
        table.add_column(column, justify="left" if column == "kind" else "right")
    for kind, tasks in estimate.tasks.items():
        seconds = estimate.core_s[kind]
        time = "?" if seconds is None else format_core_time(seconds)
        title, unit = _NAMES[kind]
        table.add_row(title, str(tasks), f"{estimate.amounts[kind]:,.0f} {unit}", time)
    return table


def print_scripts(
    console: Console, engine: RegistrySection, settings: QueueSettings, run_dir: Path
) -> None:
    """Print the job script of each pool as it would be submitted, but for the run's id."""
    from dasksse.engine.scripts import job_script

    for name, pool in settings.pools.items():
        text = job_script(
            engine.kind,
            pool,
            pool_name=name,
            job_name=f"{JOB_PREFIX}-{_RUN_ID}-{name}-1",
            cluster_dir=run_dir / "cluster",
        )
        title = f"Job script of pool {name} ({engine.kind}; {_RUN_ID}: the run's own id)"
        console.out(f"\n{title}\n\n{text}", highlight=False)


def print_commands(console: Console, commands: list[tuple[str, str]]) -> None:
    """Print what the files can run, by key."""
    console.out("\nCommands these files can run", highlight=False)
    for key, words in commands or [("", "none")]:
        console.out(f"  {key}: {words}" if key else f"  {words}", highlight=False)


def command(arguments: argparse.Namespace) -> int:
    """Validate a configuration and print what it would do."""
    console = Console()
    loaded, engine = load_checked(arguments.config, arguments.cluster)
    run_dir = Path("runs") / loaded.config.name
    print_plan(console, loaded, engine, count_atoms(loaded), run_dir)
    settings = check_engine(engine)
    if isinstance(settings, QueueSettings):
        print_scripts(console, engine, settings, run_dir.absolute())
    where = "engine.settings" if arguments.cluster is None else "settings"
    print_commands(console, list_commands(loaded.config, settings, where=where))
    return 0
