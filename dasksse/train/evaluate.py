"""Predictions of models for labelled frames, made in one child process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols

from dasksse.errors import ConfigError, TrainingError
from dasksse.train.accuracy import report_by_element, report_by_material, report_of
from dasksse.train.backends import BACKENDS
from dasksse.train.dataset import atom_types
from dasksse.train.deepmd_run import PROGRAM, backend_named, run_child

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dasksse.records import Labels, Workplace

_DATA = "data.npz"
_PREDICTIONS = "predictions.npz"


@dataclass(frozen=True)
class Prediction:
    """What each model says about the frames of one data set.

    Attributes
    ----------
    name
        Name of the data set.
    energies
        Potential energy [eV], shape ``(model, frame)``.
    forces
        Forces [eV/Å], shape ``(model, frame, atom, xyz)``.
    virials
        Virial ``-dE/d(strain)`` [eV], shape ``(model, frame, lattice, xyz)``.
    """

    name: str
    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    virials: NDArray[np.float64]


def backends_of(models: Sequence[Path]) -> list[str]:
    """Backends that the models' files need, each once; all of them are installed."""
    by_suffix = {backend.model_suffix: name for name, backend in BACKENDS.items()}
    needed = {}
    for path in models:
        if not path.exists():
            msg = f"{path}: no such model; give frozen models ({', '.join(by_suffix)})"
            raise ConfigError(msg)
        if path.suffix not in by_suffix:
            msg = f"{path}: no frozen model by its suffix; known: {', '.join(by_suffix)}"
            raise ConfigError(msg)
        needed[by_suffix[path.suffix]] = True
    for name in needed:
        backend_named(name)
    return list(needed)


def evaluate_models(
    models: Sequence[Path],
    data: Sequence[tuple[str, Labels]],
    *,
    type_map: Sequence[str],
    workdir: Path,
    workplace: Workplace,
) -> list[Prediction]:
    """Predictions of all models for all data sets, from one child process.

    Parameters
    ----------
    models
        Frozen models, at least one.
    data
        Data sets by name; only their configurations are used. DeePMD-kit takes about 1000
        atoms at a time, so memory does not grow with the number of frames.
    type_map
        Elements in the order of the models' types.
    workdir
        Folder for the child's files; made if it is not there.
    workplace
        Threads and command prefix of the worker.

    Returns
    -------
    list[Prediction]
        One for each data set, in order.

    Raises
    ------
    ConfigError
        When a model is missing, or an element is not in the type map.
    ProgramMissingError
        When DeePMD-kit or the models' backend is not installed.
    TrainingError
        When the evaluation fails.
    """
    if not models:
        msg = "no model to evaluate: give one frozen model at least"
        raise ConfigError(msg)
    backends = backends_of(models)
    arrays: dict[str, Any] = {}
    for number, (_, labels) in enumerate(data):
        atom_types(labels.frames.numbers, type_map)
        arrays[f"positions_{number}"] = labels.frames.positions
        arrays[f"cells_{number}"] = labels.frames.cells
    workdir.mkdir(parents=True, exist_ok=True)
    np.savez(workdir / _DATA, **arrays)
    job = {
        "task": "evaluate",
        "backends": backends,
        "models": [str(path.resolve()) for path in models],
        "data": _DATA,
        "symbols": [[chemical_symbols[z] for z in labels.frames.numbers] for _, labels in data],
        "predictions": _PREDICTIONS,
    }
    run_child(job, workdir=workdir, workplace=workplace)
    return _read_predictions(workdir, [name for name, _ in data])


def _read_predictions(workdir: Path, names: Sequence[str]) -> list[Prediction]:
    with np.load(workdir / _PREDICTIONS) as arrays:
        found = [
            Prediction(
                name,
                arrays[f"energies_{i}"],
                arrays[f"forces_{i}"],
                arrays[f"virials_{i}"],
            )
            for i, name in enumerate(names)
        ]
    for prediction in found:
        if not np.isfinite(prediction.forces).all():
            msg = f"forces predicted for {prediction.name} are not finite"
            raise TrainingError(PROGRAM, 0, str(workdir), msg)
    return found


def evaluate_report(
    models: Sequence[Path],
    data: Sequence[tuple[str, Labels]],
    *,
    type_map: Sequence[str],
    workdir: Path,
    workplace: Workplace,
) -> dict[str, Any]:
    """Errors of models over all data sets together, as ``dasksse evaluate --json`` writes them.

    Parameters
    ----------
    models
        Frozen models, at least one.
    data
        Data sets by name.
    type_map
        Elements in the order of the models' types.
    workdir
        Folder for the child's files.
    workplace
        Threads and command prefix of the worker.

    Returns
    -------
    dict
        As :func:`dasksse.train.rmse`, with the ``path`` of each model, ``n_frames`` (good
        labels), ``n_atoms`` (atoms in all of these frames, so three force components each),
        ``materials``, the same by reduced formula (:func:`report_by_material`), and
        ``elements``, the errors of their forces (:func:`report_by_element`).

    Raises
    ------
    ConfigError
        When there is no good label, a model is missing or an element is not in the type map.
    ProgramMissingError
        When DeePMD-kit or the models' backend is not installed.
    TrainingError
        When the evaluation fails.
    """
    good = [(name, part.take(np.flatnonzero(part.is_good))) for name, part in data]
    good = [(name, part) for name, part in good if len(part)]
    if not good:
        msg = "no frame with energy and forces to evaluate the models on"
        raise ConfigError(msg)
    predictions = evaluate_models(
        models, good, type_map=type_map, workdir=workdir, workplace=workplace
    )
    labels = [part for _, part in good]
    return report_of(models, predictions, labels) | {
        "materials": report_by_material(predictions, labels, type_map=type_map),
        "elements": report_by_element(predictions, labels),
    }
