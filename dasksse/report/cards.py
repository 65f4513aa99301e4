"""The few numbers a reader looks for first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dasksse.report.data import SET_TITLES
from dasksse.report.evidence import resolved_rows
from dasksse.report.formats import (
    UNKNOWN,
    format_count,
    format_interval,
    format_number,
    format_share,
    format_value_error,
    is_known,
)
from dasksse.report.tables import D_UNIT, SIGMA_UNIT, diffusion_text

if TYPE_CHECKING:
    from dasksse.report.data import RunReport


@dataclass(frozen=True)
class Card:
    """A headline number: what it is, the number, and a line on where it comes from."""

    title: str
    value: str
    note: str = ""


def diffusion_cards(report: RunReport) -> list[Card]:
    """Ea, and D and conductivity at the asked temperature, or what there is of them."""
    cards: list[Card] = []
    for system in report.production_systems or [""]:
        fit = report.arrhenius.get(system)
        rows = resolved_rows(report, system)
        if fit and is_known(fit.get("Ea_eV")):
            temperatures = ", ".join(f"{row.temperature_K:g}" for row in rows)
            ea = format_value_error(fit["Ea_eV"], fit.get("Ea_err_eV"), "eV")
            cards.append(Card(f"Eₐ · {system}", ea, f"from D at {temperatures} K"))
            cards.append(_extrapolation_card(report, system))
        elif rows:
            lowest = rows[0]
            title = f"D({lowest.temperature_K:g} K) · {system}"
            cards.append(Card(title, diffusion_text(lowest), "no Arrhenius fit"))
        else:
            note = "no diffusive run" if system else "no production run yet"
            cards.append(Card(f"D and Eₐ{f' · {system}' if system else ''}", UNKNOWN, note))
    return cards


def _extrapolation_card(report: RunReport, system: str) -> Card:
    fit = report.arrhenius.get(system) or {}
    value = format_interval(
        fit.get("D_m2_s"), fit.get("D_low_m2_s"), fit.get("D_high_m2_s"), D_UNIT
    )
    sigma = fit.get("sigma_mS_cm")
    note = "from the fit"
    if is_known(sigma):
        note += f"; σ = {format_number(sigma, SIGMA_UNIT, digits=2)}"
    at = f"({fit['at_K']:g} K)" if is_known(fit.get("at_K")) else ""
    return Card(f"D{at} · {system}", value, note)


def learning_cards(report: RunReport) -> list[Card]:
    """Accurate share, force error on unseen frames, and number of labels."""
    cards: list[Card] = []
    if report.explored:
        last = report.explored[-1]
        note = f"generation {last.generation}, {', '.join(last.systems)}"
        cards.append(Card("Frames the models agree on", format_share(last.accurate), note))
    for name in ("probe", "held_out"):
        judged = [row for row in report.generations if row.error(name, "force_rmse_meV_A")]
        error = judged[-1].error(name, "force_rmse_meV_A") if judged else None
        if error is not None:
            note = f"RMSE on {SET_TITLES[name]} frames, generation {judged[-1].generation}"
            cards.append(Card("Force error", format_value_error(*error, "meV/Å"), note))
            break
    if report.generations:
        newest = report.generations[-1]
        note = f"{format_count(newest.n_held_out)} more held out"
        cards.append(Card("Labels trained on", format_count(newest.n_train), note))
    return cards


def make_cards(report: RunReport) -> list[Card]:
    """All cards, results first."""
    return [*diffusion_cards(report), *learning_cards(report)]
