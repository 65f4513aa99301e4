"""Which runs and frames are used, what is said of them, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dasksse.analyse import estimate_diffusion, mean_squared_displacement
from dasksse.analyse.paths import follow
from dasksse.analyse.transport import choose_frames, count_blocks, diffuse, framework_msd
from dasksse.engine.reductions import thread_starmap
from dasksse.errors import AnalysisError
from dasksse.records import MemoryTrajectory

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBERS = np.array([3] * 12 + [15] * 4 + [16] * 8)
CELL = np.array([[12.0, 0.0, 0.0], [1.0, 11.0, 0.0], [0.0, 2.0, 13.0]])
STEP_A = 0.2


class Watched(MemoryTrajectory):
    """A run with numbers of its frames."""

    def scalars(self, name: str) -> NDArray[np.float64] | None:
        """Deviations that rise from 0 to 1 eV/Å; nothing else is known."""
        return np.linspace(0.0, 1.0, self.n_frames) if name == "deviation_max" else None


def walk(n_frames: int = 600, *, seed: int = 0, name: str = "run") -> MemoryTrajectory:
    """Li that walks, a framework that vibrates, and a drift of everything."""
    rng = np.random.default_rng(seed)
    positions = rng.normal(0.0, 0.05, (n_frames, len(NUMBERS), 3))
    positions[:, NUMBERS == 3] += np.cumsum(rng.normal(0.0, STEP_A, (n_frames, 12, 3)), axis=0)
    positions += np.cumsum(rng.normal(0.0, 0.1, (n_frames, 1, 3)), axis=0)
    return MemoryTrajectory(NUMBERS, positions, CELL, 0.1, 600.0, name=name)


def with_breathing_cell(run: MemoryTrajectory) -> MemoryTrajectory:
    scale = 1.0 + 0.01 * np.sin(np.arange(run.n_frames))[:, None, None]
    return replace(run, all_cells=CELL * scale)


def test_the_result_is_that_of_positions_in_memory() -> None:
    runs = [walk(seed=1), walk(500, seed=2)]

    result = diffuse(choose_frames(runs, "Li", equilibration_ps=0.0), "Li", charge=1.0)

    expected = estimate_diffusion(
        [run.all_positions for run in runs],
        cells_per_run=[CELL, CELL],
        numbers=NUMBERS,
        mobile="Li",
        temperature_K=600.0,
        frame_interval_ps=0.1,
        charge=1.0,
    )
    assert result.to_json() == expected.to_json()


def test_threads_and_little_memory_change_nothing() -> None:
    usage = choose_frames([walk(seed=1), walk(seed=2)], "Li", equilibration_ps=0.0)

    plain = diffuse(usage, "Li")
    with thread_starmap(3) as starmap:
        threaded = diffuse(usage, "Li", memory_bytes=500_000, starmap=starmap)

    assert threaded.D_m2_s == pytest.approx(plain.D_m2_s, rel=1e-9)
    assert count_blocks(usage, ["Li"], memory_bytes=500_000) > count_blocks(usage, ["Li"])


def test_a_known_diffusion_coefficient_is_found() -> None:
    runs = [walk(3000, seed=seed) for seed in range(4)]

    result = diffuse(choose_frames(runs, "Li"), "Li")

    D = STEP_A**2 / 2.0 / 0.1 * 1e-8
    assert result.D_m2_s is not None
    assert abs(result.D_m2_s - D) < 3.0 * (result.D_err_m2_s or 0.0)


def test_planned_equilibration_is_left_out_unless_another_is_given() -> None:
    run = replace(walk(), n_equilibration=50)

    assert choose_frames([run], "Li").first_frames == (50,)
    assert choose_frames([run], "Li", equilibration_ps=12.0).first_frames == (120,)
    assert choose_frames([run], "Li", equilibration_ps=0.0).first_frames == (0,)


def test_a_start_that_is_unlike_the_rest_is_found_and_said() -> None:
    run = walk(4000, seed=3)
    steps = np.diff(run.all_positions, axis=0, prepend=run.all_positions[:1])
    steps[:600, NUMBERS == 3] *= 6.0
    hot = replace(run, all_positions=np.cumsum(steps, axis=0))

    usage = choose_frames([hot], "Li")

    assert usage.first_frames[0] == pytest.approx(600, abs=150)
    assert "mobility of Li" in usage.notes[0]
    assert choose_frames([run], "Li").first_frames == (0,)


def test_short_runs_are_left_out_and_said() -> None:
    usage = choose_frames([walk(name="long"), walk(250, name="short")], "Li")

    assert [run.name for run in usage.runs] == ["long"]
    assert usage.notes == ("short: left out, 250 frames are less than half of 600",)


def test_runs_of_constant_cell_go_first() -> None:
    fixed, varying = walk(name="nvt"), with_breathing_cell(walk(name="npt"))

    usage = choose_frames([fixed, varying], "Li")

    assert [run.name for run in usage.runs] == ["nvt"]
    assert usage.notes == ("npt: left out, its cell varies",)


def test_only_variable_cells_are_used_and_said() -> None:
    run = with_breathing_cell(walk())

    usage = choose_frames([run], "Li")

    assert len(usage.runs) == 1
    assert "the cell varies" in usage.notes[0]
    volumes = np.abs(np.linalg.det(run.cells()))
    assert usage.volume_A3 == pytest.approx(volumes.mean())


def test_frames_outside_trust_are_counted_after_equilibration() -> None:
    run = Watched(NUMBERS, walk(501).all_positions, CELL, 0.1, 600.0)

    result = diffuse(choose_frames([run], "Li", equilibration_ps=25.0), "Li", trust_eV_A=0.75)

    assert result.untrusted_fraction == pytest.approx(0.5, abs=0.01)
    assert diffuse(choose_frames([run], "Li"), "Li").untrusted_fraction is None


def test_the_framework_has_its_own_curves() -> None:
    runs = [walk(seed=4), walk(seed=5)]

    curves = framework_msd(choose_frames(runs, "Li", equilibration_ps=0.0), "Li")

    assert list(curves) == ["P", "S"]
    direct = []
    for run in runs:
        columns = follow(run, "Li").columns(np.flatnonzero(NUMBERS == 15))
        direct.append(mean_squared_displacement(columns.transpose(2, 1, 0)))
    np.testing.assert_allclose(curves["P"], np.mean(direct, axis=0), rtol=1e-9, atol=1e-12)


def test_without_framework_the_box_is_the_frame() -> None:
    lone = MemoryTrajectory(np.full(12, 3), walk().all_positions[:, :12], CELL, 0.1)

    result = diffuse(choose_frames([lone], "Li"), "Li")

    assert result.regime == "diffusive"
    assert result.sigma_mS_cm is None
    assert not framework_msd(choose_frames([lone], "Li"), "Li")


@pytest.mark.parametrize(
    ("runs", "mobile", "message"),
    [
        ([], "Li", "no run"),
        ([walk(15)], "Li", "at least 20"),
        ([walk()], "Na", "no 'Na' among the atoms; elements present: Li, P, S"),
        ([walk(), replace(walk(), frame_interval_ps=0.2)], "Li", "one by one"),
    ],
)
def test_what_cannot_be_analysed_is_refused(
    runs: list[MemoryTrajectory], mobile: str, message: str
) -> None:
    with pytest.raises(AnalysisError, match=message):
        choose_frames(runs, mobile)


def test_a_negative_equilibration_is_refused() -> None:
    with pytest.raises(AnalysisError, match="at least 0"):
        choose_frames([walk()], "Li", equilibration_ps=-1.0)
