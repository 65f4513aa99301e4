from __future__ import annotations

import json

import numpy as np
import pytest
from lattice_walks import Walk, walk_run
from line_of_sites import follow, framed, run_along_x, sites_along_x

from dasksse.analyse.density_sites import density_sites
from dasksse.analyse.jumps import analyse_jumps, length_histogram, passes_over
from dasksse.analyse.sites import Sites
from dasksse.analyse.stays import follow_sites
from dasksse.errors import AnalysisError


def two_classes() -> Sites:
    sites = sites_along_x(0.0, 3.0)
    return Sites(**(vars(sites) | {"classes": ("low", "high"), "class_of": np.array([0, 1])}))


def test_occupations_are_shares_of_time() -> None:
    occupation = analyse_jumps(follow([0.0] * 15 + [3.0] * 5, [0.0] * 20)).occupation

    np.testing.assert_allclose(occupation.of_site, [1.75, 0.25])
    np.testing.assert_allclose(occupation.of_class, [1.0])
    assert occupation.of_class_err.tolist() == [0.0]
    assert occupation.of_site_err.min() > 0.1
    assert occupation.between_share == 0.0


def test_time_between_cores_counts_for_the_last_site() -> None:
    occupation = analyse_jumps(follow([0.3, 1.5, 1.5, 0.3, 3.0, 3.0, 3.0, 3.0])).occupation

    np.testing.assert_allclose(occupation.of_site, [0.5, 0.5])
    assert occupation.between_share == pytest.approx(0.25)
    assert occupation.core_share[0] == pytest.approx(0.75)
    assert occupation.core_rms_A[0] == pytest.approx(np.sqrt(2 * 0.09 / 6))


def test_rates_are_jumps_over_time_with_bounds_where_there_are_none() -> None:
    history = follow([0.0] * 10 + [3.0] * 10, [0.0] * 20, sites=two_classes())

    rates = {(rate.origin, rate.target): rate for rate in analyse_jumps(history).rates}

    up = rates["low", "high"]
    assert (up.n_jumps, up.rate_per_ps) == (1, pytest.approx(1 / 15.0))
    assert up.err_per_ps is not None
    assert up.err_per_ps >= 1 / 15.0
    assert up.mean_length_A == pytest.approx(3.0)
    assert up.barrier_eV is None
    down = rates["high", "low"]
    assert (down.n_jumps, down.rate_per_ps, down.mean_length_A) == (0, 0.0, None)
    assert down.upper_bound_per_ps == pytest.approx(-np.log(0.05) / 5.0)


def test_an_effective_barrier_needs_temperature_and_attempt_frequency() -> None:
    history = follow([0.0] * 10 + [3.0] * 10, sites=two_classes())

    result = analyse_jumps(history, temperature_K=1000.0, attempt_THz=10.0)

    assert result.rates[1].barrier_eV == pytest.approx(
        0.08617333 * np.log(10.0 * 5.0), rel=1e-6
    )
    assert result.rates[2].barrier_eV is None
    with pytest.raises(AnalysisError, match="attempt frequency -1 THz, must be above 0"):
        analyse_jumps(history, attempt_THz=-1.0)


def test_a_jump_back_is_one_onto_the_same_image() -> None:
    there_and_back = analyse_jumps(follow([0.0, 3.0, 0.0, 3.0]))
    onward = analyse_jumps(follow([0.0, 3.0, 10.0, 13.0]))

    assert there_and_back.back_share == 1.0
    assert onward.back_share == 0.0


def test_jumps_over_a_site_are_found_and_warned_of() -> None:
    sites = sites_along_x(0.0, 2.0, 4.0, 7.0)
    history = follow([0.0, 2.0, 4.0, 7.0, 4.0, 0.0, 4.0], sites=sites)

    assert passes_over(history).tolist() == [False, False, False, False, True, True]
    (warning,) = analyse_jumps(history).warnings
    assert "33 % of the jumps pass over a nearer site: frames every 0.5 ps" in warning


def test_a_coarse_walk_is_warned_of_and_a_fine_one_is_not() -> None:
    fine = walk_run(Walk(n_frames=4000, rate_out=1.0, dt_ps=0.05))
    coarse = walk_run(Walk(n_frames=4000, rate_out=1.0, dt_ps=1.0))

    warnings = [
        analyse_jumps(follow_sites([run], density_sites([run], "Li"))).warnings
        for run in (fine, coarse)
    ]

    assert warnings[0] == []
    assert "frames every 1 ps are too far apart" in warnings[1][0]


def test_ions_that_are_mostly_between_sites_are_warned_of() -> None:
    (warning,) = analyse_jumps(follow([0.0] + [1.5] * 9)).warnings

    assert "within 1.00 Å of a site only 10 % of the time" in warning


def test_lengths_are_counted_in_bins_around_tenths() -> None:
    edges, counts = length_histogram(follow([0.0, 3.0, 0.0]))

    assert counts.tolist() == [0] * 30 + [2]
    assert edges[-2] == pytest.approx(2.95)


def test_runs_without_jumps_have_a_result_that_says_so() -> None:
    result = analyse_jumps(follow([0.0] * 30, [3.0] * 30))

    assert result.correlation is None
    assert result.concerted is None
    assert result.along_c is None
    assert result.back_share is None
    assert result.skipped_share is None
    values = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert values["n_jumps"] == 0
    assert values["jump_lengths"]["counts"] == [0]


def test_too_few_jumps_leave_the_correlation_factor_unknown() -> None:
    run = framed(run_along_x([0.0] * 150 + [3.0] * 150))

    memory = analyse_jumps(follow_sites([run], sites_along_x(0.0, 3.0))).correlation

    assert memory is not None
    assert (memory.factor, memory.factor_err, memory.D_path_m2_s) == (None, None, None)
    assert memory.D_random_m2_s == pytest.approx(9.0 / (6.0 * 150.0) * 1e-8)


def test_the_result_is_json_without_nan() -> None:
    run = walk_run(Walk(n_frames=2000))
    result = analyse_jumps(follow_sites([run], density_sites([run], "Li")))

    values = json.loads(json.dumps(result.to_json(), allow_nan=False))

    assert len(values["sites"]) == 18
    assert values["occupation"][0]["n_sites"] == 18
    assert values["rates"][0]["from"] == values["rates"][0]["to"] == "A"
    assert values["residence_ps"][0]["n_left"] == values["n_jumps"]
    assert sum(values["jump_lengths"]["counts"]) == values["n_jumps"]
    assert values["concerted"]["window_ps"] == 1.0
