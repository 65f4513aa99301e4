"""Tables of a run as rows of text, for the page and the terminal alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasksse.report.convergence_tables import length_rows, size_rows
from dasksse.report.data import RMSE_SETS, SET_TITLES
from dasksse.report.diffusion_tables import arrhenius_rows, production_rows
from dasksse.report.formats import (
    UNKNOWN,
    format_count,
    format_counts,
    format_list,
    format_number,
    format_share,
    format_value_error,
    is_known,
)
from dasksse.report.verdicts import LEVEL_TITLES, by_level, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from dasksse.report.arrhenius_text import Row
    from dasksse.report.data import GenerationRow, MeanStd, RunReport

MOST_NOTES = 8
"""Notes on labels that are shown; filters of many systems give many that are alike."""
LEVEL_STYLES = {"trust": "green", "care": "yellow", "doubt": "red"}


def _mean_std(error: MeanStd | None) -> str:
    """Mean and spread over the ensemble; the spread may be 0 or unknown."""
    if error is None or not is_known(error[0]):
        return UNKNOWN
    mean, std = error
    return format_value_error(mean, std) if is_known(std) and std > 0 else format_number(mean)


def shares_rows(report: RunReport) -> list[Row]:
    """Shares per generation, as Table IV of Huang et al. (doi:10.1063/5.0041849) gives them."""
    return [
        {
            "generation": str(row.generation),
            "systems": f"{', '.join(row.systems)} ({row.ensemble})" if row.systems else UNKNOWN,
            "T [K]": format_list(row.temperatures_K),
            "length [ps]": f"{row.length_ps:g}" if row.systems else UNKNOWN,
            "trained on": format_count(row.n_train),
            "accurate": format_share(row.accurate),
            "candidate": format_share(row.candidate),
            "failed": format_share(row.failed),
            "frames / planned": _written_frames(row),
            "blown up": format_count(row.n_blown_up_runs),
            "labelled": format_count(row.n_labelled),
        }
        for row in report.generations
    ]


def _written_frames(row: GenerationRow) -> str:
    if row.n_frames is None and row.n_planned_frames is None:
        return UNKNOWN
    return f"{format_count(row.n_frames)} / {format_count(row.n_planned_frames)}"


def label_rows(report: RunReport) -> list[Row]:
    """Labels by source and functional: how many, why not more, and what they took."""
    return [
        {
            "source": row.source,
            "functional": row.functional,
            "good": format_count(row.n_good),
            "refused": format_count(row.n_refused),
            "failed": format_count(row.n_failed),
            "why": format_counts(row.why),
            "time [s]": _pair(row.median_s, row.p95_s),
            "core-hours": _pair(row.core_hours, row.estimated_core_hours),
            "memory [GB]": format_number(
                None if row.memory_bytes is None else row.memory_bytes / 1e9, digits=2
            ),
        }
        for row in report.labels
    ]


def shown_label_notes(report: RunReport) -> list[str]:
    """What was done with labels of the newest training set; the first ones of many notes."""
    notes = list(report.label_notes[:MOST_NOTES])
    n_more = len(report.label_notes) - len(notes)
    if n_more:
        notes.append(f"and {n_more} more, see label_notes in summary.json")
    return notes


def _pair(first: float | None, second: float | None) -> str:
    if first is None:
        return UNKNOWN
    return f"{format_number(first, digits=2)} / {format_number(second, digits=2)}"


def temperature_rows(report: RunReport) -> list[Row]:
    """Shares per generation, system and temperature."""
    return [
        {
            "generation": str(row.generation),
            "system": share.system,
            "T [K]": f"{share.temperature_K:g}",
            "accurate": format_share(share.accurate),
            "candidate": format_share(share.candidate),
            "failed": format_share(share.failed),
            "planned frames": format_count(share.n_planned),
        }
        for row in report.generations
        for share in row.by_temperature
    ]


def progress_rows(report: RunReport) -> list[Row]:
    """Force errors of each generation's models on every set, and deviation on the probe."""
    return [
        {
            "generation": str(row.generation),
            "trained on": format_count(row.n_train),
            **{
                f"F {SET_TITLES[name]} [meV/Å]": _mean_std(row.error(name, "force_rmse_meV_A"))
                for name in RMSE_SETS
            },
            "E held out [meV/atom]": _mean_std(row.error("held_out", "energy_rmse_meV_atom")),
            "E probe [meV/atom]": _mean_std(row.error("probe", "energy_rmse_meV_atom")),
            "probe deviation [eV/Å]": format_number(row.probe_deviation_mean_eV_A),
        }
        for row in report.generations
        if row.rmse or row.probe_deviation_mean_eV_A is not None
    ]


def rmse_rows(report: RunReport) -> list[Row]:
    """Energy, force and virial errors of the latest models, mean ± spread of the ensemble.

    Laid out as Table V of Huang et al. (doi:10.1063/5.0041849), one row a set.
    """
    judged = [row for row in report.generations if row.rmse]
    if not judged:
        return []
    last = judged[-1]
    return [
        {
            "set": SET_TITLES[name],
            "energy [meV/atom]": _mean_std(last.error(name, "energy_rmse_meV_atom")),
            "force [meV/Å]": _mean_std(last.error(name, "force_rmse_meV_A")),
            "virial [meV/atom]": _mean_std(last.error(name, "virial_rmse_meV_atom")),
        }
        for name in RMSE_SETS
        if name in last.rmse
    ]


def material_rows(report: RunReport) -> list[Row]:
    """Errors of the latest models by material; none where all frames are of one material."""
    judged = [row for row in report.generations if row.materials]
    if not judged:
        return []
    last = judged[-1].materials
    if len({formula for part in last.values() for formula in part}) < 2:  # noqa: PLR2004
        return []
    return [
        {
            "set": SET_TITLES[name],
            "material": formula,
            "energy [meV/atom]": _mean_std(errors.get("energy_rmse_meV_atom")),
            "force [meV/Å]": _mean_std(errors.get("force_rmse_meV_A")),
            "virial [meV/atom]": _mean_std(errors.get("virial_rmse_meV_atom")),
        }
        for name in RMSE_SETS
        for formula, errors in last.get(name, {}).items()
    ]


def system_rows(report: RunReport) -> list[Row]:
    """The crystals of the run."""
    return [
        {
            "system": row.name,
            "formula": row.formula,
            "atoms": format_count(row.n_atoms),
            "volume [Å³]": f"{row.volume_A3:.1f}",
            "notes": row.notes,
        }
        for row in report.systems
    ]


def failure_rows(report: RunReport) -> list[Row]:
    """Units without result."""
    return [
        {"kind": row.kind, "key": row.key, "reason": row.reason, "folder": row.folder}
        for row in report.failures
    ]


def verdict_rows(report: RunReport) -> list[Row]:
    """What can be trusted, one sentence a row, best first."""
    return [
        {"": LEVEL_TITLES[level], "about": verdict.subject, "why": verdict.text}
        for level, group in by_level(judge(report)).items()
        for verdict in group
    ]


_TERMINAL_COLUMNS = {
    "shares": (
        "generation",
        "systems",
        "T [K]",
        "trained on",
        "accurate",
        "candidate",
        "failed",
        "labelled",
    ),
    "labels": ("source", "functional", "good", "refused", "failed", "why"),
    "production": (
        "system",
        "T [K]",
        "runs × length",
        "D [m²/s]",
        "outside trust",
        "trustworthy",
    ),
}
"""Columns that fit a terminal; the page shows all."""


def _rich_table(
    title: str, rows: Sequence[Row], columns: Sequence[str] = (), styles: Sequence[str] = ()
) -> Table:
    """Table of the chosen columns; ``styles`` colours the first cell of each row."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    shown = columns or tuple(rows[0])
    for column in shown:
        table.add_column(Text(column), overflow="fold")
    for row, style in zip(rows, styles or [""] * len(rows), strict=True):
        first, *others = (row[column] for column in shown)
        table.add_row(Text(first, style=style), *map(Text, others))
    return table


def rich_tables(report: RunReport) -> list[Table]:
    """Summary for the terminal: shares, errors, D, Ea, and what is trustworthy in it.

    Tables without rows are left out; the last one always holds the verdicts. Words carry the
    meaning, colours repeat it.
    """
    notes = [{"": note} for note in shown_label_notes(report)]
    tables = [
        ("Labels", label_rows(report), _TERMINAL_COLUMNS["labels"]),
        ("Labels of the newest training set", notes, ()),
        ("Shares of frames per generation", shares_rows(report), _TERMINAL_COLUMNS["shares"]),
        ("Errors of the latest models (mean ± spread of the ensemble)", rmse_rows(report), ()),
        ("Errors of the latest models by material", material_rows(report), ()),
        (
            f"Diffusion of {report.mobile_species}",
            production_rows(report),
            _TERMINAL_COLUMNS["production"],
        ),
        ("Arrhenius fits", arrhenius_rows(report), ()),
        ("Is D converged?", length_rows(report), ()),
        ("Size of the cells", size_rows(report), ()),
    ]
    made = [_rich_table(title, rows, columns) for title, rows, columns in tables if rows]
    levels = [level for level, group in by_level(judge(report)).items() for _ in group]
    styles = [LEVEL_STYLES[level] for level in levels]
    title = "What is trustworthy in it"
    return [*made, _rich_table(title, verdict_rows(report), styles=styles)]
