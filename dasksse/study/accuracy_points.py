"""Points of parity plots, and the errors by element, from the arrays of an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols

from dasksse.train import force_slope
from dasksse.units import MEV_PER_EV

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dasksse.records import Json, UnitContext

    Arrays = Mapping[str, NDArray[Any]]


def points(payload: Mapping[str, Json], context: UnitContext) -> dict[str, Any]:
    """Points of each set of an evaluation, at most so many, with spreads of the labels.

    Returns
    -------
    dict
        By set: ``force_rms_meV_A`` and ``energy_std_meV_atom`` of the labels, ``by_element``
        with RMSE, RMS and slope of the force, and ``points`` to draw; errors are those of the
        first member.
    """
    with np.load(context.run_dir / payload["file"]) as file:
        return {
            name: _of_set(
                {
                    key.removeprefix(f"{name}/"): file[key]
                    for key in file.files
                    if key.startswith(f"{name}/")
                },
                n_energies=payload["n_energies"],
                n_forces=payload["n_forces"],
            )
            for name in sorted({key.split("/")[0] for key in file.files})
        }


def _of_set(arrays: Arrays, *, n_energies: int, n_forces: int) -> dict[str, Any]:
    label, model = arrays["force_label"], arrays["force_model"]
    numbers = arrays["force_number"]
    by_element = {
        chemical_symbols[number]: {
            "force_rmse_meV_A": _rms_meV((model - label)[numbers == number]),
            "force_rms_meV_A": _rms_meV(label[numbers == number]),
            "force_slope": force_slope(label[numbers == number], model[numbers == number]),
        }
        for number in np.unique(numbers)
    }
    # energies of two sizes of cell may follow each other: a random choice, not every n-th
    rng = np.random.default_rng(0)
    energies = _chosen(len(arrays["energy_label"]), n_energies, rng)
    forces = _chosen(len(label), n_forces, rng)
    mean_eV = float(arrays["energy_label"].mean())
    return {
        "force_rms_meV_A": _rms_meV(label),
        "energy_std_meV_atom": MEV_PER_EV * float(arrays["energy_label"].std()),
        "by_element": by_element,
        "points": {
            **{
                f"energy_{side}_meV_atom": _rounded(
                    MEV_PER_EV * (arrays[f"energy_{side}"][energies] - mean_eV), 3
                )
                for side in ("label", "model")
            },
            "force_label_eV_A": _rounded(label[forces], 4),
            "force_model_eV_A": _rounded(model[forces], 4),
            "element": [chemical_symbols[number] for number in numbers[forces]],
        },
    }


def _rms_meV(values: NDArray[np.float64]) -> float:
    return MEV_PER_EV * float(np.sqrt(np.mean(values**2)))


def _chosen(n_values: int, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    if n_values <= most:
        return np.arange(n_values)
    return np.sort(rng.choice(n_values, most, replace=False))


def _rounded(values: NDArray[np.float64], digits: int) -> list[float]:
    return [float(value) for value in np.round(values, digits)]
