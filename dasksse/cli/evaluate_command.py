"""``dasksse evaluate``: errors of models on labelled data."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from dasksse.errors import ConfigError
from dasksse.records import Workplace
from dasksse.scratch import ScratchFolder
from dasksse.store.folders import write_json

if TYPE_CHECKING:
    import argparse

_COLUMNS = {
    "energy_rmse_meV_atom": "E (meV/atom)",
    "force_rmse_meV_A": "F (meV/Å)",
    "virial_rmse_meV_atom": "virial (meV/atom)",
}


def command(arguments: argparse.Namespace) -> int:
    """Evaluate models and print a table; write JSON when asked."""
    from dasksse.train import describe_model, evaluate_report, read_labels

    for path in [*arguments.models, arguments.data]:
        if not path.exists():
            msg = f"{path}: no such file or folder"
            raise ConfigError(msg)
    with contextlib.closing(ScratchFolder("evaluate")) as scratch:
        known = describe_model(arguments.models[0], workdir=scratch.path).type_map
        # data without type_map.raw have the types of the models
        type_map = known if arguments.type_map is None else arguments.type_map.split(",")
        values = evaluate_report(
            arguments.models,
            read_labels(arguments.data, type_map=type_map),
            type_map=known,
            workdir=scratch.path,
            workplace=Workplace(threads=int(os.environ.get("OMP_NUM_THREADS", "1"))),
        )
    _print(Console(), values)
    if arguments.json is not None:
        write_json(arguments.json, values)
    return 0


def _print(console: Console, values: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("model")
    for title in _COLUMNS.values():
        table.add_column(title, justify="right")
    for model in values["models"]:
        table.add_row(str(model["path"]), *(_cell(model[key]) for key in _COLUMNS))
    table.add_row("mean ± std", *_means(values))
    console.print(table)
    if len(values["materials"]) > 1:
        console.print(_material_table(values["materials"]))
    console.print(_element_table(values["elements"]))
    console.print(f"{values['n_frames']} frames, {values['n_atoms']} atoms", highlight=False)


def _material_table(materials: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("material, mean ± std")
    for title in ("frames", *_COLUMNS.values()):
        table.add_column(title, justify="right")
    for formula, errors in materials.items():
        table.add_row(formula, str(errors["n_frames"]), *_means(errors))
    return table


def _element_table(elements: dict[str, Any]) -> Table:
    """Force errors by element; a slope below one is that of a potential too soft."""
    table = Table(box=None, pad_edge=False)
    table.add_column("forces on, mean ± std")
    for title in ("F (meV/Å)", "RMS of labels (meV/Å)", "slope, model against label"):
        table.add_column(title, justify="right")
    for symbol, errors in elements.items():
        mean, std = errors["mean"], errors["std"]
        force, slope = "force_rmse_meV_A", "force_slope"
        table.add_row(
            symbol,
            f"{_cell(mean[force])} ± {_cell(std[force])}",
            _cell(errors["force_rms_meV_A"]),
            f"{_cell(mean[slope], 3)} ± {_cell(std[slope], 3)}",
        )
    return table


def _means(errors: dict[str, Any]) -> list[str]:
    return [f"{_cell(errors['mean'][k])} ± {_cell(errors['std'][k])}" for k in _COLUMNS]


def _cell(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
