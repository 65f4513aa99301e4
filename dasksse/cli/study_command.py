"""``dasksse study``: studies of the protocol of Huang et al. 2021, doi:10.1063/5.0041849."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from dasksse.cli.consoles import wide_console
from dasksse.cli.run_command import run_root, work_through
from dasksse.cli.study_session import tell_failed, work
from dasksse.cli.validate import count_atoms, load_checked
from dasksse.config.messages import nearest
from dasksse.errors import ConfigError, RunFolderError
from dasksse.loop.estimate import core_s_per_label
from dasksse.loop.label_rate import measured_rate
from dasksse.report import collect_report
from dasksse.report.formats import SECONDS_PER_HOUR, format_core_time
from dasksse.report.protocol_page import ProtocolFacts, StudyPart, write_protocol
from dasksse.report.verdicts import LEVEL_TITLES
from dasksse.store.folders import RunFolder, write_json
from dasksse.store.journal import Journal
from dasksse.store.sealing import seal
from dasksse.study.case import studied_system
from dasksse.study.comparison import read_measurements
from dasksse.study.estimate import studies_core_s
from dasksse.study.functional import check_runs
from dasksse.study.inputs import take_ensemble, take_labels
from dasksse.study.protocol import ALL, STUDIES, Protocol, chosen_studies
from dasksse.study.session import open_study

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from dasksse.config.load import LoadedConfig
    from dasksse.config.schema import RegistrySection, RunConfig
    from dasksse.study.outcome import Outcome, StudyKind

FOLDER = "studies"
"""Folder of a run with all of its studies."""

REPORT = "report"
"""Folder of studies with their page."""

OUTDATED = "done earlier, with another configuration or other models; name it to do it again"
"""Why a study whose results are there is not on the page."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("name", nargs="?", metavar="NAME", help=f"{ALL}, {', '.join(STUDIES)}")
    add("config", nargs="?", type=Path, help="YAML file of the run")
    add("--dir", type=Path, help="run folder; runs/<name> when absent")
    add("--cluster", type=Path, help="YAML file {kind, settings} of an engine")
    add("--dry-run", action="store_true", help="print what each study takes, and no more")
    add("--json", type=Path, help="write what was found to this file")
    add("--list", action="store_true", help="list the studies")


def command(arguments: argparse.Namespace) -> int:
    """Learn if that is not done, then study; 1 when a study found nothing to rely on.

    Raises
    ------
    ConfigError
        When there is no such study, or it would take more than is allowed.
    """
    console = wide_console()
    if arguments.list:
        _list(console)
        return 0
    if arguments.name is None or arguments.config is None:
        msg = f"study: found no NAME and CONFIG, allowed: {', '.join([ALL, *STUDIES])}; --list"
        raise ConfigError(msg)
    _check_name(arguments.name)
    loaded, engine = load_checked(arguments.config, arguments.cluster)
    config = loaded.config
    kinds, lacking = chosen_studies(arguments.name, config)
    asked = {kind.name for kind in kinds}
    if "functional" in asked:
        check_runs(loaded)
    if "comparison" in asked:
        key = "studies.comparison.experiment"
        loaded.check(key, lambda: read_measurements(config, loaded.base_dir))
    run = run_root(arguments.dir, loaded)
    _tell_costs(console, loaded, kinds, lacking, run, is_dry=arguments.dry_run)
    if arguments.dry_run:
        return 0
    work_through(console, loaded, engine, run, words=_words(arguments, run), scheme="learning")
    study = _study(console, loaded, engine, kinds, run)
    outcomes = study.outcomes
    page = _write(loaded, lacking, study, run)
    _print(console, kinds, outcomes)
    tell_failed(console, run / FOLDER)
    if arguments.json is not None:
        write_json(arguments.json, {name: one.to_json() for name, one in outcomes.items()})
    console.print(f"\nstudies: {page}", highlight=False)
    return 0


def _list(console: Console) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for kind in STUDIES.values():
        table.add_row(kind.name, kind.question, kind.source)
    console.print(table)


def _check_name(name: str) -> None:
    known = [ALL, *STUDIES]
    if name not in known:
        msg = f"study: found {name!r}, allowed: {', '.join(known)}{nearest(name, known)}"
        raise ConfigError(msg)


def _words(arguments: argparse.Namespace, run: Path) -> str:
    """The command that continues the studies, from any folder."""
    words = ["dasksse", "study", arguments.name, str(arguments.config.absolute())]
    words += ["--dir", str(run)]
    if arguments.cluster is not None:
        words += ["--cluster", str(arguments.cluster.absolute())]
    return shlex.join(words)


def _tell_costs(
    console: Console,
    loaded: LoadedConfig,
    kinds: Sequence[StudyKind],
    lacking: Mapping[str, str],
    run: Path,
    *,
    is_dry: bool,
) -> None:
    """Print what each study takes; refuse more than the configuration allows."""
    config = loaded.config
    n_atoms = {name: count or 50 for name, count in count_atoms(loaded).items()}
    rate = measured_rate(config.label.calculator, run)
    studied = n_atoms[studied_system(config, None).name]
    per_label = core_s_per_label(config, rate)(studied)
    costs = studies_core_s(kinds, config, n_atoms, core_s_per_label=per_label)
    table = Table(title="Studies", title_justify="left", box=None, pad_edge=False)
    for column in ("study", "MD runs", "single points", "core time"):
        table.add_column(column, justify="left" if column == "study" else "right")
    for kind in kinds:
        runs = sum(len(case.temperatures_K) * case.replicas for case in kind.cases(config))
        labels = kind.n_labels(config)
        time = format_core_time(costs[kind.name])
        if labels and per_label is None:
            time += " and the single points"
        table.add_row(kind.name, str(runs), str(labels or "–"), time)
    console.print(table)
    for name, reason in lacking.items():
        console.print(f"{name}: left out, {reason}", highlight=False, markup=False)
    total_h = sum(costs.values()) / SECONDS_PER_HOUR
    console.print(
        f"in all about {format_core_time(sum(costs.values()))}, by a rough estimate; runs that "
        "studies share count once, and what is done already is not taken off",
        highlight=False,
    )
    limit_h = config.studies.max_core_hours
    if total_h > limit_h and not is_dry:
        message = (
            f"these studies would take about {total_h:.0f} core-hours, allowed: {limit_h:g}; "
            "shorten them (studies.*), name one study instead of all, or raise the limit"
        )
        raise loaded.error("studies.max_core_hours", message)


def _study(
    console: Console,
    loaded: LoadedConfig,
    engine: RegistrySection,
    kinds: Sequence[StudyKind],
    run: Path,
) -> Protocol:
    root = run / FOLDER
    folder = open_study(root, Protocol.name)
    study = Protocol(
        kinds,
        root=root,
        models=take_ensemble(run, root),
        labels=take_labels(run, root),
        levels=_levels(loaded, run),
        base_dir=loaded.base_dir,
        earlier=_earlier(loaded.config, kinds, root),
    )
    reproducible = loaded.config.reproducible
    n_units = work(console, study, loaded, engine, root, reproducible=reproducible)
    if n_units:
        seal(folder.root)
    return study


def _earlier(config: RunConfig, asked: Sequence[StudyKind], root: Path) -> list[StudyKind]:
    """Studies of earlier commands that the configuration still allows."""
    names = _written(root) - {kind.name for kind in asked}
    return [kind for kind in STUDIES.values() if kind.name in names and not kind.lacks(config)]


def _written(root: Path) -> set[str]:
    """Names of the studies whose results are there."""
    return {path.stem for path in (root / REPORT / "results").glob("*.json")} & set(STUDIES)


def _levels(loaded: LoadedConfig, run: Path) -> tuple[float, float]:
    """Trust levels of the run: those it found, or those of the configuration."""
    trust = loaded.config.select.trust
    if trust.mode == "fixed":
        return trust.low_eV_A, trust.high_eV_A
    folder = RunFolder(run)
    report = collect_report(folder, Journal(folder.journal, read_only=True))
    if not report.generations:
        msg = f"{run} has no generation, and with it no trust levels; `dasksse run` makes one"
        raise RunFolderError(msg)
    first = report.generations[0]
    return first.trust_low_eV_A, first.trust_high_eV_A


def _write(
    loaded: LoadedConfig, lacking: Mapping[str, str], study: Protocol, run: Path
) -> Path:
    """Figures, numbers and the page, of earlier commands too."""
    outcomes = {**study.earlier_outcomes, **study.outcomes}
    outdated = _written(run / FOLDER) - set(outcomes) - set(lacking)
    reasons = {**lacking, **dict.fromkeys(sorted(outdated), OUTDATED)}
    folder = RunFolder(run)
    report = collect_report(folder, Journal(folder.journal, read_only=True))
    system = studied_system(loaded.config, None).name
    rows = {row.name: row for row in report.systems}
    surrogate = ", a surrogate, not DFT" if report.is_surrogate else ""
    facts = ProtocolFacts(
        name=loaded.config.name,
        system=system,
        formula=rows[system].formula if system in rows else "",
        n_atoms=rows[system].n_atoms if system in rows else 0,
        labels=f"{report.label_source} ({report.functional}{surrogate})"
        if report.label_source
        else "none in this run, the models were there already",
        ensemble=len(take_ensemble(run, run / FOLDER)),
        left_out={STUDIES[name].title: reason for name, reason in reasons.items()},
    )
    parts = [_part(kind, outcomes[name]) for name, kind in STUDIES.items() if name in outcomes]
    return write_protocol(facts, parts, run / FOLDER / REPORT)


def _part(kind: StudyKind, outcome: Outcome) -> StudyPart:
    return StudyPart(
        name=kind.name,
        title=kind.title,
        question=kind.question,
        source=kind.source,
        caption=kind.caption,
        verdict=outcome.verdict,
        tables=[(table.title, table.rows) for table in outcome.tables],
        values=outcome.values,
        notes=outcome.notes,
        draw=partial(kind.draw, outcome.values),
    )


def _print(
    console: Console, kinds: Sequence[StudyKind], outcomes: Mapping[str, Outcome]
) -> None:
    for kind in kinds:
        outcome = outcomes.get(kind.name)
        if outcome is None:
            continue
        console.print(f"\n[bold]{kind.title}[/bold]")
        for table in outcome.tables:
            _print_table(console, table.title, table.rows)
        level = LEVEL_TITLES[outcome.verdict.level]
        console.print(f"{level}: {outcome.verdict.text}", highlight=False, markup=False)


def _print_table(console: Console, title: str, rows: Sequence[Mapping[str, str]]) -> None:
    if not rows:
        return
    shown = Table(title=Text(title), title_justify="left", box=None, pad_edge=False)
    for column in rows[0]:
        shown.add_column(Text(column))
    for row in rows:
        shown.add_row(*(Text(cell) for cell in row.values()))
    console.print(shown)
