from __future__ import annotations

import numpy as np
import pytest
from lattice_walks import Walk, walk_run
from line_of_sites import follow, framed, run_along_x, sites_along_x

from dasksse.analyse import stays as stays_module
from dasksse.analyse.density_sites import density_sites
from dasksse.analyse.stays import follow_sites
from dasksse.errors import AnalysisError
from dasksse.records import MemoryTrajectory


def test_an_ion_stays_on_its_site_until_it_enters_another_core() -> None:
    history = follow([0.1, 1.4, 1.6, 0.2, 1.4, 2.2, 1.4, 1.6, 3.1])

    assert history.site.tolist() == [0, 1]
    assert history.entry.tolist() == [0, 5]
    assert history.end.tolist() == [5, 9]
    assert history.core_frames.tolist() == [2, 2]
    np.testing.assert_allclose(history.jump_A, [[3.0, 0.0, 0.0]], atol=1e-9)


def test_a_stay_begins_when_the_ion_is_in_a_core_for_the_first_time() -> None:
    history = follow([1.5, 1.5, 2.9, 3.0, 1.5, 0.0])

    assert history.site.tolist() == [1, 0]
    assert history.entry.tolist() == [2, 5]
    assert history.is_first.tolist() == [True, False]


def test_jumps_through_a_face_of_the_cell_have_their_true_vectors() -> None:
    history = follow([0.0, -6.8, -10.0], [3.0, 10.1, 13.0])

    np.testing.assert_allclose(history.jump_A[:, 0], [-7.0, -3.0, 7.0, 3.0], atol=1e-9)
    assert history.site.tolist() == [0, 1, 0, 1, 0, 1]


def test_a_jump_onto_the_image_of_the_same_site_is_a_jump() -> None:
    history = follow([0.0, 5.0, 10.0, 10.1], sites=sites_along_x(0.0))

    assert history.site.tolist() == [0, 0]
    np.testing.assert_allclose(history.length_A, [10.0])


def test_ions_that_never_touch_a_core_have_no_stay() -> None:
    history = follow([1.5, 1.5, 1.5], [0.0, 0.1, 3.0])

    assert history.ion.tolist() == [1, 1]
    assert history.ion_frames == 6


def test_blocks_and_pieces_do_not_change_the_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    run = walk_run(Walk(n_frames=3000))
    sites = density_sites([run], "Li")
    whole = follow_sites([run], sites)
    calls: list[tuple[int, int]] = []

    monkeypatch.setattr(stays_module, "_PIECE_FRAMES", 97)
    parts = follow_sites(
        [run],
        sites,
        memory_bytes=2_500_000,
        on_block=lambda done, total: calls.append((done, total)),
    )

    for name in ("ion", "site", "entry", "end", "core_frames"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
    np.testing.assert_allclose(parts.place, whole.place, atol=1e-6)
    assert len(calls) == calls[-1][0] == calls[-1][1] > 1


def test_a_breathing_cell_makes_no_jumps() -> None:
    run = walk_run(Walk(n_frames=2000))
    sites = density_sites([run], "Li")
    scale = 1.0 + 0.01 * np.sin(np.arange(2000) / 7.0)
    breathing = MemoryTrajectory(
        run.numbers,
        run.all_positions * scale[:, None, None],
        run.all_cells * scale[:, None, None],
        run.frame_interval_ps,
    )

    still, moved = follow_sites([run], sites), follow_sites([breathing], sites)

    np.testing.assert_array_equal(still.site, moved.site)
    np.testing.assert_array_equal(still.entry, moved.entry)


def test_planned_equilibration_is_left_out() -> None:
    run = framed(run_along_x([0.0, 3.0, 3.0, 0.0, 0.0], n_equilibration=2))

    history = follow_sites([run], sites_along_x(0.0, 3.0), radius_A=1.0)

    assert history.first_frames.tolist() == [2]
    assert history.entry.tolist() == [0, 1]
    assert history.site.tolist() == [1, 0]


def test_runs_with_different_frame_intervals_are_refused() -> None:
    runs = [run_along_x([0.0, 3.0], frame_interval_ps=dt, name=f"run {dt}") for dt in (0.5, 1)]

    with pytest.raises(AnalysisError, match=r"one time between frames.*run 1: 1 ps.*--every"):
        follow_sites(runs, sites_along_x(0.0, 3.0))


def test_sites_that_no_ion_visits_are_refused() -> None:
    with pytest.raises(
        AnalysisError, match=r"no Li is ever within 1\.00 Å of one of the 2 sites"
    ):
        follow([1.5, 1.5, 1.5])


def test_few_ions_are_cut_into_stretches_for_errors() -> None:
    history = follow([0.0, 3.0] * 40)

    assert history.n_stretches == 8
    assert history.n_samples == 8
    samples = history.sample_of(history.leaves)
    assert np.bincount(samples).tolist() == [9, 10, 10, 10, 10, 10, 10, 10]
