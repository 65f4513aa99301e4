"""What ``dasksse evaluate`` prints."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from dasksse.cli import evaluate_command


def _errors(force: float, n_frames: int) -> dict[str, Any]:
    mean = {
        "energy_rmse_meV_atom": 2.0,
        "force_rmse_meV_A": force,
        "virial_rmse_meV_atom": None,
    }
    return {
        "models": [{"path": "model_0.pb", **mean}],
        "mean": mean,
        "std": dict.fromkeys(mean),
        "n_frames": n_frames,
        "n_atoms": 50 * n_frames,
    }


def _printed(materials: dict[str, Any]) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=120, color_system=None)
    elements = {
        "Li": {
            "force_rms_meV_A": 511.0,
            "mean": {"force_rmse_meV_A": 60.1, "force_slope": 0.9951},
            "std": {"force_rmse_meV_A": None, "force_slope": None},
        }
    }
    values = _errors(80.0, 7) | {"materials": materials, "elements": elements}
    evaluate_command._print(console, values)
    return stream.getvalue()


def test_errors_of_each_material_are_printed_where_there_are_several() -> None:
    text = _printed({"Li10GeP2S12": _errors(70.0, 4), "Li10SnP2S12": _errors(91.5, 3)})

    (row,) = [line for line in text.splitlines() if line.startswith("Li10SnP2S12")]
    assert row.split()[1] == "3"
    assert "91.50" in row
    assert text.splitlines()[-1] == "7 frames, 350 atoms"


def test_one_material_needs_no_second_table() -> None:
    assert "Li10GeP2S12" not in _printed({"Li10GeP2S12": _errors(80.0, 7)})


def test_forces_on_each_element_have_their_slope() -> None:
    (row,) = [line for line in _printed({}).splitlines() if line.startswith("Li ")]

    assert row.split() == ["Li", "60.10", "±", "-", "511.00", "0.995", "±", "-"]
