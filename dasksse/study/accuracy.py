"""Errors of the ensemble on all labels of the run: Table V and Fig. 5 of Huang et al. 2021."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dasksse.loop.units import evaluate_unit
from dasksse.records.formula import reduced_formula
from dasksse.report.data import Verdict
from dasksse.report.evidence import (
    LARGE_FORCE_ERROR_MEV_A,
    ROUGH_FORCE_SHARE,
    WRONG_FORCE_SHARE,
)
from dasksse.report.figures.study_parity_by_system import study_parity_by_system
from dasksse.report.formats import format_number, format_value_error
from dasksse.study.failure import nothing_found, why_failed
from dasksse.study.outcome import Outcome, Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from dasksse.config.schema import RunConfig
    from dasksse.records import Json, Unit
    from dasksse.report.data import Level
    from dasksse.study.bench import Bench
    from dasksse.study.case import Case

SUBJECT = "Accuracy"

N_ENERGIES, N_FORCES = 500, 2500
"""Points of a parity plot of one material."""

TABLE_V: dict[str, dict[str, tuple[float, float, float, float]]] = {
    "PBE": {
        "Li10GeP2S12": (1.65, 0.03, 82.4, 0.91),
        "Li10SiP2S12": (1.82, 0.01, 82.7, 0.19),
        "Li10SnP2S12": (2.53, 0.02, 92.5, 0.39),
    },
    "PBEsol": {
        "Li10GeP2S12": (1.33, 0.06, 79.6, 1.57),
        "Li10SiP2S12": (1.33, 0.01, 77.7, 0.39),
        "Li10SnP2S12": (1.27, 0.01, 77.9, 0.29),
    },
}
"""By functional and material: RMSE of the energy [meV/atom] with the standard deviation over
four models, then that of the force [meV/Å]."""

SEEN = (
    "Labels that the models have learned from are among them, as in the paper; the report of "
    "the run shows the errors on frames kept out of training."
)

_LEVELS: tuple[Level, ...] = ("trust", "care", "doubt")


class Accuracy:
    """How far the ensemble is from its labels."""

    name = "accuracy"
    title = "Accuracy"
    question = "How far are energies and forces of the ensemble from the labels of the run?"
    source = "Huang et al. 2021, Table V and Fig. 5, doi:10.1063/5.0041849"
    caption = (
        "Energies about their mean and force components of the first member against the "
        "labels; root-mean-square errors are means over the members with their standard "
        "deviation. "
        f"{SEEN}"
    )

    def lacks(self, config: RunConfig) -> str:  # noqa: ARG002 - the labels decide, not this
        """Never anything."""
        return ""

    def cases(self, config: RunConfig) -> list[Case]:  # noqa: ARG002 - none whatever it says
        """No MD."""
        return []

    def n_labels(self, config: RunConfig) -> int:  # noqa: ARG002 - none whatever it says
        """No single points: the labels are there."""
        return 0

    def conclude(self, bench: Bench) -> Outcome | None:
        """Errors by material."""
        if not bench.labels:
            return nothing_found(SUBJECT, "The run has no labels to compare with.")
        if not bench.walk.want([source.unit for source in bench.labels]):
            return None
        evaluation = _evaluation(bench)
        if not bench.walk.want([evaluation]):
            return None
        errors = bench.walk.result(evaluation)
        if errors is None:
            return nothing_found(SUBJECT, f"No errors: {why_failed(bench, evaluation)}")
        return _concluded(bench, errors)

    def draw(self, values: Mapping[str, Json]) -> Figure:
        """Parity of energies and forces by material."""
        return study_parity_by_system(values)


def _evaluation(bench: Bench) -> Unit:
    """Unit that compares the ensemble with the labels of each material."""
    config = bench.config
    sources: dict[str, list[list[str]]] = {}
    for source in bench.labels:
        formula = source.system.removeprefix("imported-")
        name = reduced_formula(formula, config.type_map)
        sources.setdefault(name, []).append(source.reference)
    return evaluate_unit(
        config,
        -1,
        models=bench.models,
        dataset=None,
        sources=sources,
        max_frames=config.studies.accuracy.max_frames,
    )


def _available(bench: Bench) -> dict[str, int]:
    """Good labels of each material."""
    counts: dict[str, int] = {}
    for source in bench.labels:
        name = reduced_formula(source.system.removeprefix("imported-"), bench.config.type_map)
        counts[name] = counts.get(name, 0) + int(
            bench.walk.state.results[source.unit.key]["n_good"]
        )
    return counts


def _concluded(bench: Bench, errors: Mapping[str, Json]) -> Outcome | None:
    """Outcome from errors that are there."""
    payload = {"file": errors["file"], "n_energies": N_ENERGIES, "n_forces": N_FORCES}
    drawing = bench.unit("accuracy_points:points", payload)
    if not bench.walk.want([drawing]):
        return None
    drawn = bench.walk.result(drawing)
    if drawn is None:
        return nothing_found(SUBJECT, f"No points: {why_failed(bench, drawing)}")
    return _outcome(bench, errors, drawn)


def _outcome(bench: Bench, errors: Mapping[str, Json], drawn: Mapping[str, Json]) -> Outcome:
    records = [bench.walk.state.results[source.unit.key] for source in bench.labels]
    functionals = sorted({record["functional"] for record in records})
    available = _available(bench)
    rows = [
        {
            "material": name,
            "n_frames": report["n_frames"],
            "n_labels": available[name],
            "members": [_without_path(one) for one in report["models"]],
            "mean": report["mean"],
            "std": report["std"],
            **drawn[name],
            "published": _published(name, functionals, bench.config.type_map),
        }
        for name, report in errors["rmse"].items()
    ]
    if not rows:
        return nothing_found(SUBJECT, "No label has energy and forces.")
    values = {
        "materials": rows,
        "functionals": functionals,
        "sources": sorted({record["source"] for record in records}),
        "is_surrogate": any(record["is_surrogate"] for record in records),
        "type_map": list(bench.config.type_map),
    }
    notes = [
        f"{row['material']}: {row['n_frames']} of {row['n_labels']} labels, evenly drawn."
        for row in rows
        if row["n_frames"] < row["n_labels"]
    ]
    return Outcome(
        verdict=_verdict(values),
        tables=(_errors_table(rows), _element_table(rows)),
        values=values,
        notes=(SEEN, *notes),
    )


def _without_path(member: Mapping[str, Json]) -> dict[str, Any]:
    return {key: value for key, value in member.items() if key != "path"}


def _published(
    name: str, functionals: Sequence[str], type_map: Sequence[str]
) -> dict[str, Any] | None:
    """Errors of the paper for the same material and functional."""
    if len(functionals) != 1:
        return None
    for formula, numbers in TABLE_V.get(functionals[0], {}).items():
        if reduced_formula(formula, type_map) == name:
            energy, energy_std, force, force_std = numbers
            return {
                "functional": functionals[0],
                "energy_rmse_meV_atom": energy,
                "energy_rmse_std_meV_atom": energy_std,
                "force_rmse_meV_A": force,
                "force_rmse_std_meV_A": force_std,
            }
    return None


def _with_std(row: Mapping[str, Json], key: str) -> str:
    """Mean and standard deviation over members; the value alone for one member."""
    if row["std"][key] is None:
        return format_number(row["mean"][key])
    return format_value_error(row["mean"][key], row["std"][key])


def _share(row: Mapping[str, Json]) -> float:
    """Force error over the RMS force of the labels; infinite where all forces are zero."""
    rms = float(row["force_rms_meV_A"])
    return float(row["mean"]["force_rmse_meV_A"]) / rms if rms > 0.0 else float("inf")


def _errors_table(rows: Sequence[Mapping[str, Json]]) -> Table:
    is_published = any(row["published"] for row in rows)
    lines = []
    for row in rows:
        line = {
            "Material": row["material"],
            "Frames": f"{row['n_frames']}",
            "E [meV/atom]": _with_std(row, "energy_rmse_meV_atom"),
            "F [meV/Å]": _with_std(row, "force_rmse_meV_A"),
            "F over RMS force": f"{100 * _share(row):.1f} %",
        }
        if is_published:
            paper = row["published"]
            line["E, paper"] = _paper(paper, "energy_rmse", "meV_atom")
            line["F, paper"] = _paper(paper, "force_rmse", "meV_A")
        lines.append(line)
    return Table(
        "Root-mean-square errors, mean ± standard deviation over members", tuple(lines)
    )


def _paper(published: Mapping[str, Json] | None, name: str, unit: str) -> str:
    if published is None:
        return "–"
    return f"{published[f'{name}_{unit}']:g} ± {published[f'{name}_std_{unit}']:g}"


def _element_table(rows: Sequence[Mapping[str, Json]]) -> Table:
    elements = dict.fromkeys(element for row in rows for element in row["by_element"])
    lines = []
    for row in rows:
        line = {"Material": row["material"]}
        for element in elements:
            found = row["by_element"].get(element)
            line[f"{element}, F [meV/Å]"] = "–" if found is None else _of_element(found)
        lines.append(line)
    return Table(
        "Force error of the first member by element, the RMS force of the labels, and the "
        "slope of predicted against labelled forces: below one a potential is too soft",
        tuple(lines),
    )


def _of_element(found: Mapping[str, Json]) -> str:
    text = f"{found['force_rmse_meV_A']:.3g} of {found['force_rms_meV_A']:.4g}"
    slope = found.get("force_slope")  # records of earlier versions have none
    return text if slope is None else f"{text}, slope {slope:.3f}"


def _level(row: Mapping[str, Json]) -> Level:
    share = _share(row)
    if row["mean"]["force_rmse_meV_A"] > LARGE_FORCE_ERROR_MEV_A or share > WRONG_FORCE_SHARE:
        return "doubt"
    return "care" if share > ROUGH_FORCE_SHARE else "trust"


def _sentence(row: Mapping[str, Json]) -> str:
    text = (
        f"{row['material']}: energy {_with_std(row, 'energy_rmse_meV_atom')} meV/atom, force "
        f"{_with_std(row, 'force_rmse_meV_A')} meV/Å, {100 * _share(row):.0f} % of the RMS "
        f"force ({row['force_rms_meV_A']:.0f} meV/Å)"
    )
    paper = row["published"]
    if paper is None:
        return f"{text}."
    return (
        f"{text}; the paper has {_paper(paper, 'energy_rmse', 'meV_atom')} and "
        f"{_paper(paper, 'force_rmse', 'meV_A')} on labels of its own ({paper['functional']})."
    )


def _verdict(values: Mapping[str, Json]) -> Verdict:
    rows = values["materials"]
    level = max((_level(row) for row in rows), key=_LEVELS.index)
    text = " ".join(_sentence(row) for row in rows)
    if values["is_surrogate"]:
        level = max(level, "care", key=_LEVELS.index)
        text += (
            f" The labels are those of {', '.join(values['sources'])}, a surrogate: its own "
            "error against DFT comes on top."
        )
    return Verdict(level, SUBJECT, f"{text} {SEEN}")
