"""D with labels of several functionals: Fig. 8 of Huang et al. 2021, doi:10.1063/5.0041849."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import chdtrc

from dasksse.errors import RunFolderError
from dasksse.report.data import Verdict
from dasksse.report.figures.d_of_temperature import Series, d_of_temperature
from dasksse.report.formats import format_value_error
from dasksse.study.case import Case, studied_system
from dasksse.study.inputs import take_ensemble
from dasksse.study.outcome import Outcome, Row, Table
from dasksse.study.points import d_text, points_of
from dasksse.study.usable import point_notes, usable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from dasksse.config.load import LoadedConfig
    from dasksse.config.schema import RunConfig
    from dasksse.records import Json
    from dasksse.study.bench import Bench

KEY = "studies.functional.runs"
OWN = "this run"
"""Name of the run's own functional where nothing tells it."""
SIGNIFICANT = 2.0
"""Standard errors by which a ratio must differ from 1 to be told from it."""
TOLERANCE = 0.2
"""Error of the mean ratio up to which "the same" says something."""
LEAST_PROBABILITY = 0.05
"""Ratios that scatter as chance does less often than this are no constant."""
SAME_CELL = (
    "Every ensemble runs in the same cell, as in the paper; lattice parameters of each "
    "functional (Table II) come from `dasksse relax`."
)


class Functional:
    """Whether the functional of the labels matters for D."""

    name = "functional"
    title = "Functional"
    question = "Does D depend on the density functional that the potential was trained on?"
    source = "Huang et al. 2021, Fig. 8 and Table II, doi:10.1063/5.0041849 (Li10SiP2S12)"
    caption = (
        "D in the same cell with ensembles that learned from labels of different functionals, "
        "one standard error; arrows: upper bounds. The paper found similar D with PBE and "
        "PBEsol at the experimental lattice parameters."
    )

    def lacks(self, config: RunConfig) -> str:
        """Whether no other run is named; :func:`check_runs` looks at those that are."""
        if config.studies.functional.runs:
            return ""
        return (
            f"{KEY} names no run with labels of another functional; give the folder of each, "
            "such as {PBEsol: ../lgps-pbesol/runs/lgps}"
        )

    def cases(self, config: RunConfig) -> list[Case]:
        """One case for each functional, the run's own first."""
        section = config.studies.functional
        system = studied_system(config, section.system)
        return [
            Case(
                name=f"functional-{system.name}-{word}",
                system=system,
                temperatures_K=section.temperatures_K,
                length_ps=section.length_ps,
                replicas=section.replicas,
            )
            for word in ["own", *_words(section.runs)]
        ]

    def n_labels(self, config: RunConfig) -> int:  # noqa: ARG002 - none whatever it says
        """No single points."""
        return 0

    def conclude(self, bench: Bench) -> Outcome | None:
        """D with each ensemble, and its ratio to that with the run's own."""
        section = bench.config.studies.functional
        own = _own_name(bench)
        own_case, *cases = self.cases(bench.config)
        notes = [SAME_CELL]
        found = [(own or OWN, bench.diffusion(own_case))]
        for (name, folder), case in zip(section.runs.items(), cases, strict=True):
            try:
                models = _ensemble(bench.base_dir / folder, bench.root)
            except (RunFolderError, OSError) as error:
                notes.append(f"{name} is left out: {KEY}.{name}: {error}.")
                continue
            found.append((name, bench.diffusion(case, models=models)))
        if own is None or any(record is None for _, record in found):
            return None
        if own in section.runs:
            own = f"{own}, {OWN}"
            found[0] = (own, found[0][1])
        points = [
            point
            for name, record in found
            if record is not None
            for point in points_of(record, functional=name)
        ]
        notes += [text for _, record in found if record for text in record["damaged"]]
        notes += point_notes(
            points,
            untrusted_share=bench.config.studies.untrusted_share,
            name=lambda p: f"{p['functional']} at {p['temperature_K']:g} K",
        )
        return _outcome(bench.config.mobile_species, own, points, notes)

    def draw(self, values: Mapping[str, Json]) -> Figure:
        """D with each ensemble against temperature."""
        points = values["points"]
        names = dict.fromkeys(point["functional"] for point in points)
        series = [
            Series(name, [p for p in points if p["functional"] == name]) for name in names
        ]
        return d_of_temperature(series, mobile_species=values["mobile_species"])


# --- ensembles of other runs -----------------------------------------------------------------


def check_runs(loaded: LoadedConfig) -> None:
    """Refuse runs of other functionals that are not there or have no ensemble.

    Raises
    ------
    ConfigError
        With file and key.
    """
    for name, folder in loaded.config.studies.functional.runs.items():
        run = loaded.base_dir / folder
        if not run.is_dir():
            raise loaded.error(
                f"{KEY}.{name}", f"found {folder!r}, but there is no folder {run}"
            )
        if not any((run / "models").glob("*/model_*")):
            message = f"{run} has no ensemble yet; train it with `dasksse run`"
            raise loaded.error(f"{KEY}.{name}", message)


@cache
def _ensemble(run: Path, root: Path) -> tuple[str, ...]:
    """Last ensemble of a run, taken once in a session: a plan must not change under way."""
    return take_ensemble(run, root)


def _words(names: Sequence[str] | Mapping[str, Json]) -> list[str]:
    """Names as parts of a path, all different."""
    return [f"{i}-{re.sub(r'[^A-Za-z0-9.-]+', '_', name)}" for i, name in enumerate(names, 1)]


def _own_name(bench: Bench) -> str | None:
    """Functional of the run, as the configuration or its labels say; None while unknown."""
    name = bench.config.studies.functional.name
    if name:
        return name
    units = [source.unit for source in bench.labels]
    if not bench.walk.want(units):
        return None
    records = [bench.walk.result(unit) for unit in units]
    return ", ".join(dict.fromkeys(r["functional"] for r in records if r)) or OWN


# --- ratios ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ratio:
    """Mean ratio of D with another functional to D with the run's own.

    Attributes
    ----------
    functional
        The other.
    ratio, ratio_err
        Mean over the temperatures and its standard error, raised where they scatter more than
        their errors say.
    probability
        Of so large a scatter over temperatures by chance; None for one temperature.
    n_temperatures
        Temperatures with both D.
    """

    functional: str
    ratio: float
    ratio_err: float
    probability: float | None
    n_temperatures: int

    @property
    def is_one(self) -> bool:
        """Whether it is 1 within two standard errors."""
        return abs(math.log(self.ratio)) <= SIGNIFICANT * self.ratio_err / self.ratio

    @property
    def is_constant(self) -> bool:
        """Whether one ratio does for all temperatures."""
        return self.probability is None or self.probability >= LEAST_PROBABILITY


def mean_ratio(
    functional: str, ratios: Sequence[float], errors: Sequence[float]
) -> Ratio | None:
    """Mean of ratios by their logarithms, weighted by the inverse squares of their errors.

    Parameters
    ----------
    functional
        The other functional.
    ratios, errors
        Ratio and its standard error at each temperature.

    Returns
    -------
    Ratio or None
        None without a ratio.
    """
    if not ratios:
        return None
    values = np.log(ratios)
    weights = (np.asarray(ratios) / np.asarray(errors)) ** 2
    mean, error = np.average(values, weights=weights), weights.sum() ** -0.5
    freedom, probability = len(ratios) - 1, None
    if freedom:
        chi2 = float(weights @ (values - mean) ** 2)
        probability = float(chdtrc(freedom, chi2))
        error *= max(1.0, chi2 / freedom) ** 0.5
    ratio = float(np.exp(mean))
    return Ratio(functional, ratio, float(error) * ratio, probability, len(ratios))


def _with_ratio(
    point: Mapping[str, Json], own: Mapping[float, Mapping[str, Json]]
) -> dict[str, Any]:
    """The point with ``ratio`` and ``ratio_err`` to the run's own functional."""
    base = own.get(point["temperature_K"])
    if base is None or len(usable([base, point])) < 2:  # noqa: PLR2004 - both of them
        return {**point, "ratio": None, "ratio_err": None}
    ratio = point["D_m2_s"] / base["D_m2_s"]
    relative = math.hypot(*(p["D_err_m2_s"] / p["D_m2_s"] for p in (base, point)))
    return {**point, "ratio": ratio, "ratio_err": ratio * relative}


# --- outcome ---------------------------------------------------------------------------------


def _outcome(
    mobile_species: str, own: str, found: Sequence[Mapping[str, Json]], notes: Sequence[str]
) -> Outcome:
    base = {p["temperature_K"]: p for p in found if p["functional"] == own}
    points = [_with_ratio(point, base) for point in found]
    others = dict.fromkeys(p["functional"] for p in points if p["functional"] != own)
    means = [_mean_of(points, name) for name in others]
    ratios = [one for one in means if one is not None]
    return Outcome(
        verdict=_verdict(ratios, own),
        tables=(Table("D by functional of the labels", _rows(points, own)),),
        values={
            "mobile_species": mobile_species,
            "own_functional": own,
            "points": points,
            "mean_ratios": [
                {**asdict(one), "is_one": one.is_one, "is_constant": one.is_constant}
                for one in ratios
            ],
        },
        notes=tuple(notes),
    )


def _mean_of(points: Sequence[Mapping[str, Json]], functional: str) -> Ratio | None:
    known = [p for p in points if p["functional"] == functional and p["ratio"] is not None]
    return mean_ratio(functional, [p["ratio"] for p in known], [p["ratio_err"] for p in known])


def _rows(points: Sequence[Mapping[str, Json]], own: str) -> tuple[Row, ...]:
    names = dict.fromkeys(point["functional"] for point in points)
    rows = []
    for temperature_K in sorted({point["temperature_K"] for point in points}):
        at = {p["functional"]: p for p in points if p["temperature_K"] == temperature_K}
        row: Row = {"T [K]": f"{temperature_K:g}"}
        for name in names:
            row[f"{name}, D [m²/s]"] = d_text(at[name], "") if name in at else "–"
        for name in names:
            if name != own:
                one = at.get(name, {"ratio": None, "ratio_err": None})
                row[f"{name} / {own}"] = format_value_error(one["ratio"], one["ratio_err"])
        rows.append(row)
    return tuple(rows)


def _verdict(ratios: Sequence[Ratio], own: str) -> Verdict:
    subject = "Functional"
    if not ratios:
        return Verdict("doubt", subject, "No temperature has a D with two functionals.")
    text = " ".join(_sentence(one, own) for one in ratios)
    if any(not one.is_one or not one.is_constant for one in ratios):
        return Verdict("doubt", subject, text)
    is_sharp = all(one.ratio_err <= TOLERANCE * one.ratio for one in ratios)
    return Verdict("trust" if is_sharp else "care", subject, text)


def _sentence(one: Ratio, own: str) -> str:
    at = f"{one.n_temperatures} temperature{'s' if one.n_temperatures > 1 else ''}"
    text = f"D with {one.functional} is {format_value_error(one.ratio, one.ratio_err)} times "
    text += f"that with {own} ({at}): "
    if not one.is_constant:
        return text + "the ratio depends on temperature beyond its errors."
    if not one.is_one:
        return text + "they differ beyond the errors."
    if one.ratio_err > TOLERANCE * one.ratio:
        return text + "the same within errors, which are too large to tell."
    return text + "the same within errors."
