"""Rows of a report on learning: what each generation met, labelled and got wrong."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.errors import StoreError
from dasksse.report.data import (
    GenerationRow,
    LearningCurveData,
    TemperatureShare,
    TrustCheckData,
)
from dasksse.select import pooled_shares, weighted_mean
from dasksse.store.trajectories import read_scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from dasksse.report.run_units import RunUnits


def generation_rows(run: RunUnits) -> list[GenerationRow]:
    """One row for each generation that has trained or selected."""
    rows = []
    data: dict[str, Any] = {"n_train": 0, "n_held_out": 0}
    last = max((row.generation for row in run.done("train")), default=-1)
    last = max([last, *(row.generation for row in run.done("select"))])
    levels = run.config["select"]["trust"]
    trust = [levels["low_eV_A"], levels["high_eV_A"]]
    for selection in run.results("select"):
        trust = selection["levels"]
    for generation in range(last + 1):
        for record in run.results("dataset", generation):
            data = record
        rows.append(_generation(run, generation, data, trust))
    return rows


def _generation(
    run: RunUnits, generation: int, data: Mapping[str, Any], trust: list[float]
) -> GenerationRow:
    selections = run.results("select", generation)
    runs = run.results("md", generation)
    evaluation = _evaluation(run, generation)
    about = selections[0] if selections else {}
    shares: dict[str, Any] = {}
    if selections:
        shares = {
            **pooled_shares(selections),
            "n_planned_frames": sum(s["n_planned"] for s in selections),
            "n_frames": sum(s["n_frames"] for s in selections),
            "n_blown_up_runs": sum(r["end"] != "complete" for r in runs),
            "n_candidates": sum(s["n_candidates"] for s in selections),
            "n_labelled": sum(s["n_picks"] + s["n_checks"] for s in selections),
            "framework_broken": weighted_mean(runs, "framework_broken", weight="n_frames"),
        }
    evaluated = evaluation or {}
    return GenerationRow(
        generation=generation,
        line=int(about.get("line", 0)),
        systems=tuple(s["system"] for s in selections),
        ensemble=str(about.get("ensemble", "")),
        temperatures_K=tuple(sorted({float(r["temperature_K"]) for r in runs})),
        length_ps=float(about.get("length_ps", 0.0)),
        n_train=data["n_train"],
        n_held_out=data["n_held_out"],
        trust_low_eV_A=trust[0],
        trust_high_eV_A=trust[1],
        rmse=_errors(evaluated.get("rmse", {})),
        materials={
            name: _errors(part) for name, part in evaluated.get("materials", {}).items()
        },
        probe_deviation_mean_eV_A=evaluated.get("mean_deviation_eV_A", {}).get("probe"),
        by_temperature=tuple(_by_temperature(selections)),
        deviations=_deviations(run, selections),
        learning_curves=tuple(_curves(run, generation)),
        trust_check=_trust_check(run, evaluation),
        **shares,
    )


def _evaluation(run: RunUnits, generation: int) -> dict[str, Any] | None:
    """Errors of a generation's ensemble; those on a probe drawn later are judged apart."""
    parts = sorted(
        run.results("evaluate", generation), key=lambda part: "train" in part["rmse"]
    )
    if not parts:
        return None
    merged = dict(parts[-1])
    for name in ("rmse", "materials", "mean_deviation_eV_A"):
        found = (part.get(name, {}) for part in parts)  # earlier versions wrote no materials
        merged[name] = {key: value for part in found for key, value in part.items()}
    return merged


def _errors(
    reports: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, tuple[float, float] | None]]:
    """Mean and spread over the ensemble of each quantity, by set or by material."""
    return {
        name: {
            quantity: None if value is None else (value, values["std"][quantity] or 0.0)
            for quantity, value in values["mean"].items()
        }
        for name, values in reports.items()
    }


def _by_temperature(selections: Iterable[Mapping[str, Any]]) -> list[TemperatureShare]:
    return [
        TemperatureShare(system=selection["system"], **part)
        for selection in selections
        for part in selection["by_temperature"]
    ]


def _deviations(
    run: RunUnits, selections: Iterable[Mapping[str, Any]]
) -> dict[float, NDArray[np.float64]]:
    """Maximal force deviation of every frame, by temperature."""
    parts: dict[float, list[NDArray[np.float64]]] = defaultdict(list)
    for selection in selections:
        try:
            columns = read_scalar(run.folder.root, selection["group"], "deviation_max")
        except StoreError:
            continue
        for temperature, values in columns:
            parts[temperature].append(values)
    return {t: np.concatenate(parts[t]) for t in sorted(parts)}


def _curves(run: RunUnits, generation: int) -> list[LearningCurveData]:
    from dasksse.train import read_learning_curve

    curves = []
    for member, record in enumerate(run.results("train", generation)):
        try:
            curve = read_learning_curve(run.folder.root / record["learning_curve"])
        except (OSError, ValueError):
            continue
        curves.append(
            LearningCurveData(
                member=member, steps=curve.steps, force_rmse_train=curve.training["rmse_f"]
            )
        )
    return curves


def _trust_check(run: RunUnits, evaluation: Mapping[str, Any] | None) -> TrustCheckData | None:
    if evaluation is None:
        return None
    arrays = run.arrays(evaluation["file"])
    kinds = [(name, kind) for name, kind in (("new", "candidate"), ("check", "check"))]
    present = [(name, kind) for name, kind in kinds if f"{name}/deviation" in arrays]
    if not present:
        return None
    return TrustCheckData(
        deviation=np.concatenate([arrays[f"{name}/deviation"] for name, _ in present]),
        true_error=np.concatenate([arrays[f"{name}/true_error"] for name, _ in present]),
        kind=np.concatenate(
            [np.full(len(arrays[f"{name}/deviation"]), kind) for name, kind in present]
        ),
    )
