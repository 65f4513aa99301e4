from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from ase import Atoms
from pretender import toy
from study_player import ELEMENTS, LGPS, MODELS, StudyPlayer

from dasksse.errors import AnalysisError
from dasksse.loop.walk import RunState, Walk
from dasksse.records import Frames, MemoryTrajectory, UnitContext
from dasksse.study import cell_lengths
from dasksse.study.bench import Bench
from dasksse.study.thermal_expansion import ThermalExpansion, measured_expansion

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


T = (300.0, 400.0, 500.0, 600.0, 700.0, 900.0)
A, C = 8.72, 12.64
PER_A, PER_C = 2.9e-5, 3.8e-5


def cell_point(temperature_K: float, *, noise: float = 1e-4, **changes: Any) -> dict[str, Any]:
    """Point of the reduction on the exact line; 900 K is off it, as the crystal softens."""
    extra = 0.02 if temperature_K > 700.0 else 0.0
    a = A * (1.0 + PER_A * (temperature_K - 300.0) + extra)
    c = C * (1.0 + PER_C * (temperature_K - 300.0) + extra)
    sizes = {"a_A": a, "b_A": a, "ab_A": a, "c_A": c, "volume_A3": a * a * c}
    errors = {
        f"{key.rsplit('_', 1)[0]}_err_{key.rsplit('_', 1)[1]}": noise * value
        for key, value in sizes.items()
    }
    return {
        "temperature_K": temperature_K,
        **sizes,
        **errors,
        "left_out": "",
        "n_runs": 1,
        "length_ps": 1000.0,
        "equilibration_ps": 20.0,
        "n_independent": 300.0,
        "mean_temperature_K": temperature_K + 0.3,
        "mean_temperature_err_K": 0.4,
        "pressure_GPa": 0.001,
        "pressure_err_GPa": 0.002,
        "untrusted_fraction": 0.0,
        **changes,
    }


def bench(points: list[dict[str, Any]], *notes: str, **settings: Any) -> StudyPlayer:
    record = {"points": points, "notes": list(notes), "a_equals_b": True}
    config = toy(
        type_map=ELEMENTS, studies__thermal_expansion={"temperatures_K": T, **settings}
    )
    answers = {"cell_lengths:measure": lambda _: record}
    return StudyPlayer([ThermalExpansion()], config, answers=answers)


def test_coefficients_are_those_of_the_lines_below_the_limit() -> None:
    made = bench([cell_point(at) for at in T])
    outcome = made.conclude()
    fits = outcome.values["fits"]
    assert list(fits) == ["a", "c", "volume"]
    assert fits["a"]["coefficient_per_K"] == pytest.approx(PER_A)
    assert fits["c"]["coefficient_per_K"] == pytest.approx(PER_C)
    assert outcome.values["alpha_per_K"] == pytest.approx((2 * PER_A + PER_C) / 3.0, rel=0.03)
    assert [point["is_fitted"] for point in outcome.values["points"]] == [True] * 5 + [False]
    assert outcome.verdict.level == "trust"
    assert "times the 3.2 × 10⁻⁵ 1/K that Huang et al. 2021" in outcome.verdict.text
    panels = ThermalExpansion().draw(outcome.values).axes
    assert [axes.get_title(loc="left") for axes in panels] == ["a = b", "c", "volume"]
    assert {unit.payload["spec"]["ensemble"] for unit in made.asked("production")} == {
        "npt-aniso"
    }


def test_payload_names_supercell_structure_and_trust_level() -> None:
    made = bench([cell_point(at) for at in T])
    made.conclude()
    (unit,) = made.asked("study")
    (structure,) = made.asked("structure")
    assert unit.payload["supercell"] == [1, 1, 1]
    assert unit.payload["structure_file"] == made.results[structure.key]["file"]
    assert unit.payload["temperatures_K"] == list(T)
    assert unit.payload["high_eV_A"] == made.config.select.trust.high_eV_A


def test_another_material_is_not_compared() -> None:
    made = bench([cell_point(at) for at in T])
    made.numbers = [*LGPS, 3]
    outcome = made.conclude()
    assert "Huang" not in outcome.verdict.text
    assert outcome.values["published_per_K"] == {}


def test_what_makes_it_uncertain_is_said() -> None:
    points = [cell_point(at) for at in T]
    points[1] |= {"pressure_GPa": 0.05, "pressure_err_GPa": 0.002}
    points[2] |= {"n_independent": 4.0}
    points[3] |= {"untrusted_fraction": 0.2}
    outcome = bench(points).conclude()
    assert outcome.verdict.level == "care"
    for text in ("mean pressure", "4.0 independent volumes", "20.0 % of frames"):
        assert any(text in note for note in outcome.notes)


def test_molten_temperatures_are_not_fitted_and_too_few_are_a_doubt() -> None:
    molten = [cell_point(at, left_out="framework melted: S") for at in T[1:]]
    made = bench([cell_point(300.0), *molten], "400 K: framework melted: S")
    outcome = made.conclude()
    assert outcome.verdict.level == "doubt"
    assert outcome.values["alpha_per_K"] is None
    assert "400 K: framework melted: S" in outcome.notes
    ThermalExpansion().draw(outcome.values)


def test_nothing_read_is_an_outcome_without_figure() -> None:
    outcome = bench([]).conclude()
    assert outcome.verdict.level == "doubt"
    with pytest.raises(AnalysisError, match="mean cell"):
        ThermalExpansion().draw(outcome.values)


def test_measured_expansion_waits_then_answers_and_is_nan_where_there_is_none(
    tmp_path: Path,
) -> None:
    def ask(made: StudyPlayer, results: Mapping[str, Any]) -> float | None:
        return measured_expansion(
            Bench(
                walk=Walk(RunState(results)),
                config=made.config,
                digests={"salt": "0" * 16},
                models=MODELS,
                labels=(),
                root=tmp_path,
                base_dir=tmp_path,
                levels=(0.05, 5.0),
            )
        )

    made = bench([cell_point(at) for at in T])
    assert ask(made, {}) is None
    made.conclude()
    assert ask(made, made.results) == pytest.approx((2 * PER_A + PER_C) / 3.0, rel=0.03)
    none = bench([])
    none.conclude()
    assert math.isnan(ask(none, none.results) or 0.0)


def crystal_run(
    temperature_K: float,
    *,
    n_frames: int = 400,
    lengths: tuple[float, float, float] = (A, A, C),
    drift: float = 0.0,
    melts: bool = False,
    seed: int = 0,
) -> MemoryTrajectory:
    """NpT of a cell twice as long as the file's, with 30 frames in which it still grows."""
    rng = np.random.default_rng(seed)
    start = 2.0 * np.array(lengths)
    scale = 1.0 + 0.002 * rng.normal(size=(n_frames, 3))
    scale -= 0.05 * np.exp(-np.arange(n_frames) / 8.0)[:, None]
    scale += drift * np.linspace(0.0, 1.0, n_frames)[:, None]
    cells = np.zeros((n_frames, 3, 3))
    cells[:, range(3), range(3)] = start * scale
    sites = rng.random((60, 3))
    fractions = sites + rng.normal(0.0, 0.003, (n_frames, 60, 3))
    if melts:
        fractions += np.cumsum(rng.normal(0.0, 0.02, (n_frames, 60, 3)), axis=0)
    positions = np.einsum("fai,fij->faj", fractions, cells)
    return MemoryTrajectory(
        np.repeat([3, 15, 16], 20), positions, cells, 0.5, temperature_K, 10, f"{temperature_K}"
    )


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    def measure(runs: list[MemoryTrajectory], *, n_planned: int = 400) -> dict[str, Any]:
        crystal = Atoms("Li", cell=2.0 * np.array([A, A, C]), pbc=True)
        file = tmp_path / "system.npz"
        Frames(crystal.numbers, crystal.positions[None], crystal.cell.array[None]).save(file)
        monkeypatch.setattr(
            "dasksse.loop.stages.diffusion.read_runs", lambda *_: (runs, ["a shard is damaged"])
        )
        payload = {
            "n_valid": {str(n): run.n_frames for n, run in enumerate(runs)},
            "n_planned": n_planned,
            "temperatures_K": [*(run.temperature_K for run in runs), 1000.0],
            "structure_file": "system.npz",
            "supercell": [2, 2, 2],
            "mobile_species": "Li",
            "high_eV_A": 0.25,
        }
        return cell_lengths.measure(payload, UnitContext(tmp_path, tmp_path, lambda *_: None))

    return measure


def test_mean_cell_of_one_repeat_without_its_equilibration(measured: Any) -> None:
    record = measured([crystal_run(300.0), crystal_run(300.0, seed=1)])
    (point,) = record["points"]
    assert record["a_equals_b"]
    assert point["a_A"] == pytest.approx(A, abs=4 * point["a_err_A"])
    assert point["c_A"] == pytest.approx(C, abs=4 * point["c_err_A"])
    assert point["volume_A3"] == pytest.approx(A * A * C, abs=4 * point["volume_err_A3"])
    frames = 2 * 400 - 2 * point["equilibration_ps"] / 0.5
    assert point["a_err_A"] == pytest.approx(A * 0.002 / np.sqrt(frames), rel=0.4)
    assert point["ab_err_A"] < point["a_err_A"]
    assert point["equilibration_ps"] > 8.0
    assert point["n_runs"] == 2
    assert point["pressure_GPa"] is None
    assert record["notes"] == ["a shard is damaged", "1000 K: run 2 was lost"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"n_frames": 200}, "broke off after 99.5 of 199.5 ps"),
        ({"drift": 0.1}, "the volume ran away, by"),
        ({"lengths": (1.1 * A, 1.1 * A, 1.1 * C)}, "ran away to 1.33 times"),
        ({"melts": True}, "framework melted: P, S"),
    ],
)
def test_runs_that_are_no_steady_crystal_are_left_out(
    measured: Any, changes: dict[str, Any], reason: str
) -> None:
    record = measured([crystal_run(300.0, **changes)])
    (point,) = record["points"]
    assert reason in point["left_out"]
    assert point["n_runs"] == 0
    assert any(note.startswith("300 K: ") and reason in note for note in record["notes"])
    beside = measured([crystal_run(300.0, **changes), crystal_run(300.0, seed=1)])["points"][0]
    assert beside["left_out"] == ""
    assert beside["n_runs"] == 1
    assert beside["a_A"] == pytest.approx(A, abs=4 * beside["a_err_A"])


def test_cell_that_is_not_tetragonal_keeps_a_and_b_apart() -> None:
    oblong = Atoms("Li", cell=[10.0, 12.0, 11.0])
    assert not cell_lengths._a_equals_b(oblong, (1, 1, 1))
    assert cell_lengths._a_equals_b(Atoms("Li", cell=[20.0, 10.0, 11.0]), (2, 1, 1))
    assert not cell_lengths._a_equals_b(Atoms("Li", cell=[10, 10, 12, 90, 110, 90]), (1, 1, 1))
    assert cell_lengths._a_equals_b(Atoms("Li", cell=[10, 10, 12, 90, 90, 120]), (1, 1, 1))
