"""The example that measures speed, at toy size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dasksse.records import Workplace
from dasksse.train import evaluate_models

if TYPE_CHECKING:
    from types import ModuleType

EXAMPLE = Path(__file__).parents[2] / "examples" / "04-speed"
ABOUT = {"cpu": "a processor", "cpu_cores": 4, "load_1_min": 0.1}
MEASURED = {
    "device": "CPU",
    "date": "2026-01-01",
    "command": "python speed.py",
    "versions": {"dasksse": "1"},
    "machine": ABOUT,
    "reason": "",
}


def speed(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLE / "speed.py"), "--quick", "--dir", str(folder), *options],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.lammps
@pytest.mark.deepmd
@pytest.mark.slow
def test_sizes_and_runs_at_once_are_measured_and_kept(tmp_path: Path) -> None:
    asked = ("--parts", "md", "runs", "--cores", "2")

    done = speed(tmp_path, *asked)

    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "speed.json").read_text())
    rows = found["rows"]
    assert not any(row["reason"] for row in rows), done.stdout
    md = [row for row in rows if row["part"] == "md"]
    assert [(row["compressed"], row["n_models"], row["n_atoms"]) for row in md] == [
        (False, 1, 50), (False, 1, 100), (False, 2, 50), (False, 2, 100),
        (True, 1, 50), (True, 1, 100), (True, 2, 50), (True, 2, 100),
    ]  # fmt: skip
    assert [row["runs"] for row in rows if row["part"] == "runs"] == [1, 2]
    assert all(row["hours_per_ns"] > 0 for row in rows)
    assert all(row["machine"]["cpu"] and row["versions"]["deepmd-kit"] for row in rows)
    assert len(found["fits"]) == 4
    assert (tmp_path / "speed.png").stat().st_size > 0
    assert (tmp_path / "speed.md").read_text() in done.stdout

    again = speed(tmp_path, *asked)
    assert again.returncode == 0, again.stderr
    assert "0 of 4 parts to measure" in again.stdout
    assert json.loads((tmp_path / "speed.json").read_text()) == found

    other = speed(tmp_path, *asked, "--steps", "50")
    assert other.returncode == 1
    assert "give another --dir" in other.stderr


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, ModuleType, ModuleType]:
    """Models, MD and figure of the example."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    import speed_figure
    import speed_md
    import speed_models

    return speed_models, speed_md, speed_figure


@pytest.mark.deepmd
@pytest.mark.slow
def test_a_model_keeps_its_forces_in_another_precision(tmp_path: Path, modules: Any) -> None:
    models, _, _ = modules
    toy = models.Network("toy", models.TOY)
    source = models.made_model(toy, "float32", compressed=False, root=tmp_path)

    (network,) = models.given_networks([source], tmp_path / "about")
    twin = models.made_model(network, "float64", compressed=False, root=tmp_path)

    (found,) = evaluate_models(
        [source, twin],
        [("toy", models.toy_labels((1, 1, 1)))],
        type_map=models.TYPE_MAP,
        workdir=tmp_path / "test",
        workplace=Workplace(),
    )
    scale = np.sqrt(np.mean(found.forces[0] ** 2))
    assert scale > 0
    assert not np.array_equal(found.forces[0], found.forces[1])
    np.testing.assert_allclose(found.forces[1], found.forces[0], rtol=0, atol=1e-4 * scale)


def md_row(n_atoms: int, step_s: float, **facts: Any) -> dict[str, Any]:
    """A made-up row."""
    row = {"part": "md", "task": "md", "network": "given", "precision": "float32"}
    row |= {"compressed": False, "n_models": 1, "n_atoms": n_atoms, "step_s": step_s}
    row |= {"threads": 1, "ranks": 1, "runs": 1, "steps_per_s": 1 / step_s}
    return {**MEASURED, **row, "hours_per_ns": step_s * 5e5 / 3600, **facts}


def test_tables_fits_and_figure_follow_from_the_rows(modules: Any) -> None:
    *_, figure = modules
    rows = [md_row(n_atoms, 1e-4 * n_atoms) for n_atoms in (50, 400, 900)]
    rows += [md_row(900, 0.2, network="published", precision="float64")]
    rows += [md_row(400, 0.04, part="threads"), md_row(400, 0.02, part="threads", threads=2)]
    rows += [md_row(400, 0.04, part="threads", ranks=2)]
    rows += [
        md_row(400, 0.04, part="runs"),
        md_row(400, 0.05, part="runs", runs=2),
    ]
    rows[-1] |= {"step_s": None, "reason": "1 of 2 runs at once failed"}

    (law,) = figure.fits(rows)
    text = figure.markdown(rows, [law], is_quick=False)
    drawn = figure.draw(rows, [law])

    assert law["exponent"] == pytest.approx(1.0)
    assert law["b_s_per_atom"] == pytest.approx(1e-4)
    assert "| given | float32 | 1 | 0.69" in text
    assert "| threads | 400 | 2 | 50.0 | 2.00 |" in text
    assert "| MPI ranks | 400 | 2 | 25.0 | 1.00 |" in text
    assert "- md: 1 of 2 runs at once failed" in text
    assert len(drawn.axes) == 2
    labels = [line.get_label() for line in drawn.axes[0].lines]
    assert labels[-1].startswith("Huang et al. 2021")
    assert [tick.get_text() for tick in drawn.axes[0].get_xticklabels()] == ["50", "400", "900"]


def test_counts_double_up_to_the_cores(modules: Any) -> None:
    _, md, _ = modules

    assert [md.doublings(n) for n in (1, 2, 6, 8)] == [[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8]]
