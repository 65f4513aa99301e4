"""The few numbers a reader looks for first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dasksse.report.arrhenius_text import D_UNIT, SIGMA_UNIT
from dasksse.report.data import SET_TITLES
from dasksse.report.diffusion_tables import diffusion_text
from dasksse.report.evidence import is_diffusive, resolved_rows
from dasksse.report.formats import (
    UNKNOWN,
    format_count,
    format_duration,
    format_interval,
    format_number,
    format_share,
    format_value_error,
    is_known,
)
from dasksse.report.verdicts import by_level, judge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dasksse.report.data import RunReport


_LEVEL_WORDS: Mapping[str, str] = {"trust": "sound", "care": "with care", "doubt": "doubtful"}


@dataclass(frozen=True)
class Card:
    """A headline number: what it is, the number, and lines on where it comes from."""

    title: str
    value: str
    notes: tuple[str, ...] = ()


def _fit_card(system: str, fit: Mapping[str, Any], temperatures: str) -> Card:
    """Ea with D and conductivity at the asked temperature."""
    notes = [f"fit of D at {temperatures} K"]
    value = format_interval(
        fit.get("D_m2_s"), fit.get("D_low_m2_s"), fit.get("D_high_m2_s"), D_UNIT
    )
    if value != UNKNOWN:
        at = f"({format_number(fit.get('at_K'))} K)"
        notes.append(f"D{at} = {value}")
        if is_known(sigma := fit.get("sigma_mS_cm")):
            notes.append(f"σ{at} = {format_number(sigma, SIGMA_UNIT, digits=2)}")
    ea = format_value_error(fit.get("Ea_eV"), fit.get("Ea_err_eV"), "eV")
    return Card(system, f"Eₐ = {ea}", tuple(notes))


def diffusion_cards(report: RunReport) -> list[Card]:
    """One card per production system: Ea, D and conductivity, or what there is of them."""
    cards: list[Card] = []
    for system in report.production_systems:
        title = f"Diffusion of {report.mobile_species} in {system}"
        fit = report.arrhenius.get(system)
        rows = resolved_rows(report, system)
        if fit and is_known(fit.get("Ea_eV")):
            temperatures = ", ".join(f"{row.temperature_K:g}" for row in rows)
            cards.append(_fit_card(title, fit, temperatures))
        elif rows:
            value = f"D({rows[0].temperature_K:g} K) = {diffusion_text(rows[0])}"
            cards.append(Card(title, value, ("no Arrhenius fit",)))
        else:
            cards.append(Card(title, "no value yet", (_why_no_value(report, system),)))
    return cards or [Card(f"Diffusion of {report.mobile_species}", "no production run yet")]


def _why_no_value(report: RunReport, system: str) -> str:
    """What the runs of a system lack, in a few words."""
    rows = [row for row in report.production if row.system == system]
    if any(is_diffusive(row) for row in rows):
        return "framework broken in all diffusive runs"
    if any(row.diffusion for row in rows):
        return "no diffusive run, upper bounds at most"
    if any(row.trouble for row in rows):
        return "production has finished, but was too short to be analysed"
    return "production is not analysed yet"


def state_cards(report: RunReport) -> list[Card]:
    """How far the run is, and how many verdicts of each level there are."""
    wall = report.timing.get("wall_s")
    notes = [f"{len(report.explored)} generations explored"]
    if is_known(wall):
        notes.append(f"{format_duration(wall)} wall time")
    groups = by_level(judge(report))
    state, _, reason = report.status.partition(":")
    if reason:
        notes.append(reason.strip())
    counts = [f"{len(groups.get(level, ()))} {word}" for level, word in _LEVEL_WORDS.items()]
    return [
        Card("Status", state, tuple(notes)),
        Card("What to trust", counts[0], tuple(counts[1:])),
    ]


def learning_cards(report: RunReport) -> list[Card]:
    """Accurate share, force error on unseen frames, and number of labels."""
    cards: list[Card] = []
    if report.explored:
        last = report.explored[-1]
        note = f"generation {last.generation}, {', '.join(last.systems)}"
        cards.append(Card("Models agree on", format_share(last.accurate), (note,)))
    for name in ("probe", "held_out"):
        judged = [row for row in report.generations if row.error(name, "force_rmse_meV_A")]
        error = judged[-1].error(name, "force_rmse_meV_A") if judged else None
        if error is not None:
            note = f"RMSE, {SET_TITLES[name]} frames"
            cards.append(Card("Force error", format_value_error(*error, "meV/Å"), (note,)))
            break
    if report.generations:
        newest = report.generations[-1]
        note = f"{format_count(newest.n_held_out)} more held out"
        cards.append(Card("Labels trained on", format_count(newest.n_train), (note,)))
    return cards
