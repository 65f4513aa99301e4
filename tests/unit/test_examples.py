from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*/*.ipynb"))
NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
_SESSION: dict[Path, tuple[str, dict[str, Any]]] = {}


def _cells(path: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return cells


def _printed(cells: list[dict[str, Any]]) -> str:
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "".join(line for output in outputs for line in output.get("text", []))


def _parts(text: str) -> tuple[list[str], list[float]]:
    """Words and numbers: the last digits of these depend on the processor."""
    words = [" ".join(part.split()) for part in re.split(NUMBER, text)]
    return words, [float(number) for number in re.findall(NUMBER, text)]


@pytest.fixture
def run_notebook() -> Callable[[Path], tuple[str, dict[str, Any]]]:
    """What a notebook prints, and the names it leaves; each is run once."""
    run_cells = runpy.run_path(str(ROOT / "tools" / "run_notebook.py"))["run_cells"]

    def run(path: Path) -> tuple[str, dict[str, Any]]:
        if path not in _SESSION:
            cells = _cells(path)
            names = run_cells(cells)
            _SESSION[path] = _printed(cells), names
        return _SESSION[path]

    return run


def test_every_example_is_listed() -> None:
    listed = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")

    assert NOTEBOOKS
    assert all(path.relative_to(ROOT / "examples").as_posix() in listed for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_prints_what_is_stored_in_it(path: Path, run_notebook: Any) -> None:
    stored = _printed(_cells(path))

    printed, _ = run_notebook(path)

    words, numbers = _parts(printed)
    stored_words, stored_numbers = _parts(stored)
    advice = f"python tools/run_notebook.py {path} stores the new outputs"
    assert words == stored_words, advice
    assert numbers == pytest.approx(stored_numbers, rel=0.02, abs=0.011), advice


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_code_cell_of_a_notebook_was_run_in_order(path: Path) -> None:
    code = [cell for cell in _cells(path) if cell["cell_type"] == "code"]

    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_of_a_notebook_name_no_folder_of_a_machine(path: Path) -> None:
    printed = _printed(_cells(path))

    assert not re.findall(r"(?:^|[\s'\"(])/\w+/", printed, flags=re.MULTILINE)


def test_trajectory_notebook_finds_what_it_put_in(run_notebook: Any) -> None:
    _, names = run_notebook(
        ROOT / "examples/01-trajectory-diffusion/trajectory-diffusion.ipynb"
    )
    known_D_m2_s, results, fit = names["known_D_m2_s"], names["results"], names["fit"]
    hot, residence = names["hot"], names["residence"]
    known_residence_ps = 1 / (6 * names["known_rate_ps"](names["cold"].temperature_K))

    for result in results:
        known = known_D_m2_s(result.temperature_K)
        assert result.D_low95_m2_s < known < result.D_high95_m2_s
    assert fit.Ea_eV == pytest.approx(names["EA_EV"], abs=1.96 * fit.Ea_err_eV)
    assert fit.D_low95_m2_s < known_D_m2_s(300) < fit.D_high95_m2_s
    assert hot.haven_ratio_low95 < 35 / 18 < hot.haven_ratio_high95
    assert residence.mean_ps == pytest.approx(known_residence_ps, abs=2 * residence.err_ps)
    assert len(names["sites"]) == names["N_SITES"]
