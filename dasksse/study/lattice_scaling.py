"""D at scaled volumes: Fig. 5 of the first version (2020) of Huang et al. 2021."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import chdtrc

from dasksse.report.data import Level, Verdict
from dasksse.report.figures.study_lattice_scaling import study_lattice_scaling
from dasksse.report.formats import UNKNOWN, format_number, format_value_error
from dasksse.study.case import Case, scaled, studied_system
from dasksse.study.outcome import Outcome, Row, Table
from dasksse.study.points import d_text, points_of
from dasksse.study.usable import point_notes, usable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from dasksse.config.schema import RunConfig
    from dasksse.records import Json
    from dasksse.study.bench import Bench

SIGNIFICANT = 2.0
"""Standard errors by which a slope must differ from 0 to be told from it."""
LEAST_PROBABILITY = 0.05
"""Points that scatter about a line as chance does less often than this are on no line."""
SENSITIVE = 0.1
"""Relative change of D with 1 % of volume from which on the cell must be known well."""


class LatticeScaling:
    """How much D depends on the volume."""

    name = "lattice-scaling"
    title = "Lattice scaling"
    question = "How much does D change with the volume of the cell?"
    source = (
        "Huang et al. 2020, Fig. 5, the first version of doi:10.1063/5.0041849 (Li10GeP2S12)"
    )
    caption = (
        "D against the volume at each temperature, one standard error; arrows: upper bounds; "
        "lines: ln D linear in ln V. The paper found noticeable differences of D with 1 to 5 % "
        "of volume, and that expansion helps the hopping."
    )

    def lacks(self, config: RunConfig) -> str:
        """Whether a scaled volume is outside what a system may have."""
        section = config.studies.lattice_scaling
        base = studied_system(config, section.system).volume_scale
        wrong = [s for s in section.volume_scales if not 0.5 < s * base < 2.0]  # noqa: PLR2004
        if not wrong:
            return ""
        return (
            f"studies.lattice_scaling.volume_scales: found {wrong[0]:g} times a volume_scale "
            f"of {base:g}, allowed: between 0.5 and 2 in all"
        )

    def cases(self, config: RunConfig) -> list[Case]:
        """One case for each volume, the smallest first."""
        section = config.studies.lattice_scaling
        system = studied_system(config, section.system)
        return [
            Case(
                name=f"volume-{system.name}-{scale:g}",
                system=scaled(system, scale),
                temperatures_K=section.temperatures_K,
                length_ps=section.length_ps,
                replicas=section.replicas,
            )
            for scale in _scales(config)
        ]

    def n_labels(self, config: RunConfig) -> int:  # noqa: ARG002 - none whatever it says
        """No single points."""
        return 0

    def conclude(self, bench: Bench) -> Outcome | None:
        """D at each volume, and the slope of ln D against ln V at each temperature."""
        cases = self.cases(bench.config)
        records = [bench.diffusion(case) for case in cases]
        found = [record for record in records if record is not None]
        if len(found) < len(records):
            return None
        points = [
            point
            for scale, record in zip(_scales(bench.config), found, strict=True)
            for point in points_of(record, volume_scale=scale)
        ]
        notes = [
            *(str(text) for record in found for text in record["damaged"]),
            *point_notes(
                points,
                untrusted_share=bench.config.studies.untrusted_share,
                name=lambda p: f"{100 * p['volume_scale']:g} % at {p['temperature_K']:g} K",
            ),
        ]
        return _outcome(bench.config.mobile_species, points, notes)

    def draw(self, values: Mapping[str, Json]) -> Figure:
        """D against volume, a line for each temperature."""
        return study_lattice_scaling(
            values["points"], values["slopes"], mobile_species=values["mobile_species"]
        )


def _scales(config: RunConfig) -> list[float]:
    return sorted(set(config.studies.lattice_scaling.volume_scales))


# --- slope -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Slope:
    """``ln D = ln_D + slope (ln V - ln V0)`` with V0 the unscaled volume.

    Attributes
    ----------
    slope, slope_err
        Derivative of ln D with respect to ln V and its standard error, raised where the points
        scatter about the line more than their errors say.
    ln_D
        Logarithm of D in m²/s at the unscaled volume, on the line.
    probability
        Of so large a scatter about the line by chance; None for two volumes.
    n_volumes
        Volumes with a D.
    """

    slope: float
    slope_err: float
    ln_D: float
    probability: float | None
    n_volumes: int

    @property
    def is_resolved(self) -> bool:
        """Whether it differs from 0 beyond two standard errors."""
        return abs(self.slope) > SIGNIFICANT * self.slope_err

    @property
    def is_line(self) -> bool:
        """Whether the points lie on the line within their errors."""
        return self.probability is None or self.probability >= LEAST_PROBABILITY

    def to_json(self) -> dict[str, Json]:
        """Every value, ready for :func:`json.dumps`."""
        return {**asdict(self), "is_resolved": self.is_resolved, "is_line": self.is_line}


def volume_slope(
    scales: Sequence[float],
    D_m2_s: Sequence[float] | NDArray[np.float64],
    D_err_m2_s: Sequence[float] | NDArray[np.float64],
) -> Slope | None:
    """Fit ln D against ln V by weighted least squares.

    Parameters
    ----------
    scales
        Volumes over the unscaled one.
    D_m2_s, D_err_m2_s
        Diffusion coefficients and their standard errors [m²/s], of independent runs.

    Returns
    -------
    Slope or None
        None with fewer than two volumes.

    Notes
    -----
    Weights are ``(D / D_err)²``, the inverse variances of ln D. Where chi² per degree of
    freedom is above 1 the error is raised by its root.
    """
    if len(set(scales)) < 2:  # noqa: PLR2004 - a line needs two
        return None
    x, y = np.log(scales), np.log(D_m2_s)
    weights = np.asarray(D_m2_s) / np.asarray(D_err_m2_s)  # roots, as polyfit takes them
    line, covariance = np.polyfit(x, y, 1, w=weights, cov="unscaled")
    error, probability = float(covariance[0, 0] ** 0.5), None
    freedom = len(x) - 2
    if freedom > 0:
        chi2 = float(np.sum((weights * (y - np.polyval(line, x))) ** 2))
        probability = float(chdtrc(freedom, chi2))
        error *= max(1.0, chi2 / freedom) ** 0.5
    return Slope(float(line[0]), error, float(line[1]), probability, len(set(scales)))


# --- outcome ---------------------------------------------------------------------------------


def _outcome(
    mobile_species: str, points: Sequence[Mapping[str, Json]], notes: Sequence[str]
) -> Outcome:
    temperatures_K = sorted({point["temperature_K"] for point in points})
    slopes = {at_K: _slope_at(points, at_K) for at_K in temperatures_K}
    return Outcome(
        verdict=_verdict(slopes),
        tables=(Table("D by volume", _rows(points, slopes)),),
        values={
            "mobile_species": mobile_species,
            "points": list(points),
            "slopes": [
                {"temperature_K": at_K, **slope.to_json()}
                for at_K, slope in slopes.items()
                if slope is not None
            ],
        },
        notes=(*notes, *_selected(points, slopes)),
    )


def _selected(
    points: Sequence[Mapping[str, Json]], slopes: Mapping[float, Slope | None]
) -> list[str]:
    """Where the slope rests on the volumes that happened to have a D."""
    n_volumes = len({point["volume_scale"] for point in points})
    return [
        f"At {at_K:g} K {n_volumes - slope.n_volumes} of {n_volumes} volumes have no D and are "
        "not in the slope; where these are the slow ones it is too small."
        for at_K, slope in slopes.items()
        if slope is not None and slope.n_volumes < n_volumes
    ]


def _slope_at(points: Sequence[Mapping[str, Json]], temperature_K: float) -> Slope | None:
    known = usable(p for p in points if p["temperature_K"] == temperature_K)
    return volume_slope(
        [p["volume_scale"] for p in known],
        [p["D_m2_s"] for p in known],
        [p["D_err_m2_s"] for p in known],
    )


def _rows(
    points: Sequence[Mapping[str, Json]], slopes: Mapping[float, Slope | None]
) -> tuple[Row, ...]:
    scales = sorted({point["volume_scale"] for point in points})
    rows = []
    for temperature_K, slope in slopes.items():
        at = {p["volume_scale"]: p for p in points if p["temperature_K"] == temperature_K}
        row: Row = {"T [K]": f"{temperature_K:g}"}
        for scale in scales:
            text = d_text(at[scale], "") if scale in at else UNKNOWN
            row[f"V = {100 * scale:g} %, D [m²/s]"] = text
        row["d ln D / d ln V"] = (
            UNKNOWN if slope is None else format_value_error(slope.slope, slope.slope_err)
        )
        rows.append(row)
    return tuple(rows)


def _verdict(slopes: Mapping[float, Slope | None]) -> Verdict:
    """How well the cell must be known."""
    subject = "Lattice scaling"
    known = {at_K: slope for at_K, slope in slopes.items() if slope is not None}
    if not known:
        return Verdict("doubt", subject, "No temperature has a D at two volumes.")
    text = " ".join(_sentence(at_K, slope) for at_K, slope in known.items())
    level: Level = "care"
    if len(known) == len(slopes) and all(_is_insensitive(s) for s in known.values()):
        level = "trust"
    if any(s.is_resolved and abs(_per_percent(s.slope)) > SENSITIVE for s in known.values()):
        text += " D is sensitive: it must come with the cell of its temperature, and an error "
        text += "of the lattice parameters is one of D."
    return Verdict(level, subject, text)


def _is_insensitive(slope: Slope) -> bool:
    largest = abs(slope.slope) + SIGNIFICANT * slope.slope_err
    return slope.is_line and _per_percent(largest) <= SENSITIVE


def _per_percent(slope: float) -> float:
    """Relative change of D with 1 % more volume."""
    return float(np.expm1(slope * np.log(1.01)))


def _sentence(at_K: float, slope: Slope) -> str:
    value = format_value_error(slope.slope, slope.slope_err)
    text = f"At {at_K:g} K d ln D / d ln V is {value} from {slope.n_volumes} volumes"
    change = format_number(100.0 * _per_percent(slope.slope), digits=2)
    text += (
        f": 1 % of volume changes D by {change} %"
        if slope.is_resolved
        else ": not told from 0 by its error"
    )
    return f"{text}{'' if slope.is_line else '; the points are on no straight line'}."
