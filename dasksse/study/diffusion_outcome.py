"""Tables and verdict of the study of D(T)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from dasksse.report.data import Verdict
from dasksse.report.error_budget import budget_row
from dasksse.report.formats import (
    UNKNOWN,
    format_count,
    format_interval,
    format_number,
    format_share,
    format_value_error,
    is_known,
)
from dasksse.study.outcome import Outcome, Row, Table
from dasksse.study.points import d_text, ea_text, fit_of
from dasksse.study.temperature_law import D_at, shape_text, squared_charge_density_A3

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.config.schema import RunConfig
    from dasksse.records import Json
    from dasksse.report.data import Level
    from dasksse.study.temperature_law import DAt

ROOM_K = 300.0
ORDERED, DISORDERED, FIXED_CELL = "ordered", "disordered", "ordered, fixed cell"
SIGNIFICANT = 2.0
"""Standard errors by which a ratio must differ from 1."""
SUBJECT = "Diffusion"


def diffusion_outcome(
    config: RunConfig,
    points: Sequence[Mapping[str, Json]],
    *,
    expansion_per_K: float,
    budgets: Sequence[Mapping[str, Json]],
    published: Sequence[Mapping[str, Json]],
    notes: Sequence[str],
) -> Outcome:
    """Everything that the points say.

    Parameters
    ----------
    config
        The run's configuration.
    points
        Of all branches, each with its ``branch``.
    expansion_per_K
        Linear expansion [1/K] of the cells.
    budgets
        Error budgets, see :func:`dasksse.study.known_terms.budgets_of`.
    published
        Published values of the material.
    notes
        What went wrong so far.
    """
    branches = {
        name: [point for point in points if point["branch"] == name]
        for name in dict.fromkeys(point["branch"] for point in points)
    }
    fits = {
        name: _branch_fit(config, ours) for name, ours in branches.items() if name != FIXED_CELL
    }
    cells = fixed_cell_ratios(points)
    tables = [
        Table("D against temperature", tuple(_point_row(point) for point in points)),
        Table(
            f"Arrhenius fits and {ROOM_K:g} K",
            (
                *(_fit_row(name, fit) for name, fit in fits.items()),
                *(_published_row(one) for one in published),
            ),
        ),
        Table("Parts of the error of D", tuple(budget_row(budget) for budget in budgets)),
    ]
    if cells:
        tables.append(
            Table("Effect of the thermal expansion", tuple(_cell_row(c) for c in cells))
        )
    return Outcome(
        verdict=_verdict(config, points, fits, expansion_per_K, cells),
        tables=tuple(tables),
        values={
            "mobile_species": config.mobile_species,
            "expansion_per_K": expansion_per_K,
            "points": list(points),
            "branches": fits,
            "fixed_cell": cells,
            "error_budget": list(budgets),
            "published": list(published),
        },
        notes=(*notes, *_notes(budgets), *_cell_notes(cells, expansion_per_K)),
    )


def _branch_fit(config: RunConfig, points: Sequence[Mapping[str, Json]]) -> dict[str, Any]:
    """Fit of a branch, D and conductivity at 300 K, and the form of D(T)."""
    density = squared_charge_density_A3(points, config.mobile_charge, ROOM_K)
    fit = fit_of(points, at_K=ROOM_K, squared_charge_density_A3=density)
    room = D_at(points, ROOM_K)
    return {
        "fit": fit,
        "shape": shape_text(fit),
        "D_300K": room.to_json(),
        "D_300K_text": _room_text(room),
        "sigma_300K_mS_cm": None if density is None else room.sigma_mS_cm(density),
        "squared_charge_density_A3": density,
    }


def fixed_cell_ratios(points: Sequence[Mapping[str, Json]]) -> list[dict[str, Any]]:
    """D in the expanded cell over D in the fixed one, by temperature, with its error."""
    ratios = []
    for fixed in (point for point in points if point["branch"] == FIXED_CELL):
        temperature_K = fixed["temperature_K"]
        for grown in points:
            if (grown["branch"], grown["temperature_K"]) != (ORDERED, temperature_K):
                continue
            both = (grown, fixed)
            ratio = error = None
            if all(p["D_m2_s"] is not None and p["D_err_m2_s"] is not None for p in both):
                ratio = grown["D_m2_s"] / fixed["D_m2_s"]
                error = ratio * math.hypot(*(p["D_err_m2_s"] / p["D_m2_s"] for p in both))
            ratios.append(
                {
                    "temperature_K": temperature_K,
                    "volume_ratio": grown["volume_A3"] / fixed["volume_A3"],
                    "D_fixed_m2_s": fixed["D_m2_s"],
                    "D_ratio": ratio,
                    "D_ratio_err": error,
                }
            )
    return ratios


def _point_row(point: Mapping[str, Json]) -> Row:
    return {
        "crystal": point["branch"],
        "T [K]": f"{point['temperature_K']:g}",
        "D [m²/s]": d_text(point, ""),
        "collective D [m²/s]": format_value_error(
            point["D_collective_m2_s"], point["D_collective_err_m2_s"]
        ),
        "Haven ratio": format_value_error(point["haven_ratio"], point["haven_ratio_err"]),
        "σ [mS/cm]": format_value_error(point["sigma_mS_cm"], point["sigma_err_mS_cm"]),
        "collective σ [mS/cm]": format_value_error(
            point["sigma_collective_mS_cm"], point["sigma_collective_err_mS_cm"]
        ),
        "length [ps]": format_number(point["length_ps"]),
        "jumps": _jumps(point["effective_jumps"]),
        "outside trust": format_share(point["untrusted_fraction"]),
    }


def _jumps(count: float | None) -> str:
    return format_count(round(count)) if is_known(count) else UNKNOWN


def _fit_row(name: str, branch: Mapping[str, Any]) -> Row:
    sigma = branch["sigma_300K_mS_cm"]
    return {
        "crystal": name,
        "Ea": ea_text(branch["fit"]),
        f"D({ROOM_K:g} K), 95 %": branch["D_300K_text"],
        f"σ({ROOM_K:g} K) [mS/cm], 95 %": UNKNOWN
        if sigma is None
        else format_interval(sigma["value"], sigma["low95"], sigma["high95"]),
        "form of D(T)": branch["shape"],
    }


def _published_row(one: Mapping[str, Json]) -> Row:
    return {
        "crystal": f"{one['label']} ({one['kind']}, {one['formula']})",
        "Ea": format_number(one["Ea_eV"], "eV", digits=2),
        f"D({ROOM_K:g} K), 95 %": UNKNOWN
        if one["D_m2_s"] is None
        else f"{format_value_error(one['D_m2_s'], one['D_err_m2_s'], 'm²/s')}, as published",
        f"σ({ROOM_K:g} K) [mS/cm], 95 %": UNKNOWN,
        "form of D(T)": UNKNOWN,
    }


def _cell_row(cell: Mapping[str, Any]) -> Row:
    return {
        "T [K]": f"{cell['temperature_K']:g}",
        "volume": f"{100 * (cell['volume_ratio'] - 1.0):+.1f} %",
        "D, expanded over fixed": format_value_error(cell["D_ratio"], cell["D_ratio_err"]),
        "Huang et al. 2021": "noticeable above 700 K (Li10SiP2S12)",
    }


def _room_text(room: DAt) -> str:
    return room.text() if room.how == "unknown" else f"{room.text()}, {room.how}"


def _notes(budgets: Sequence[Mapping[str, Json]]) -> list[str]:
    """What the error budget does not hold."""
    unknown = {
        name: sorted({b["temperature_K"] for b in budgets if name in b["missing"]})
        for name in ("models", "cell size")
    }
    notes = [
        f"The part of the error from {name} is not known at "
        f"{', '.join(f'{t:g}' for t in at)} K; it is left out of the whole, not 0."
        for name, at in unknown.items()
        if at
    ]
    if any(b["branch"] == DISORDERED for b in budgets):
        notes.append(
            "The disordered crystal takes the parts from models and cell size of the ordered "
            "one; one arrangement of cations is run, and what others would give is not in the "
            "error (study disorder)."
        )
    return notes


def _cell_notes(cells: Sequence[Mapping[str, Any]], expansion_per_K: float) -> list[str]:
    """What is known of the fixed cell, where it does not differ."""
    if expansion_per_K == 0.0:
        return ["The cell does not expand with temperature."]
    if not cells:
        return ["The fixed cell was not run: what the expansion does to D is not known here."]
    same = [c for c in cells if c["D_ratio"] is not None and not _differs(c)]
    return [
        f"At {c['temperature_K']:g} K the expanded and the fixed cell agree within the errors: "
        f"their D has the ratio {format_value_error(c['D_ratio'], c['D_ratio_err'])}."
        for c in same
    ]


def _differs(cell: Mapping[str, Any]) -> bool:
    return abs(cell["D_ratio"] - 1.0) > SIGNIFICANT * cell["D_ratio_err"]


def _verdict(
    config: RunConfig,
    points: Sequence[Mapping[str, Json]],
    branches: Mapping[str, Mapping[str, Any]],
    expansion_per_K: float,
    cells: Sequence[Mapping[str, Any]],
) -> Verdict:
    known = {name: branch for name, branch in branches.items() if branch["fit"] is not None}
    if not known:
        n_known = sum(point["D_m2_s"] is not None for point in points)
        text = f"{n_known} of {len(points)} runs have D: no D(T); longer runs are needed."
        return Verdict("doubt", SUBJECT, text)
    sentences = [_branch_text(name, branch) for name, branch in branches.items()]
    cares = [
        *_unresolved(points),
        *_untrusted(points, config.studies.untrusted_share),
        *_expansion(cells, expansion_per_K),
    ]
    is_sound = len(known) == len(branches) and all(
        branch["fit"]["one_line_ok"] and branch["D_300K"]["how"] != "extrapolated"
        for branch in known.values()
    )
    level: Level = "trust" if is_sound and not cares else "care"
    return Verdict(level, SUBJECT, " ".join([*sentences, *cares]))


def _branch_text(name: str, branch: Mapping[str, Any]) -> str:
    fit = branch["fit"]
    is_bent = fit is not None and fit["one_line_ok"] is False
    Ea = f"{'Ea of one line' if is_bent else 'Ea'} {ea_text(fit)}"
    at_room = f"D({ROOM_K:g} K) {branch['D_300K_text']}"
    return f"{name.capitalize()}: {Ea}, {at_room}; {branch['shape']}."


def _where(points: Sequence[Mapping[str, Json]]) -> str:
    return ", ".join(f"{p['branch']} {p['temperature_K']:g} K" for p in points)


def _unresolved(points: Sequence[Mapping[str, Json]]) -> list[str]:
    short = [point for point in points if point["D_m2_s"] is None]
    return [f"No D at {_where(short)}: the runs are too short there."] if short else []


def _untrusted(points: Sequence[Mapping[str, Json]], limit: float) -> list[str]:
    outside = [point for point in points if (point["untrusted_fraction"] or 0.0) > limit]
    if not outside:
        return []
    share = f"More than {100 * limit:g} % of frames"
    return [f"{share} are outside what the potential knows at {_where(outside)}."]


def _expansion(cells: Sequence[Mapping[str, Any]], expansion_per_K: float) -> list[str]:
    """Whether the fixed cell gives another D beyond two standard errors."""
    told = [cell for cell in cells if cell["D_ratio"] is not None and _differs(cell)]
    if not told:
        return []
    ratios = ", ".join(
        f"{format_value_error(c['D_ratio'], c['D_ratio_err'])} at {c['temperature_K']:g} K"
        for c in told
    )
    expansion = f"The expansion of {expansion_per_K:.1e} 1/K"
    return [f"{expansion} changes D by a factor of {ratios}: the fixed cell does not do."]
