"""Models against labels: predictions in one child process, errors, deviation of an ensemble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols

from dasksse.errors import AnalysisError, ConfigError, TrainingError
from dasksse.train.backends import BACKENDS
from dasksse.train.dataset import atom_types
from dasksse.train.deepmd_run import PROGRAM, backend_named, run_child
from dasksse.units import MEV_PER_EV

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dasksse.records import Labels

_DATA = "data.npz"
_PREDICTIONS = "predictions.npz"
_TYPE_MAP = "type_map.txt"


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


def _backends_of(models: Sequence[Path]) -> list[str]:
    """Backends that the models' files need, each once."""
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
    return list(needed)


def evaluate_models(
    models: Sequence[Path],
    data: Sequence[tuple[str, Labels]],
    *,
    type_map: Sequence[str],
    workdir: Path,
    threads: int,
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
    threads
        Threads of the backend.

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
    backends = _backends_of(models)
    for name in backends:
        backend_named(name)
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
    run_child(job, workdir=workdir, threads=threads)
    return _read_predictions(workdir, [name for name, _ in data])


def model_type_map(model: Path, *, workdir: Path) -> list[str]:
    """Elements that a model knows, in the order of its types.

    Parameters
    ----------
    model
        Frozen model.
    workdir
        Folder for the child's files; made if it is not there.

    Raises
    ------
    ConfigError
        When the model is missing.
    TrainingError
        When it cannot be loaded.
    """
    backends = _backends_of([model])
    for name in backends:
        backend_named(name)
    workdir.mkdir(parents=True, exist_ok=True)
    job = {
        "task": "type_map",
        "backends": backends,
        "model": str(model.resolve()),
        "output": _TYPE_MAP,
    }
    run_child(job, workdir=workdir, threads=1)
    return (workdir / _TYPE_MAP).read_text().split()


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


@dataclass(frozen=True)
class _Squares:
    """Sums of squared errors over good frames, each of shape ``(model,)``, and their counts."""

    sums: NDArray[np.float64]
    counts: NDArray[np.int64]

    def __add__(self, other: _Squares) -> _Squares:
        return _Squares(self.sums + other.sums, self.counts + other.counts)


_QUANTITIES = ("energy_rmse_meV_atom", "force_rmse_meV_A", "virial_rmse_meV_atom")


def _squares(prediction: Prediction, labels: Labels) -> _Squares:
    """Squared errors of energy per atom, force component and virial component per atom."""
    good = labels.is_good
    with_virial = good & labels.has_virial
    n_atoms = labels.frames.n_atoms
    errors = (
        (prediction.energies - labels.energies)[:, good] / n_atoms,
        (prediction.forces - labels.forces)[:, good],
        (prediction.virials - labels.virials)[:, with_virial] / n_atoms,
    )
    n_models = len(prediction.energies)
    flat = [error.reshape(n_models, -1) for error in errors]
    return _Squares(
        np.array([(error**2).sum(axis=1) for error in flat]),
        np.array([error.shape[1] for error in flat]),
    )


def _finite(values: NDArray[np.float64]) -> dict[str, float | None]:
    return {
        key: float(value) if np.isfinite(value) else None
        for key, value in zip(_QUANTITIES, values, strict=True)
    }


def _errors(squares: _Squares) -> dict[str, Any]:
    counts = np.where(squares.counts > 0, squares.counts, np.nan)[:, np.newaxis]
    table = MEV_PER_EV * np.sqrt(squares.sums / counts)  # (quantity, model)
    spread = np.std(table, axis=1, ddof=1) if table.shape[1] > 1 else np.full(3, np.nan)
    return {
        "models": [_finite(column) for column in table.T],
        "mean": _finite(table.mean(axis=1)),
        "std": _finite(spread),
    }


def rmse(prediction: Prediction, labels: Labels) -> dict[str, Any]:
    """Root mean square errors of each model on one data set, their mean and their spread.

    Parameters
    ----------
    prediction
        From :func:`evaluate_models`.
    labels
        The labels of the same frames; bad ones are left out.

    Returns
    -------
    dict
        ``models`` (a list), ``mean`` and ``std`` (sample standard deviation over models), each
        with ``energy_rmse_meV_atom``, ``force_rmse_meV_A`` (over components) and
        ``virial_rmse_meV_atom`` (over components). None where nothing can be compared: no
        virial in the labels, no spread of a single model.
    """
    return _errors(_squares(prediction, labels))


def evaluate_report(
    models: Sequence[Path],
    data: Sequence[tuple[str, Labels]],
    *,
    type_map: Sequence[str],
    workdir: Path,
    threads: int,
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
    threads
        Threads of the backend.

    Returns
    -------
    dict
        As :func:`rmse`, with the ``path`` of each model, ``n_frames`` (good labels) and
        ``n_atoms`` (atoms in all of these frames, so three force components each).

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
        models, good, type_map=type_map, workdir=workdir, threads=threads
    )
    return report_of(models, predictions, [labels for _, labels in good])


def report_of(
    models: Sequence[Path], predictions: Sequence[Prediction], labels: Sequence[Labels]
) -> dict[str, Any]:
    """Errors over data sets whose predictions are there already; see :func:`evaluate_report`.

    Parameters
    ----------
    models
        Their paths, in the order of the predictions' model axis.
    predictions, labels
        One of each for every data set, at least one.
    """
    parts = [_squares(p, part) for p, part in zip(predictions, labels, strict=True)]
    total = parts[0]
    for part in parts[1:]:
        total += part
    report = _errors(total)
    entries: list[Mapping[str, Any]] = [
        {"path": str(path), **entry}
        for path, entry in zip(models, report["models"], strict=True)
    ]
    counted = [(int(part.is_good.sum()), part.frames.n_atoms) for part in labels]
    return report | {
        "models": entries,
        "n_frames": sum(frames for frames, _ in counted),
        "n_atoms": sum(frames * atoms for frames, atoms in counted),
    }


def max_force_deviation(
    forces: NDArray[np.float64], *, atoms: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Largest force deviation of an ensemble in each frame [eV/Å], shape ``(frame,)``.

    Parameters
    ----------
    forces
        Forces of each model [eV/Å], shape ``(model, frame, atom, xyz)``.
    atoms
        Atoms to look at, shape ``(atom,)``, such as those of the mobile species; all when None.

    Raises
    ------
    AnalysisError
        When no atom is chosen.

    Notes
    -----
    ``max_i sqrt(<|f_i - <f_i>|^2>)`` with means over the models (Huang et al. 2021, eq. 1,
    doi:10.1063/5.0041849).
    """
    chosen = forces if atoms is None else forces[:, :, atoms]
    if not chosen.shape[2]:
        msg = "force deviation: no atom of the chosen species in the frames"
        raise AnalysisError(msg)
    spread = ((chosen - chosen.mean(axis=0)) ** 2).sum(axis=-1).mean(axis=0)
    return np.asarray(np.sqrt(spread).max(axis=-1))
