"""How far predictions are from labels, and how far the models of an ensemble are apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols

from dasksse.errors import AnalysisError
from dasksse.records.formula import reduced_formula
from dasksse.units import MEV_PER_EV

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dasksse.records import Labels
    from dasksse.train.evaluate import Prediction

_QUANTITIES = ("energy_rmse_meV_atom", "force_rmse_meV_A", "virial_rmse_meV_atom")


@dataclass(frozen=True)
class _Squares:
    """Sums of squared errors over good frames, each of shape ``(model,)``, and their counts."""

    sums: NDArray[np.float64]
    counts: NDArray[np.int64]

    def __add__(self, other: _Squares) -> _Squares:
        return _Squares(self.sums + other.sums, self.counts + other.counts)


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


def _finite(
    values: NDArray[np.float64], keys: Sequence[str] = _QUANTITIES
) -> dict[str, float | None]:
    return {
        key: float(value) if np.isfinite(value) else None
        for key, value in zip(keys, values, strict=True)
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
        From :func:`dasksse.train.evaluate_models`.
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


def report_of(
    models: Sequence[Path], predictions: Sequence[Prediction], labels: Sequence[Labels]
) -> dict[str, Any]:
    """Errors over data sets whose predictions are there already.

    Parameters
    ----------
    models
        Their paths, in the order of the predictions' model axis.
    predictions, labels
        One of each for every data set, at least one.

    Returns
    -------
    dict
        As :func:`dasksse.train.evaluate_report`.
    """
    report = _pooled(predictions, labels)
    entries: list[Mapping[str, Any]] = [
        {"path": str(path), **entry}
        for path, entry in zip(models, report["models"], strict=True)
    ]
    return report | {"models": entries}


def _pooled(predictions: Sequence[Prediction], labels: Sequence[Labels]) -> dict[str, Any]:
    """Errors over some data sets together, and how many frames and atoms they have."""
    parts = [_squares(p, part) for p, part in zip(predictions, labels, strict=True)]
    total = parts[0]
    for part in parts[1:]:
        total += part
    counted = [(int(part.is_good.sum()), part.frames.n_atoms) for part in labels]
    return _errors(total) | {
        "n_frames": sum(frames for frames, _ in counted),
        "n_atoms": sum(frames * atoms for frames, atoms in counted),
    }


def report_by_material(
    predictions: Sequence[Prediction], labels: Sequence[Labels], *, type_map: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Errors of each material, by reduced formula.

    Parameters
    ----------
    predictions, labels
        One of each for every data set, at least one.
    type_map
        Order of the elements in a formula.

    Returns
    -------
    dict
        Formula to what :func:`rmse` gives, with ``n_frames`` and ``n_atoms``; formulas in order
        of appearance.
    """
    parts: dict[str, list[int]] = {}
    for index, part in enumerate(labels):
        symbols = [chemical_symbols[z] for z in part.frames.numbers]
        formula = reduced_formula("".join(symbols), type_map)
        parts.setdefault(formula, []).append(index)
    return {
        formula: _pooled([predictions[i] for i in chosen], [labels[i] for i in chosen])
        for formula, chosen in parts.items()
    }


def report_by_element(
    predictions: Sequence[Prediction], labels: Sequence[Labels]
) -> dict[str, dict[str, Any]]:
    """Errors of the force on the atoms of each element, and whether they are too soft.

    Parameters
    ----------
    predictions, labels
        One of each for every data set, at least one; bad labels are left out.

    Returns
    -------
    dict
        Symbol to ``n_forces`` (components), ``force_rms_meV_A`` of the labels, and ``mean`` and
        ``std`` over the models (sample standard deviation, None of a single one) of
        ``force_rmse_meV_A`` and ``force_slope``; elements in order of atomic number. The slope
        is None where all forces of the labels are zero.

    Notes
    -----
    ``force_slope`` is ``sum(F_model F_label) / sum(F_label**2)``, the line through the origin.
    Below one the potential is too soft: barriers come out too low and D too high (Deng et al.
    2025, doi:10.1038/s41524-024-01500-6).
    """
    found: dict[int, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {}
    for prediction, part in zip(predictions, labels, strict=True):
        n_models = len(prediction.forces)
        for number in np.unique(part.frames.numbers):
            atoms = part.frames.numbers == number
            model = prediction.forces[:, part.is_good][:, :, atoms].reshape(n_models, -1)
            label = part.forces[part.is_good][:, atoms].ravel()
            found.setdefault(int(number), []).append((model, label))
    return {
        chemical_symbols[number]: _of_element(
            np.concatenate([model for model, _ in parts], axis=1),
            np.concatenate([label for _, label in parts]),
        )
        for number, parts in sorted(found.items())
    }


def _of_element(model: NDArray[np.float64], label: NDArray[np.float64]) -> dict[str, Any]:
    """Errors of force components ``(model, component)`` against labels ``(component,)``."""
    error = MEV_PER_EV * np.sqrt(np.mean((model - label) ** 2, axis=1))
    slope = [force_slope(label, one) for one in model]
    table = np.array([error, [np.nan if one is None else one for one in slope]])
    spread = np.std(table, axis=1, ddof=1) if len(model) > 1 else np.full(2, np.nan)
    keys = ("force_rmse_meV_A", "force_slope")
    return {
        "n_forces": len(label),
        "force_rms_meV_A": MEV_PER_EV * float(np.sqrt(np.mean(label**2))),
        "mean": _finite(table.mean(axis=1), keys),
        "std": _finite(spread, keys),
    }


def force_slope(label: NDArray[np.float64], model: NDArray[np.float64]) -> float | None:
    """Slope of the line through the origin of predicted against labelled force components.

    Parameters
    ----------
    label, model
        Components of equal order and unit, of equal shape.

    Returns
    -------
    float | None
        Below one for a potential that is too soft; None where all labels are zero.
    """
    square = float(np.vdot(label, label))
    return float(np.vdot(label, model)) / square if square > 0.0 else None


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
