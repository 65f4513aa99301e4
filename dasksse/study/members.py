"""D from each member of the ensemble: how much the potential itself leaves open."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dasksse.analyse.member_spread import member_spread, spread_beyond_errors
from dasksse.report.data import Level, Verdict
from dasksse.report.figures.study_members import study_members
from dasksse.report.formats import UNKNOWN, format_number, format_value_error
from dasksse.study.case import Case, studied_system
from dasksse.study.outcome import Outcome, Row, Table
from dasksse.study.points import d_text, ea_text, fit_of, points_of
from dasksse.study.usable import point_notes, usable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from dasksse.analyse.member_spread import Spread
    from dasksse.config.schema import RunConfig
    from dasksse.records import Json
    from dasksse.study.bench import Bench

TOLERANCE = 0.2
"""Standard deviation of ln D across the members up to which D is taken for sure."""
LEAST_MEMBERS = 2


class Members:
    """How far D depends on which member of the ensemble drives the MD."""

    name = "members"
    title = "Members of the ensemble"
    question = "By how much does D differ between potentials that only differ in their seed?"
    source = (
        "Not in the paper, whose ensemble serves to select frames; the method of moments as in "
        "DerSimonian and Kacker 2007, doi:10.1016/j.cct.2006.04.004, on ln D of the members"
    )
    caption = (
        "D of runs that each member of the ensemble drove, one standard error of sampling. "
        "Line: mean; dark band: standard deviation of the members with the sampling taken off; "
        "light band: the upper end of its 95 % interval."
    )

    def lacks(self, config: RunConfig) -> str:  # noqa: ARG002 - ensembles have two or more
        """Never anything."""
        return ""

    def cases(self, config: RunConfig) -> list[Case]:
        """One case for each member."""
        return self._cases(config, config.train.ensemble_size)

    def _cases(self, config: RunConfig, n_members: int) -> list[Case]:
        section = config.studies.members
        system = studied_system(config, section.system)
        return [
            Case(
                name=f"members-{system.name}-{member}",
                system=system,
                temperatures_K=section.temperatures_K,
                length_ps=section.length_ps,
                member=member,
            )
            for member in range(n_members)
        ]

    def n_labels(self, config: RunConfig) -> int:  # noqa: ARG002 - none whatever it says
        """No single points."""
        return 0

    def conclude(self, bench: Bench) -> Outcome | None:
        """D by member, and the spread beyond the sampling errors."""
        cases = self._cases(bench.config, len(bench.models))
        records = [bench.diffusion(case) for case in cases]
        found = [record for record in records if record is not None]
        if len(found) < len(records):
            return None
        points = [
            point
            for case, record in zip(cases, found, strict=True)
            for point in points_of(record, member=case.member)
        ]
        notes = [
            *(str(text) for record in found for text in record["damaged"]),
            *point_notes(
                points,
                untrusted_share=bench.config.studies.untrusted_share,
                name=lambda p: f"Member {p['member']} at {p['temperature_K']:g} K",
            ),
        ]
        return _outcome(bench.config.mobile_species, points, len(cases), notes)

    def draw(self, values: Mapping[str, Json]) -> Figure:
        """D of each member, a panel for each temperature."""
        return study_members(values["temperatures"], mobile_species=values["mobile_species"])


def _outcome(
    mobile_species: str,
    points: Sequence[Mapping[str, Json]],
    n_members: int,
    notes: Sequence[str],
) -> Outcome:
    spreads: dict[float, Spread | None] = {}
    temperatures: list[dict[str, Any]] = []
    for temperature_K in sorted({point["temperature_K"] for point in points}):
        at = [point for point in points if point["temperature_K"] == temperature_K]
        spread = spreads[temperature_K] = _spread(at)
        temperatures.append(
            {
                "temperature_K": temperature_K,
                "members": at,
                "spread_of_ln_D": None if spread is None else spread.to_json(),
            }
        )
    fits = {member: _fit(points, member) for member in range(n_members)}
    of_Ea = _spread_of_Ea(fits)
    return Outcome(
        verdict=_verdict(spreads),
        tables=(
            Table("D by driving member", _member_rows(points, fits)),
            Table("Spread across the members", _spread_rows(temperatures, of_Ea)),
        ),
        values={
            "mobile_species": mobile_species,
            "n_members": n_members,
            "temperatures": temperatures,
            "Ea_by_member_eV": [_Ea(fits[member]) for member in range(n_members)],
            "spread_of_Ea_eV": None if of_Ea is None else of_Ea.to_json(),
        },
        notes=(*notes, *_left_out(spreads, n_members)),
    )


def _left_out(spreads: Mapping[float, Spread | None], n_members: int) -> list[str]:
    """Where the spread rests on the members that happened to have a D."""
    return [
        f"At {at_K:g} K the spread is that of {spread.n_members} of {n_members} members; the "
        "others have no D."
        for at_K, spread in spreads.items()
        if spread is not None and spread.n_members < n_members
    ]


def _spread(points: Sequence[Mapping[str, Json]]) -> Spread | None:
    """Spread of ln D at a temperature; None with fewer than two D."""
    known = usable(points)
    if len(known) < LEAST_MEMBERS:
        return None
    return member_spread([p["D_m2_s"] for p in known], [p["D_err_m2_s"] for p in known])


def _fit(points: Sequence[Mapping[str, Json]], member: int) -> Mapping[str, Json] | None:
    """Arrhenius fit of a member; None with fewer than two temperatures."""
    own = [point for point in points if point["member"] == member]
    return fit_of(own) if len(usable(own)) > 1 else None


def _Ea(fit: Mapping[str, Json] | None) -> dict[str, Json]:
    """Activation energy and its error [eV]."""
    if fit is None:
        return {"Ea_eV": None, "Ea_err_eV": None}
    return {"Ea_eV": fit["Ea_eV"], "Ea_err_eV": fit["Ea_err_eV"]}


def _spread_of_Ea(
    fits: Mapping[int, Mapping[str, Json] | None],
) -> Spread | None:
    known = [fit for fit in fits.values() if fit is not None and fit["Ea_err_eV"]]
    if len(known) < LEAST_MEMBERS:
        return None
    return spread_beyond_errors([f["Ea_eV"] for f in known], [f["Ea_err_eV"] for f in known])


def _member_rows(
    points: Sequence[Mapping[str, Json]], fits: Mapping[int, Mapping[str, Json] | None]
) -> tuple[Row, ...]:
    rows = []
    for member in sorted({point["member"] for point in points}):
        own = {p["temperature_K"]: p for p in points if p["member"] == member}
        row: Row = {"member": str(member)}
        for temperature_K in sorted({point["temperature_K"] for point in points}):
            text = d_text(own[temperature_K], "") if temperature_K in own else UNKNOWN
            row[f"{temperature_K:g} K, D [m²/s]"] = text
        row["Ea [eV]"] = ea_text(fits[member]).removesuffix(" eV")
        rows.append(row)
    return tuple(rows)


def _spread_rows(
    temperatures: Sequence[Mapping[str, Json]], of_Ea: Spread | None
) -> tuple[Row, ...]:
    rows = [
        _spread_row(f"ln D at {one['temperature_K']:g} K", one["spread_of_ln_D"])
        for one in temperatures
    ]
    if of_Ea is not None:
        rows.append(_spread_row("Ea [eV]", of_Ea.to_json()))
    return tuple(rows)


def _spread_row(quantity: str, spread: Mapping[str, Json] | None) -> Row:
    if spread is None:
        cells = [UNKNOWN] * 6
    else:
        cells = [
            str(spread["n_members"]),
            format_value_error(spread["mean"], spread["mean_err"]),
            format_number(spread["variance_between"] ** 0.5, digits=2),
            format_number(spread["variance_sampling"] ** 0.5, digits=2),
            format_number(spread["models"], digits=2),
            f"{spread['models_low']:.2g} … {spread['models_high']:.2g}",
        ]
    columns = ("members", "mean", "scatter", "sampling", "of the models", "95 % interval")
    return {"quantity": quantity, **dict(zip(columns, cells, strict=True))}


def _verdict(spreads: Mapping[float, Spread | None]) -> Verdict:
    """By the temperature where the models differ most."""
    subject = "Members of the ensemble"
    known = {at_K: spread for at_K, spread in spreads.items() if spread is not None}
    if not known:
        text = "No temperature has a D of two members; the spread is not known."
        return Verdict("doubt", subject, text)
    text = " ".join(_sentence(at_K, spread) for at_K, spread in known.items())
    level: Level = "care"
    if len(known) == len(spreads) and all(s.models_high <= TOLERANCE for s in known.values()):
        level = "trust"
    if any(s.is_beyond_sampling and s.models > TOLERANCE for s in known.values()):
        level = "doubt"
    return Verdict(level, subject, text)


def _sentence(at_K: float, spread: Spread) -> str:
    start = f"At {at_K:g} K D of {spread.n_members} members scatters by "
    start += f"{_percent(spread.variance_between**0.5)}, sampling explains "
    start += f"{_percent(spread.variance_sampling**0.5)}"
    most = _percent(spread.models_high)
    if spread.is_beyond_sampling:
        limits = f"95 %: {_percent(spread.models_low)} to {most}"
        return f"{start}: the models differ by {_percent(spread.models)} ({limits})."
    return f"{start}: no difference of the models is seen, it is below {most} (95 %)."


def _percent(of_ln_D: float) -> str:
    """Standard deviation of ln D as a share of D; as a factor where it is large."""
    if of_ln_D > 1.0:
        return f"a factor of {format_number(math.exp(of_ln_D), digits=2)}"
    return f"{100 * of_ln_D:.0f} %"
