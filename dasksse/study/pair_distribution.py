"""Pair distributions of ordered and disordered crystals: Fig. 12 of Huang et al. 2021."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dasksse.report.data import Verdict
from dasksse.report.figures.study_rdf import ordered_and_disordered
from dasksse.report.formats import UNKNOWN, format_number, format_value_error
from dasksse.study.arrangements import (
    arrangement_cases,
    lacks_arrangements,
    lacks_in,
    lost_runs,
    ordered_case,
)
from dasksse.study.material import is_material
from dasksse.study.outcome import Outcome, Row, Table
from dasksse.study.pair_average import average, difference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from dasksse.config.schema import RunConfig
    from dasksse.records import Json
    from dasksse.report.data import Level
    from dasksse.study.bench import Bench
    from dasksse.study.case import Case

UNCHANGED = {"Li-Li": "unchanged", "Li-S": "unchanged"}
PUBLISHED: Mapping[str, Mapping[str, str]] = {
    "Li10GeP2S12": {**UNCHANGED, "Li-P": "slightly changed"},
    "Li10SiP2S12": {**UNCHANGED, "Li-P": "slightly changed"},
    "Li10SnP2S12": {**UNCHANGED, "Li-Sn": "significantly changed"},
}
"""What Huang et al. 2021 say of Fig. 12."""
FEW_ORDERINGS = 3
LEAST_SHARE = 0.02
"""Smallest share of pairs at other distances that is called a change."""
NOISE_FACTOR = 3.0
"""A change is larger than so many times what chance makes."""
SUBJECT = "Pair distributions"


class PairDistributions:
    """g(r) of the mobile ion with every element, ordered against disordered."""

    name = "rdf"
    title = "Radial distribution functions"
    question = (
        "Around which elements do the ions stand differently when cations are disordered?"
    )
    source = "Huang et al. 2021, Fig. 12, doi:10.1063/5.0041849"
    caption = (
        "g(r) of the mobile ion with each element; dashed: ordered, solid: mean over random "
        "arrangements with a band of one standard error, as in the paper. There, disorder "
        "leaves Li-Li and Li-S as they are and changes Li-P little; Li-Sn of Li10SnP2S12 "
        "changes much."
    )

    def lacks(self, config: RunConfig) -> str:
        """Species that exchange places."""
        return lacks_arrangements(config)

    def cases(self, config: RunConfig) -> list[Case]:
        """Those of the study ``disorder``, as many as are averaged."""
        section = config.studies
        n_orderings = min(section.rdf.n_orderings, section.disorder.n_orderings)
        return [ordered_case(config), *arrangement_cases(config, n_orderings)]

    def n_labels(self, config: RunConfig) -> int:  # noqa: ARG002 - none whatever it says
        """No single points."""
        return 0

    def conclude(self, bench: Bench) -> Outcome | None:
        """Pair distributions of all crystals, and how far they differ."""
        first, *others = self.cases(bench.config)
        structure = bench.structure(first.system)
        if structure is None:
            return None
        if lack := lacks_in(bench.config, structure["numbers"]):
            return Outcome(verdict=Verdict("doubt", SUBJECT, lack), tables=(), values={})
        notes: list[str] = []
        records = [_distributions(bench, case, notes) for case in (first, *others)]
        known = [record for record in records if record is not None]
        if len(known) < len(records):
            return None
        notes += [text for record in known for text in record["damaged"]]
        formula = next((f for f in PUBLISHED if is_material(structure["numbers"], f)), "")
        return _outcome(bench.config, known, formula=formula, notes=notes)

    def draw(self, values: Mapping[str, Json]) -> Figure:
        """A panel for each pair."""
        return ordered_and_disordered(values)


def _temperature_K(config: RunConfig) -> float:
    studies = config.studies
    return studies.rdf.temperature_K or max(studies.disorder.temperatures_K)


def _distributions(bench: Bench, case: Case, notes: list[str]) -> Mapping[str, Json] | None:
    """Record of one crystal at the temperature of the study; adds what was lost to notes."""
    plan = bench.runs(case)
    if plan is None:
        return None
    frames = bench.frames(plan)
    temperatures_K = plan.group.temperatures_K
    wanted_K = _temperature_K(bench.config)
    here = {
        run: count
        for run, count in frames["n_valid"].items()
        if temperatures_K[int(run)] == wanted_K
    }
    payload = {
        **frames,
        "n_valid": here,
        "mobile_species": bench.config.mobile_species,
        "r_max_A": bench.config.studies.rdf.r_max_A,
    }
    notes += lost_runs(case.name, payload, temperatures_K)
    return bench.reduce("pair_reduction:distributions", payload)


def _outcome(
    config: RunConfig,
    records: Sequence[Mapping[str, Any]],
    *,
    formula: str,
    notes: Sequence[str],
) -> Outcome:
    ordered, *others = records
    usable = [record for record in others if record["pairs"]]
    r_A = ordered["r_A"]
    pairs: dict[str, dict[str, Any]] = {}
    for pair in ordered["pairs"] if usable else ():
        sides = {"ordered": average([ordered], pair), "disordered": average(usable, pair)}
        gap = difference(sides["ordered"], sides["disordered"], r_A)
        is_changed = gap["share"] > max(LEAST_SHARE, NOISE_FACTOR * gap["noise"])
        pairs[pair] = {**sides, **gap, "is_changed": is_changed}
    return Outcome(
        verdict=_verdict(config, pairs, len(usable), formula=formula, notes=notes),
        tables=(Table("First shell and difference", tuple(_rows(pairs, formula=formula))),),
        values={
            "mobile_species": config.mobile_species,
            "temperature_K": _temperature_K(config),
            "n_orderings": len(usable),
            "r_A": r_A,
            "pairs": pairs,
            "published": dict(PUBLISHED.get(formula, {})),
            "published_for": formula,
        },
        notes=tuple(notes),
    )


def _verdict(
    config: RunConfig,
    pairs: Mapping[str, Mapping[str, Any]],
    n_usable: int,
    *,
    formula: str,
    notes: Sequence[str],
) -> Verdict:
    if not pairs:
        return Verdict(
            "doubt",
            SUBJECT,
            "No run of the ordered crystal, or of any arrangement, can be used.",
        )
    changed = [
        _change_text(name, entry) for name, entry in pairs.items() if entry["is_changed"]
    ]
    same = [name for name, entry in pairs.items() if not entry["is_changed"]]
    at = f"at {_temperature_K(config):g} K, mean of {n_usable} arrangements"
    text = f"Disorder changes {', '.join(changed) or 'no pair beyond chance'}, {at}."
    if same and changed:
        text += f" As in order: {', '.join(same)}."
    level: Level = "trust"
    if n_usable < FEW_ORDERINGS:
        text += f" {n_usable} arrangements hardly show their scatter."
        level = "care"
    if notes:
        text += f" With care: {notes[0]}{' and more, see the notes' if notes[1:] else ''}."
        level = "care"
    if formula:
        said = ", ".join(f"{name} {what}" for name, what in PUBLISHED[formula].items())
        text += f" Huang et al. 2021 on {formula}: {said}."
    return Verdict(level, SUBJECT, text)


def _change_text(name: str, entry: Mapping[str, Any]) -> str:
    share, noise = 100.0 * entry["share"], 100.0 * entry["noise"]
    return f"{name} ({share:.0f} % of pairs at other distances, {noise:.1f} % by chance)"


def _rows(pairs: Mapping[str, Mapping[str, Any]], *, formula: str) -> list[Row]:
    rows = []
    for name, entry in pairs.items():
        row: Row = {"pair": name}
        for side in ("ordered", "disordered"):
            shell = entry[side]
            peak = format_value_error(shell["first_peak_A"], shell["first_peak_err_A"])
            height = format_value_error(shell["first_peak_g"], shell["first_peak_err_g"])
            number = format_value_error(shell["coordination"], shell["coordination_err"])
            row[f"first peak [Å], {side}"] = peak
            row[f"height, {side}"] = height
            row[f"coordination, {side}"] = number
        row["pairs elsewhere [%]"] = format_number(100.0 * entry["share"], digits=2)
        row["by chance [%]"] = format_number(100.0 * entry["noise"], digits=2)
        if formula:
            row["Huang et al. 2021"] = PUBLISHED[formula].get(name, UNKNOWN)
        rows.append(row)
    return rows
