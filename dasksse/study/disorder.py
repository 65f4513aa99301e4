"""D with random arrangements of cations: Fig. 11 of Huang et al. 2021."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dasksse.report.data import Verdict
from dasksse.report.figures.study_disorder import disorder_figure
from dasksse.report.formats import UNKNOWN, format_interval, format_number, format_upper_bound
from dasksse.study.arrangement_mean import mean_of_arrangements, ratio_of, usable
from dasksse.study.arrangements import (
    arrangement_cases,
    lacks_arrangements,
    lacks_in,
    ordered_case,
)
from dasksse.study.material import is_material
from dasksse.study.outcome import Outcome, Row, Table
from dasksse.study.points import d_text, ea_text, fit_of, points_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from dasksse.config.schema import RunConfig
    from dasksse.records import Json
    from dasksse.report.data import Level
    from dasksse.study.bench import Bench
    from dasksse.study.case import Case

PUBLISHED: Mapping[str, str] = {
    "Li10GeP2S12": "2 to 4 times as fast at low temperature",
    "Li10SiP2S12": "2 to 4 times as fast at low temperature",
    "Li10SnP2S12": "slower",
}
"""Effect of disorder by the text of Huang et al. 2021, from 30 arrangements of 900 atoms."""
PUBLISHED_RANGE = (2.0, 4.0)
PUBLISHED_ORDERINGS = 30
SIGNIFICANT = 2.0
"""Standard errors of ln D by which ordered and disordered must differ."""
GOOD_LN_ERROR = 0.3
FEW_ORDERINGS = 5
"""Below so many arrangements their scatter is hardly known."""
SUBJECT = "Cation disorder"
ERROR_NOTE = (
    "The error of the mean is the scatter of the arrangements over the root of their number. "
    "It holds the sampling error of the runs already, so this is not added."
)


class Disorder:
    """D averaged over random arrangements, against the ordered crystal."""

    name = "disorder"
    title = "Cation disorder"
    question = "Does a random arrangement of cations make the ions faster?"
    source = "Huang et al. 2021, Fig. 11, doi:10.1063/5.0041849"
    caption = (
        "D of the ordered crystal and mean over random arrangements with its standard error; "
        "small: single arrangements; right: the ratio. The paper found 30 random "
        "arrangements 2 to 4 times faster than order at low temperature for Li10GeP2S12 and "
        "Li10SiP2S12, little difference at high temperature, and slower for Li10SnP2S12."
    )

    def lacks(self, config: RunConfig) -> str:
        """Species that exchange places."""
        return lacks_arrangements(config)

    def cases(self, config: RunConfig) -> list[Case]:
        """The ordered crystal, and one case for each arrangement."""
        n_orderings = config.studies.disorder.n_orderings
        return [ordered_case(config), *arrangement_cases(config, n_orderings)]

    def n_labels(self, config: RunConfig) -> int:  # noqa: ARG002 - none whatever it says
        """No single points."""
        return 0

    def conclude(self, bench: Bench) -> Outcome | None:
        """D of all, the mean over arrangements, and its ratio to that of the ordered one."""
        first, *others = self.cases(bench.config)
        structure = bench.structure(first.system)
        if structure is None:
            return None
        if lack := lacks_in(bench.config, structure["numbers"]):
            return Outcome(verdict=Verdict("doubt", SUBJECT, lack), tables=(), values={})
        records = [bench.diffusion(case) for case in (first, *others)]
        known = [record for record in records if record is not None]
        if len(known) < len(records):
            return None
        ordered = points_of(known[0], n_atoms=int(structure["n_atoms"]))
        single = [
            point
            for number, record in enumerate(known[1:])
            for point in points_of(record, arrangement=number)
        ]
        notes = [text for record in known for text in record["damaged"]]
        formula = next((f for f in PUBLISHED if is_material(structure["numbers"], f)), "")
        return _outcome(bench.config, ordered, single, formula=formula, notes=notes)

    def draw(self, values: Mapping[str, Json]) -> Figure:
        """D against temperature, and the ratio."""
        return disorder_figure(values)


def _outcome(
    config: RunConfig,
    ordered: Sequence[Mapping[str, Any]],
    single: Sequence[Mapping[str, Any]],
    *,
    formula: str,
    notes: Sequence[str],
) -> Outcome:
    whole, whole_single = usable(ordered), usable(single)
    temperatures = sorted({point["temperature_K"] for point in (*whole, *whole_single)})
    means = [
        mean_of_arrangements([p for p in whole_single if p["temperature_K"] == at], at)
        for at in temperatures
    ]
    ratios: list[dict[str, Any]] = [
        {"temperature_K": point["temperature_K"], **ratio_of(point, mean)}
        for mean in means
        for point in whole
        if point["temperature_K"] == mean["temperature_K"]
    ]
    fits = {"ordered": fit_of(whole), "disordered": fit_of(means)}
    cares = _cares(config, ordered, single, means)
    return Outcome(
        verdict=_verdict(config.mobile_species, ratios, fits, cares, formula=formula),
        tables=(
            _main_table(whole, means, ratios, formula=formula),
            _fit_table(fits),
            _single_table(single, config.studies.disorder.n_orderings),
        ),
        values={
            "mobile_species": config.mobile_species,
            "n_orderings": config.studies.disorder.n_orderings,
            "ordered": list(ordered),
            "disordered": means,
            "arrangements": list(single),
            "ratios": ratios,
            "fits": fits,
            "published": PUBLISHED.get(formula, ""),
            "published_for": formula,
            "published_range": list(PUBLISHED_RANGE) if _is_faster(formula) else None,
        },
        notes=(
            ERROR_NOTE,
            *notes,
            *cares,
        ),
    )


def _is_faster(formula: str) -> bool:
    return PUBLISHED.get(formula, "").startswith("2 to 4")


def _cares(
    config: RunConfig,
    ordered: Sequence[Mapping[str, Any]],
    single: Sequence[Mapping[str, Any]],
    means: Sequence[Mapping[str, Any]],
) -> list[str]:
    """What makes the comparison less certain than its errors."""
    n_orderings = config.studies.disorder.n_orderings
    cares = []
    if n_orderings < FEW_ORDERINGS:
        cares.append(f"{n_orderings} arrangements hardly show their scatter")
    for mean in means:
        at, count = f"{mean['temperature_K']:g} K", mean["n_arrangements"]
        if count < n_orderings:
            cares.append(f"{at}: {count} of {n_orderings} arrangements have D and are whole")
        if mean["n_resolved"] < count:
            cares.append(
                f"{at}: D of {count - mean['n_resolved']} of {count} arrangements is not "
                "resolved, and counts as half its upper bound"
            )
    whole = usable(ordered)
    if len(whole) < len(ordered):
        left_out = len(ordered) - len(whole)
        cares.append(f"ordered: {left_out} temperatures have no D or a broken framework")
    cares += [
        f"{point['temperature_K']:g} K: D of the ordered crystal is not resolved"
        for point in whole
        if point["D_m2_s"] is None
    ]
    limit = config.studies.untrusted_share
    untrusted = [p for p in (*ordered, *single) if (p["untrusted_fraction"] or 0.0) > limit]
    if untrusted:
        cares.append(
            f"{len(untrusted)} of {len(ordered) + len(single)} D have more than "
            f"{100.0 * limit:g} % of frames outside trust"
        )
    return cares


def _ratio_text(ratio: Mapping[str, Any]) -> str:
    """Ratio with its 68 % interval, or what it is above or below."""
    value, error = ratio["ratio"], ratio["ln_err"]
    if value is not None:
        return format_interval(value, value * math.exp(-error), value * math.exp(error))
    if ratio["above"] is not None:
        return f"> {format_number(ratio['above'], digits=2)}"
    return format_upper_bound(ratio["below"])


def _verdict(
    mobile: str,
    ratios: Sequence[Mapping[str, Any]],
    fits: Mapping[str, Mapping[str, Json] | None],
    cares: Sequence[str],
    *,
    formula: str,
) -> Verdict:
    known = [ratio for ratio in ratios if ratio["ratio"] is not None]
    if not known:
        return Verdict(
            "doubt", SUBJECT, "No temperature has D of both crystals, see the table and notes."
        )
    coldest = known[0]
    ln_ratio, error = math.log(coldest["ratio"]), coldest["ln_err"]
    at = f"{coldest['temperature_K']:g} K"
    if abs(ln_ratio) > SIGNIFICANT * error:
        effect = "faster" if ln_ratio > 0.0 else "slower"
        text = f"Disorder makes {mobile} {effect}: {_ratio_text(coldest)} times D at {at}"
    else:
        text = f"No effect beyond the errors: {_ratio_text(coldest)} times D at {at}"
    if len(known) > 1:
        text += f", {_ratio_text(known[-1])} at {known[-1]['temperature_K']:g} K"
    text += (
        f". Ea {ea_text(fits['ordered'])} ordered, {ea_text(fits['disordered'])} disordered."
    )
    level: Level = "trust" if error <= GOOD_LN_ERROR and not cares else "care"
    if error > GOOD_LN_ERROR:
        text += f" At {at} the runs are too short for a ratio within 30 %."
    if cares:
        text += f" With care: {cares[0]}{' and more, see the notes' if cares[1:] else ''}."
    if formula:
        text += f" Huang et al. 2021 on {formula}: {PUBLISHED[formula]}"
        text += f" ({PUBLISHED_ORDERINGS} arrangements)."
    return Verdict(level, SUBJECT, text)


def _main_table(
    ordered: Sequence[Mapping[str, Any]],
    means: Sequence[Mapping[str, Any]],
    ratios: Sequence[Mapping[str, Any]],
    *,
    formula: str,
) -> Table:
    by_T = {point["temperature_K"]: d_text(point, "") for point in ordered}
    ratio_at = {ratio["temperature_K"]: _ratio_text(ratio) for ratio in ratios}
    rows = []
    for mean in means:
        at = mean["temperature_K"]
        spread, value = mean["spread_m2_s"], mean["D_m2_s"]
        row: Row = {
            "T [K]": f"{at:g}",
            "ordered D [m²/s]": by_T.get(at, UNKNOWN),
            "mean of arrangements D [m²/s]": d_text(mean, ""),
            "ratio (68 %)": ratio_at.get(at, UNKNOWN),
            "arrangements": f"{mean['n_resolved']} of {mean['n_arrangements']} resolved",
            "spread between them": UNKNOWN
            if value is None
            else f"{100 * spread / value:.0f} %",
        }
        if formula:
            is_coldest = mean is means[0]
            row["Huang et al. 2021"] = PUBLISHED[formula] if is_coldest else UNKNOWN
        rows.append(row)
    return Table("Ordered and disordered", tuple(rows))


def _fit_table(fits: Mapping[str, Mapping[str, Json] | None]) -> Table:
    rows = tuple({"": name, "Ea": ea_text(fit)} for name, fit in fits.items())
    return Table("Arrhenius fits", rows)


def _single_table(single: Sequence[Mapping[str, Any]], n_orderings: int) -> Table:
    temperatures = sorted({point["temperature_K"] for point in single})
    cells = {(p["arrangement"], p["temperature_K"]): d_text(p, "") for p in single}
    rows = tuple(
        {
            "arrangement": str(number + 1),
            **{f"{at:g} K, D [m²/s]": cells.get((number, at), UNKNOWN) for at in temperatures},
        }
        for number in range(n_orderings)
    )
    return Table("Single arrangements", rows)
