"""Results of a run: diffusion of each system and accuracy of the last ensemble."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols

from dasksse.report.data import ParityData, ProductionRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dasksse.report.run_units import RunUnits


def arrhenius_fits(run: RunUnits) -> dict[str, Any]:
    """Arrhenius fit of each system, None where there is none."""
    return {_system_of(d): d["arrhenius"] for d in run.results("diffusion")}


def parity_by_set(run: RunUnits) -> dict[str, ParityData]:
    """Labels against predictions of the last ensemble, by set of frames."""
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


def production_rows(run: RunUnits) -> list[ProductionRow]:
    """One row for each system and temperature whose runs have been analysed."""
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


def _system_of(record: Mapping[str, Any]) -> str:
    return str(record["group"]).rpartition("/")[2]
