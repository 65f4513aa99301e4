"""Verdicts on D(T), activation energy and extrapolation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dasksse.analyse.arrhenius_result import LEAST_PROBABILITY
from dasksse.report.arrhenius_text import FORM_TITLES
from dasksse.report.data import Verdict
from dasksse.report.evidence import (
    SHORT_RUN_PS,
    SMALL_CELL_ATOMS,
    model_doubts,
    potential_doubts,
    resolved_rows,
    statistical_limits,
)
from dasksse.report.formats import format_number, format_value_error, is_known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dasksse.report.data import Level, ProductionRow, RunReport

MIN_POINTS = 3
"""Two points always lie on a line."""
WIDE_EA_ERROR = 0.2
"""Relative error of the activation energy from which it is called wide."""
FAR_BELOW = 0.8
"""Extrapolation below this times the lowest resolved temperature is called far."""


def _temperatures(rows: Iterable[ProductionRow]) -> str:
    return ", ".join(f"{row.temperature_K:g}" for row in rows) + " K"


def _judge_row(row: ProductionRow, general: Iterable[str]) -> Iterator[tuple[Level, str]]:
    """Level and text of what limits a row, or that nothing does."""
    doubts, limits = [*general, *model_doubts(row)], list(statistical_limits(row))
    if doubts:
        text = f"Outside what the potential is good for: {'; '.join(doubts + limits)}."
        yield "doubt", text
    elif limits:
        text = "; ".join(limits)
        yield "care", f"{text[0].upper()}{text[1:]}."
    else:
        yield "trust", "Diffusive and resolved, frames inside trust, framework whole."
    if row.trust_note:
        yield "care", row.trust_note


def judge_rows(report: RunReport) -> Iterator[Verdict]:
    """One verdict for all temperatures of a system of which the same is to be said."""
    general = potential_doubts(report)
    groups: dict[tuple[str, Level, str], list[ProductionRow]] = {}
    for row in sorted(report.production, key=lambda row: (row.system, row.temperature_K)):
        for level, text in _judge_row(row, general):
            groups.setdefault((row.system, level, text), []).append(row)
    for (system, level, text), rows in groups.items():
        yield Verdict(level, f"D of {system} at {_temperatures(rows)}", text)


def judge_cell_size(report: RunReport) -> Iterator[Verdict]:
    """Small cells overestimate D at low temperature."""
    small: dict[str, int] = {}
    for row in report.production:
        if row.n_atoms < SMALL_CELL_ATOMS:
            small[row.system] = row.n_atoms
    for system, n_atoms in small.items():
        yield Verdict(
            "care",
            "Cell size",
            f"{system} was run with {n_atoms} atoms. Cells below {SMALL_CELL_ATOMS} atoms can "
            "give far too high D at low temperature (10-100 times for LGPS-type conductors at "
            "200 atoms); 900 atoms were needed there.",
        )


def judge_arrhenius(report: RunReport) -> Iterator[Verdict]:
    """How far the activation energy and the extrapolation carry, system by system."""
    if not report.production:
        yield Verdict("care", "Diffusion", "There is no production run, so no D and no Ea.")
        return
    for system in report.production_systems:
        fit = report.arrhenius.get(system)
        rows = resolved_rows(report, system)
        if not fit or not is_known(fit.get("Ea_eV")):
            yield Verdict(
                "care",
                f"Ea of {system}",
                f"No Arrhenius fit: {len(rows)} temperature(s) with a resolved D and a whole "
                "framework.",
            )
            continue
        yield _judge_fit(system, fit, rows, potential_doubts(report))
        yield from _judge_notes(system, fit)
        yield from _judge_reach(system, fit, rows)


def _judge_fit(
    system: str,
    fit: Mapping[str, Any],
    rows: Sequence[ProductionRow],
    doubts: Sequence[str],
) -> Verdict:
    """Points, straightness and error of one fit."""
    error = fit.get("Ea_err_eV")
    text = format_value_error(fit["Ea_eV"], error, "eV")
    listed = _temperatures(rows)
    level: Level = "doubt"
    if len(rows) < MIN_POINTS:
        text += (
            f" rests on {len(rows)} temperature(s), fewer than {MIN_POINTS}: nothing shows "
            "that one line fits."
        )
    elif fit.get("one_line_ok") is False:
        text += (
            f", but one straight line does not fit D at {listed}: the mechanism or the phase "
            f"may change in between.{_what_fits(fit)}"
        )
    elif doubts:
        text += f", one line through D at {listed}, but {'; '.join(doubts)}."
    elif not is_known(error) or error > WIDE_EA_ERROR * abs(fit["Ea_eV"]):
        level, text = "care", f"{text}, from D at {listed}: a wide error."
    elif any(row.length_ps < SHORT_RUN_PS for row in rows):
        level = "care"
        text += f", one line through D at {listed}, but the runs are short."
    else:
        level, text = "trust", f"{text}, one line through D at {listed}."
    return Verdict(level, f"Ea of {system}", text)


def _what_fits(fit: Mapping[str, Any]) -> str:
    """The other forms that chance does not speak against, with what they give."""
    good = [
        form
        for form in fit.get("alternatives", {}).values()
        if is_known(form["chance"]) and form["chance"] >= LEAST_PROBABILITY
    ]
    texts = [_form_text(form, f"{fit['at_K']:g} K") for form in good]
    return f" What fits: {' or '.join(texts)}." if texts else ""


def _form_text(form: Mapping[str, Any], at: str) -> str:
    Ea = format_value_error(form["Ea_eV"], form["Ea_err_eV"], "eV")
    D = format_number(form["D_m2_s"], "m²/s", digits=2)
    title, chance = FORM_TITLES[form["form"]], f"{100 * form['chance']:.0f} %"
    return f"{title} (Ea {Ea} towards {at}, D({at}) {D}; chance {chance})"


def _judge_notes(system: str, fit: Mapping[str, Any]) -> Iterator[Verdict]:
    """What the fit itself says to be careful about; its reach is judged apart."""
    notes = [note for note in fit.get("notes", ()) if "far outside" not in note]
    if notes:
        text = "; ".join(notes)
        yield Verdict("care", f"Ea of {system}", f"{text[0].upper()}{text[1:]}.")


def _judge_reach(
    system: str, fit: Mapping[str, Any], rows: Sequence[ProductionRow]
) -> Iterator[Verdict]:
    """Say that an extrapolation is one."""
    at_K = fit.get("at_K")
    if not rows or not is_known(at_K) or not is_known(fit.get("D_m2_s")):
        return
    lowest = rows[0].temperature_K
    if at_K < FAR_BELOW * lowest:
        yield Verdict(
            "care",
            f"D of {system} at {at_K:g} K",
            f"Extrapolated from {lowest:g} K and above. The interval holds only if nothing "
            "changes in between (phase, order, correlated motion).",
        )
