"""Thermal expansion from NpT: Fig. 9 of Huang et al. 2021, doi:10.1063/5.0041849."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dasksse.analyse.expansion import linear_expansion
from dasksse.errors import AnalysisError
from dasksse.report.data import Verdict
from dasksse.report.figures.study_expansion import cell_against_temperature
from dasksse.report.formats import UNKNOWN, format_number, format_value_error
from dasksse.study.case import Case, studied_system
from dasksse.study.material import is_material
from dasksse.study.outcome import Outcome, Row, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from dasksse.analyse.expansion import Expansion
    from dasksse.config.schema import RunConfig
    from dasksse.records import Json
    from dasksse.study.bench import Bench

MATERIAL = "Li10GeP2S12"
PUBLISHED_PER_K: Mapping[str, float] = {
    "Huang et al. 2021": 3.2e-5,
    "Huang et al. 2020": 3.6e-5,
    "experiment (Weber et al.)": 3.5e-5,
}
"""Linear coefficients of LGPS at 300 K. The diffusion runs of the paper assume 3.4e-5 1/K."""
AGREEMENT = 0.3
"""Relative difference from the published coefficient up to which they are said to agree."""
GOOD_ERROR, LARGEST_ERROR = 0.1, 0.3
"""Relative error of a coefficient to trust, and of one that says anything."""
FEWEST_TEMPERATURES = 3
"""Two points lie on a line whatever they are."""
FEWEST_INDEPENDENT = 10.0
"""Below so many independent volumes their error is a guess."""
OFF_PRESSURE = 3.0
"""Standard errors by which the mean pressure may differ from what was asked for."""
LEAST_CHANCE = 0.05


class ThermalExpansion:
    """Mean cell in NpT against temperature."""

    name = "thermal-expansion"
    title = "Thermal expansion"
    question = "How much does the crystal expand with temperature?"
    source = "Huang et al. 2021, Fig. 9, doi:10.1063/5.0041849 (Li10GeP2S12)"
    caption = (
        "Mean cell of NpT runs for one repeat of the structure file, with standard errors. "
        "Dashed: the fit over its range; hollow: not fitted; grey: left out. For Li10GeP2S12 "
        "the paper found 3.2e-5 1/K, its first version 3.6e-5 1/K; Weber et al. measured "
        "3.5e-5 1/K, and a straight line below 700 K."
    )

    def lacks(self, config: RunConfig) -> str:  # noqa: ARG002 - every configuration allows it
        """Never anything."""
        return ""

    def cases(self, config: RunConfig) -> list[Case]:
        """NpT of the studied system at all temperatures."""
        section = config.studies.thermal_expansion
        system = studied_system(config, section.system)
        return [
            Case(
                name=f"expansion-{system.name}",
                system=system,
                temperatures_K=section.temperatures_K,
                length_ps=section.length_ps,
                ensemble=section.ensemble,
                pressure_GPa=section.pressure_GPa,
                replicas=section.replicas,
            )
        ]

    def n_labels(self, config: RunConfig) -> int:  # noqa: ARG002 - none whatever it says
        """No single points."""
        return 0

    def conclude(self, bench: Bench) -> Outcome | None:
        """Mean cells, and the lines through them."""
        (case,) = self.cases(bench.config)
        plan, structure = bench.runs(case), bench.structure(case.system)
        if plan is None or structure is None:
            return None
        record = bench.reduce(
            "cell_lengths:measure",
            {
                **bench.frames(plan),
                "temperatures_K": list(plan.group.temperatures_K),
                "structure_file": structure["file"],
                "supercell": list(case.system.supercell),
                "mobile_species": bench.config.mobile_species,
                "high_eV_A": bench.levels[1],
            },
        )
        if record is None:
            return None
        is_lgps = is_material(structure["numbers"], MATERIAL)
        return _outcome(bench.config, record, is_lgps=is_lgps)

    def draw(self, values: Mapping[str, Json]) -> Figure:
        """Lengths and volume against temperature."""
        return cell_against_temperature(values)


def measured_expansion(bench: Bench) -> float | None:
    """Linear thermal expansion that the study finds [1/K], for the cells of other studies.

    Returns
    -------
    float or None
        A third of the expansion of the volume; None while runs are under way, NaN when they
        are done and no line can be drawn.
    """
    outcome = ThermalExpansion().conclude(bench)
    if outcome is None:
        return None
    alpha = outcome.values["alpha_per_K"]
    return math.nan if alpha is None else float(alpha)


def _outcome(config: RunConfig, record: Mapping[str, Json], *, is_lgps: bool) -> Outcome:
    section = config.studies.thermal_expansion
    points = [
        {**point, "is_fitted": _is_fitted(point, section.fit_below_K)}
        for point in record["points"]
    ]
    keys = {"a": "ab_A" if record["a_equals_b"] else "a_A", "b": "b_A", "c": "c_A"}
    if record["a_equals_b"]:
        del keys["b"]
    keys["volume"] = "volume_A3"
    fits = {name: _fit(points, key, section.reference_K) for name, key in keys.items()}
    volume = fits["volume"]
    cares = _cares(config, points, volume)
    return Outcome(
        verdict=_verdict(fits, section.fit_below_K, cares, is_lgps=is_lgps),
        tables=(_expansion_table(fits, is_lgps=is_lgps), _cell_table(points, keys)),
        values={
            "alpha_per_K": None if volume is None else volume.coefficient_per_K / 3.0,
            "alpha_err_per_K": None if volume is None else volume.coefficient_err_per_K / 3.0,
            "reference_K": section.reference_K,
            "fit_below_K": section.fit_below_K,
            "pressure_GPa": section.pressure_GPa,
            "a_equals_b": record["a_equals_b"],
            "size_keys": keys,
            "fits": {name: fit.to_json() if fit else None for name, fit in fits.items()},
            "points": points,
            "published_per_K": dict(PUBLISHED_PER_K) if is_lgps else {},
            "published_for": MATERIAL if is_lgps else "",
        },
        notes=(*record["notes"], *cares),
    )


def _is_fitted(point: Mapping[str, Json], fit_below_K: float) -> bool:
    has_error = (point["volume_err_A3"] or 0.0) > 0.0
    return not point["left_out"] and has_error and point["temperature_K"] <= fit_below_K


def _fit(
    points: Sequence[Mapping[str, Json]], key: str, reference_K: float
) -> Expansion | None:
    """Line through the fitted points; None where there is none."""
    name, unit = key.rsplit("_", 1)
    used = [point for point in points if point["is_fitted"]]
    try:
        return linear_expansion(
            [point["temperature_K"] for point in used],
            [point[key] for point in used],
            [point[f"{name}_err_{unit}"] for point in used],
            reference_K=reference_K,
        )
    except AnalysisError:
        return None


def _cares(
    config: RunConfig, points: Sequence[Mapping[str, Json]], volume: Expansion | None
) -> list[str]:
    """What makes the coefficient less certain than its error."""
    asked_GPa = config.studies.thermal_expansion.pressure_GPa
    cares = []
    if volume is not None and volume.n_points < FEWEST_TEMPERATURES:
        cares.append("two temperatures lie on a line whatever they are")
    if volume is not None and (volume.chance or 1.0) < LEAST_CHANCE:
        cares.append(
            "the volumes do not lie on one line within their errors "
            f"(χ² {format_number(volume.chi2_reduced, digits=2)} per degree of freedom)"
        )
    for point in (point for point in points if point["is_fitted"]):
        at = f"{point['temperature_K']:g} K"
        if point["n_independent"] < FEWEST_INDEPENDENT:
            cares.append(
                f"{at}: the run is too short, {point['n_independent']:.1f} independent volumes"
            )
        pressure, error = point["pressure_GPa"], point["pressure_err_GPa"]
        if error is not None and abs(pressure - asked_GPa) > OFF_PRESSURE * error:
            shown = format_value_error(pressure, error, "GPa")
            cares.append(f"{at}: mean pressure {shown} instead of {asked_GPa:g} GPa")
        untrusted = point["untrusted_fraction"] or 0.0
        if untrusted > config.studies.untrusted_share:
            cares.append(f"{at}: {100.0 * untrusted:.1f} % of frames are outside trust")
    return cares


def _alpha(name: str, fit: Expansion) -> tuple[float, float]:
    """Linear coefficient and its error [1/K]."""
    part = 1.0 / 3.0 if name == "volume" else 1.0
    return part * fit.coefficient_per_K, part * fit.coefficient_err_per_K


def _alpha_text(name: str, fit: Expansion | None) -> str:
    alpha, error = (None, None) if fit is None else _alpha(name, fit)
    return format_value_error(alpha, error, "1/K")


def _verdict(
    fits: Mapping[str, Expansion | None],
    fit_below_K: float,
    cares: Sequence[str],
    *,
    is_lgps: bool,
) -> Verdict:
    subject = "Thermal expansion"
    volume = fits["volume"]
    if volume is None:
        text = f"Fewer than two temperatures up to {fit_below_K:g} K have a steady cell."
        return Verdict("doubt", subject, text)
    alpha, error = _alpha("volume", volume)
    sides = ", ".join(
        f"{name} {_alpha_text(name, fits[name])}" for name in fits if name != "volume"
    )
    text = (
        f"α = {_alpha_text('volume', volume)} at {volume.reference_K:g} K, a third of that of "
        f"the volume, from {volume.n_points} temperatures up to {fit_below_K:g} K ({sides})."
    )
    levels = ["trust" if error < GOOD_ERROR * abs(alpha) and not cares else "care"]
    if error > LARGEST_ERROR * abs(alpha):
        levels.append("doubt")
        text += " The runs are too short to tell: the error is too large."
    if cares:
        text += f" With care: {cares[0]}{' and more, see the notes' if cares[1:] else ''}."
    if is_lgps:
        published = PUBLISHED_PER_K["Huang et al. 2021"]
        ratio = format_value_error(alpha / published, error / published)
        agrees = abs(alpha / published - 1.0) <= AGREEMENT
        text += (
            f" This is {ratio} times the {format_number(published, '1/K', digits=2)} that "
            f"Huang et al. 2021 found for {MATERIAL}{'' if agrees else ', more than 30 % off'}."
        )
        levels.append("trust" if agrees else "care")
    level = next(one for one in ("doubt", "care", "trust") if one in levels)
    return Verdict(level, subject, text)


def _expansion_table(fits: Mapping[str, Expansion | None], *, is_lgps: bool) -> Table:
    rows = []
    for name, fit in fits.items():
        unit = "Å³" if name == "volume" else "Å"
        size = None if fit is None else fit.at_reference
        error = None if fit is None else fit.at_reference_err
        row: Row = {
            "": "volume / 3" if name == "volume" else name,
            "α [1/K]": _alpha_text(name, fit),
            "at the reference": format_value_error(size, error, unit),
            "temperatures": "0" if fit is None else str(fit.n_points),
            "χ² / degree": format_number(None if fit is None else fit.chi2_reduced, digits=2),
        }
        if is_lgps:
            for source, value in PUBLISHED_PER_K.items():
                shown = format_number(value, digits=2) if name == "volume" else UNKNOWN
                row[f"{source} [1/K]"] = shown
        rows.append(row)
    return Table("Linear thermal expansion", tuple(rows))


def _cell_table(points: Sequence[Mapping[str, Any]], keys: Mapping[str, str]) -> Table:
    rows = []
    for point in points:
        row: Row = {"T [K]": f"{point['temperature_K']:g}"}
        for name, key in keys.items():
            quantity, unit = key.rsplit("_", 1)
            shown = format_value_error(point[key], point[f"{quantity}_err_{unit}"])
            row[f"{name} [{'Å³' if name == 'volume' else 'Å'}]"] = shown
        row["P [GPa]"] = format_value_error(point["pressure_GPa"], point["pressure_err_GPa"])
        row["mean T [K]"] = format_value_error(
            point["mean_temperature_K"], point["mean_temperature_err_K"]
        )
        row["length [ps]"] = f"{point['length_ps']:.4g}"
        row["equilibration [ps]"] = format_number(point["equilibration_ps"])
        row["fitted"] = "yes" if point["is_fitted"] else point["left_out"] or "no"
        rows.append(row)
    return Table("Mean cell for one repeat of the structure file", tuple(rows))
