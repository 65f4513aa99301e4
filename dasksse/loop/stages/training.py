"""Stages of training: data set, one member, evaluation of an ensemble."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.config.schema import TrainSection
from dasksse.errors import ConfigError
from dasksse.loop.stages.sound_labels import sound_labels
from dasksse.loop.stages.structures import LABELS_FILE, relative_final
from dasksse.records import Json, Labels, UnitContext, file_digest
from dasksse.store.folders import RunFolder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dasksse.train import Prediction

TRAIN_SAMPLE = 100
"""Training frames that an evaluation looks at, at most."""

NamedLabels = list[tuple[str, Labels]]


def read_sources(context: UnitContext, sources: Sequence[Sequence[str]]) -> NamedLabels:
    """Good labels of the given units, by system."""
    folder = RunFolder(context.run_dir)
    named = []
    for kind, key, system in sources:
        labels = Labels.load(folder.unit(kind, key) / LABELS_FILE)
        good = np.flatnonzero(labels.is_good)
        if len(good):
            named.append((system, labels.take(good)))
    return named


def is_held_out(frame_key: str, share: float, seed: int) -> bool:
    """Whether a frame is kept out of training: fixed by its content, whenever it comes."""
    draw = (int(frame_key, 16) ^ (seed * 0x9E3779B97F4A7C15)) % (1 << 64)
    mixed = (draw * 0xBF58476D1CE4E5B9) % (1 << 64)
    return (mixed >> 32) / float(1 << 32) < share


def _split(named: NamedLabels, share: float, seed: int) -> tuple[NamedLabels, NamedLabels]:
    train: NamedLabels = []
    held_out: NamedLabels = []
    seen: set[str] = set()
    for system, labels in named:
        parts: dict[bool, list[int]] = {True: [], False: []}
        for index, key in enumerate(labels.frames.content_keys()):
            if key not in seen:
                seen.add(key)
                parts[is_held_out(key, share, seed)].append(index)
        for is_out, target in ((False, train), (True, held_out)):
            if parts[is_out]:
                target.append((system, labels.take(parts[is_out])))
    return train, held_out


def _sample(named: NamedLabels, most: int) -> NamedLabels:
    """Every n-th frame, so that at most ``most`` remain."""
    total = sum(len(labels) for _, labels in named)
    stride = max(1, -(-total // most))
    sample = []
    position = 0
    for system, labels in named:
        chosen = [i for i in range(len(labels)) if (position + i) % stride == 0]
        position += len(labels)
        if chosen:
            sample.append((system, labels.take(chosen)))
    return sample


def _save(named: NamedLabels, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, (system, labels) in enumerate(named):
        labels.save(folder / f"{index:05d}.{system}.npz")


def _load(folder: Path) -> NamedLabels:
    if not folder.is_dir():
        return []
    return [
        (path.name.split(".", 1)[1].removesuffix(".npz"), Labels.load(path))
        for path in sorted(folder.glob("*.npz"))
    ]


def dataset(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Write the DeePMD-kit data of a generation and choose the neighbour counts."""
    from dasksse.train import nearest_distance_A, suggest_sel, write_deepmd_data

    type_map = payload["type_map"]
    named, about = sound_labels(payload, context)
    train, held_out = _split(named, payload["held_out_share"], payload["seed"])
    paths = write_deepmd_data(train, type_map=type_map, folder=context.workdir / "train")
    validation = write_deepmd_data(
        held_out, type_map=type_map, folder=context.workdir / "held_out"
    )
    _save(held_out, context.workdir / "held_out_labels")
    _save(_sample(train, TRAIN_SAMPLE), context.workdir / "train_labels")
    sel, changed = _neighbour_counts(payload, train, suggest_sel)
    return {
        "n_train": sum(len(labels) for _, labels in train),
        "n_held_out": sum(len(labels) for _, labels in held_out),
        "systems": [
            relative_final(context, str(p.relative_to(context.workdir))) for p in paths
        ],
        "validation": [
            relative_final(context, str(p.relative_to(context.workdir))) for p in validation
        ],
        "sel": sel,
        "sel_changed": changed,
        "nearest_A": nearest_distance_A(train),
        "has_virial": any(labels.has_virial.any() for _, labels in train),
        **about,
    }


def _neighbour_counts(
    payload: Mapping[str, Json],
    train: NamedLabels,
    suggest_sel: Any,  # noqa: ANN401 - the function, imported late
) -> tuple[list[int], bool]:
    """Neighbour counts of the network, kept while they hold: warm starts need equal ones."""
    given = payload["given_sel"]
    if given is not None:
        return list(given) if isinstance(given, list) else [given], False
    arguments = {
        "type_map": payload["type_map"],
        "rcut_A": payload["rcut_A"],
        "shared": payload.get("shared_sel", False),
    }
    previous = payload["previous_sel"]
    if previous is None:
        return [int(n) for n in suggest_sel(train, **arguments)], False
    needed = [int(n) for n in suggest_sel(train, **arguments, margin=1.0)]
    # another number of places: models that the run begins with have another descriptor
    if len(needed) == len(previous) and all(map(operator.le, needed, previous)):
        return [int(n) for n in previous], False
    return [int(n) for n in suggest_sel(train, **arguments)], True


def train(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Train and freeze one member of the ensemble."""
    from dasksse.train import read_learning_curve, train_member, training_input

    section = TrainSection.model_validate(payload["section"])
    folder = RunFolder(context.run_dir)
    data = folder.unit_result("dataset", payload["dataset"])["value"]
    deepmd_input = training_input(
        section,
        type_map=payload["type_map"],
        systems=[context.run_dir / path for path in data["systems"]],
        validation=[context.run_dir / path for path in data["validation"]],
        sel=data["sel"],
        steps=payload["steps"],
        seed=payload["seed"],
        warm=payload["init_from"] is not None,
        has_virial=data["has_virial"],
    )
    init = payload["init_from"]
    trained = train_member(
        deepmd_input,
        workdir=context.workdir,
        backend=section.backend,
        init_from=None if init is None else context.run_dir / init,
        compress=section.compress,
        workplace=context.workplace,
        nearest_A=data.get("nearest_A"),  # not there in runs of earlier versions
        restart=not context.reproducible,
        on_progress=context.progress,
    )
    curve = read_learning_curve(trained.learning_curve)
    errors = curve.training["rmse_f"][-max(1, len(curve) // 10) :]
    return {
        "model": relative_final(context, trained.model_file.name),
        "model_digest": file_digest(trained.model_file),
        "checkpoint": relative_final(context, trained.checkpoint.name),
        "learning_curve": relative_final(context, trained.learning_curve.name),
        "steps": trained.steps,
        "force_rmse_eV_A": float(np.sqrt(np.nanmean(errors**2))),
    }


def take_model(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Look at a model that the run begins with, and compress it where asked.

    Raises
    ------
    ConfigError
        When the model is for other elements, or for the same in another order.
    """
    from dasksse.train import compress_model, describe_model

    path = context.run_dir / payload["file"]
    about = describe_model(path, workdir=context.workdir, workplace=context.workplace)
    if list(about.type_map) != list(payload["type_map"]):
        msg = (
            f"train.initial_models: {payload['file']} knows {', '.join(about.type_map)}, "
            f"allowed: the type_map of the run, {', '.join(payload['type_map'])}, in this order"
        )
        raise ConfigError(msg)
    model = payload["file"]
    if payload["compress"]:
        made = compress_model(path, workdir=context.workdir, workplace=context.workplace)
        model = relative_final(context, made.name)
    return {
        "model": model,
        "model_digest": file_digest(path),
        "checkpoint": payload["file"],
        "sel": list(about.sel),
        "steps": 0,
        "force_rmse_eV_A": None,
    }


def evaluate(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Errors of the ensemble on training, held-out, new, check and probe labels."""
    from dasksse.train import evaluate_models, report_by_material, report_of

    sets = _label_sets(payload, context)
    data = [
        (f"{name}/{index:05d}", labels)
        for name, part in sets.items()
        for index, (_, labels) in enumerate(part)
    ]
    models = [context.run_dir / path for path in payload["models"]]
    type_map = payload["type_map"]
    predictions = evaluate_models(
        models,
        data,
        type_map=type_map,
        workdir=context.workdir,
        workplace=context.workplace,
    )
    errors: dict[str, Any] = {}
    materials: dict[str, Any] = {}
    deviations: dict[str, float] = {}
    arrays: dict[str, Any] = {}
    for name in sets:
        pairs = [
            (prediction, labels)
            for prediction, (label_name, labels) in zip(predictions, data, strict=True)
            if label_name.startswith(f"{name}/")
        ]
        if not pairs:
            continue
        errors[name] = report_of(models, *zip(*pairs, strict=True))
        materials[name] = report_by_material(*zip(*pairs, strict=True), type_map=type_map)
        columns = [_comparison(p, labels) for p, labels in pairs]
        for column in columns[0]:
            arrays[f"{name}/{column}"] = np.concatenate([c[column] for c in columns])
        deviations[name] = float(np.mean(arrays[f"{name}/deviation"]))
    np.savez_compressed(context.workdir / "evaluation.npz", **arrays)
    return {
        "rmse": errors,
        "materials": materials,
        "mean_deviation_eV_A": deviations,
        "n_frames": {
            name: sum(len(labels) for _, labels in part) for name, part in sets.items()
        },
        "file": relative_final(context, "evaluation.npz"),
    }


def _label_sets(payload: Mapping[str, Json], context: UnitContext) -> dict[str, NamedLabels]:
    """Labels to judge an ensemble on, by the name of their set."""
    sets = {name: read_sources(context, part) for name, part in payload["sources"].items()}
    if "max_frames" in payload:
        sets = {name: _sample(part, payload["max_frames"]) for name, part in sets.items()}
    if payload["dataset"] is not None:
        dataset_folder = RunFolder(context.run_dir).unit("dataset", payload["dataset"])
        sets["train"] = _load(dataset_folder / "train_labels")
        sets["held_out"] = _load(dataset_folder / "held_out_labels")
    return sets


def _comparison(prediction: Prediction, labels: Labels) -> dict[str, Any]:
    """Columns for parity and trust plots: labels against the first model's predictions."""
    from dasksse.train import max_force_deviation

    n_atoms = labels.frames.n_atoms
    force_error = np.linalg.norm(prediction.forces[0] - labels.forces, axis=-1)
    return {
        "energy_label": labels.energies / n_atoms,
        "energy_model": prediction.energies[0] / n_atoms,
        "force_label": labels.forces.reshape(-1),
        "force_model": prediction.forces[0].reshape(-1),
        "force_number": np.tile(np.repeat(labels.frames.numbers, 3), len(labels)),
        "deviation": max_force_deviation(prediction.forces),
        "true_error": force_error.max(axis=1),
    }
