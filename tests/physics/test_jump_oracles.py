"""Jump analysis of made-up walks on a lattice in a triclinic cell: the known must come out."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from lattice_walks import DT_PS, MULTIPLES, UNIT_CELL, Walk, lattice_paths, walk_run
from pymatgen.core import Structure

from dasksse.analyse.concerted import concerted_jumps
from dasksse.analyse.density_sites import density_sites
from dasksse.analyse.jumps import JumpResult, analyse_jumps
from dasksse.analyse.reference_sites import reference_sites
from dasksse.analyse.stays import follow_sites
from dasksse.structures.read import SITE_NAMES
from dasksse.units import BOLTZMANN_EV_K

ENERGY_SPLIT = Walk(rate_out=(0.05, 0.2), seed=3)
"""Odd layers are left four times faster than even ones: kT ln 4 higher in energy."""


def reference() -> Structure:
    """Unit cell doubled along c, even and odd layers with names of their own."""
    structure = Structure(
        UNIT_CELL * np.array([[1], [1], [2]]),
        ["Li", "Li", "S", "S"],
        [[0, 0, 0], [0, 0, 0.5], [0.5, 0.45, 0.275], [0.5, 0.45, 0.775]],
    )
    structure.add_site_property(SITE_NAMES, ["low", "high", "S1", "S1"])
    return structure


@cache
def result_of(walk: Walk) -> JumpResult:
    run = walk_run(walk)
    cell = run.cells(slice(1))[0]
    sites = reference_sites(reference(), "Li", cell)
    return analyse_jumps(follow_sites([run], sites), temperature_K=600.0, attempt_THz=5.0)


def assert_near(value: float | None, error: float | None, expected: float) -> None:
    assert value is not None
    assert error is not None
    assert abs(value - expected) < 3.0 * error
    assert error < 0.2 * abs(expected)


def test_rates_between_classes_are_those_of_the_walk() -> None:
    result = result_of(ENERGY_SPLIT)

    rates = {(rate.origin, rate.target): rate for rate in result.rates}
    expected = {"low": 0.05, "high": 0.2}
    for (origin, target), rate in rates.items():
        along_c = origin != target
        assert_near(
            rate.rate_per_ps, rate.err_per_ps, expected[origin] * (2 if along_c else 4) / 6
        )
    barrier = rates["low", "high"].barrier_eV
    kT = BOLTZMANN_EV_K * 600.0
    assert barrier == pytest.approx(-kT * np.log(0.05 / 3 / 5.0), abs=0.1 * kT)


def test_residence_times_are_those_of_the_walk() -> None:
    result = result_of(ENERGY_SPLIT)

    by_class = {one.site_class: one for one in result.residence}
    for name, mean_ps in {"low": 20.0, "high": 5.0}.items():
        one = by_class[name]
        assert_near(one.mean_ps, one.err_ps, mean_ps)
        assert one.half_ps == pytest.approx(mean_ps * np.log(2.0), rel=0.1)
        at_mean = np.interp(mean_ps, one.time_ps, one.survival)
        assert at_mean == pytest.approx(np.exp(-1.0), abs=0.03)


def test_occupations_follow_the_energies_of_sites() -> None:
    result = result_of(ENERGY_SPLIT)

    shares = dict(zip(result.history.sites.classes, result.occupation.of_class, strict=True))
    errors = dict(
        zip(result.history.sites.classes, result.occupation.of_class_err, strict=True)
    )
    per_site = ENERGY_SPLIT.n_ions / MULTIPLES.prod()
    assert_near(shares["low"], errors["low"], 2 * per_site * 0.8)
    assert_near(shares["high"], errors["high"], 2 * per_site * 0.2)
    assert result.occupation.of_site.sum() == pytest.approx(ENERGY_SPLIT.n_ions, rel=1e-3)


def test_errors_of_site_occupations_cover_the_truth() -> None:
    result = result_of(ENERGY_SPLIT)

    sites, occupation = result.history.sites, result.occupation
    per_site = ENERGY_SPLIT.n_ions / MULTIPLES.prod()
    truth = np.where(
        np.array(sites.classes)[sites.class_of] == "low", 1.6 * per_site, 0.4 * per_site
    )
    off = np.abs(occupation.of_site - truth) / occupation.of_site_err
    assert (off < 2.0).mean() > 0.8


@pytest.mark.parametrize("seed", [0, 1])
def test_a_walk_without_memory_has_the_correlation_factor_1(seed: int) -> None:
    memory = result_of(Walk(seed=seed)).correlation

    assert memory is not None
    assert_near(memory.factor, memory.factor_err, 1.0)


@pytest.mark.parametrize("back_share", [0.5, 0.8])
def test_back_hopping_has_the_correlation_factor_of_its_mean_cosine(back_share: float) -> None:
    result = result_of(Walk(back_share=back_share, rate_out=0.2, dt_ps=0.04, n_frames=40_000))

    memory = result.correlation
    assert memory is not None
    cosine = -back_share + (1.0 - back_share) / 5.0
    assert_near(memory.factor, memory.factor_err, (1.0 + cosine) / (1.0 - cosine))
    assert_near(result.back_share, result.back_share_err, back_share)
    assert memory.D_path_m2_s == pytest.approx(memory.factor * memory.D_random_m2_s)


def test_D_without_memory_is_that_of_the_rate_and_the_jump_lengths() -> None:
    walk = Walk()

    memory = result_of(walk).correlation

    assert memory is not None
    squared = np.mean(np.sum(UNIT_CELL**2, axis=1))
    assert_near(memory.D_random_m2_s, memory.D_random_err_m2_s, 0.2 * squared / 6.0 * 1e-8)


def test_directions_and_lengths_are_those_of_the_walk() -> None:
    result = result_of(Walk(directions=(4, 5)))

    assert result.along_c == pytest.approx(1.0, abs=1e-9)
    length = np.linalg.norm(UNIT_CELL[2])
    single = ~(result.history.length_A > 1.5 * length)
    assert single.mean() > 0.95
    np.testing.assert_allclose(result.history.length_A[single], length, atol=1e-6)


def test_the_path_over_sites_is_the_path_of_the_walk() -> None:
    walk = Walk()
    history = result_of(walk).history

    paths = lattice_paths(walk) @ UNIT_CELL
    for ion in range(walk.n_ions):
        stays = np.flatnonzero(history.ion == ion)
        seen = history.place[stays] - history.place[stays[0]]
        true = paths[history.entry[stays], ion] - paths[history.entry[stays[0]], ion]
        np.testing.assert_allclose(seen, true, atol=1e-6)


def test_sites_of_the_density_lie_at_the_corners_of_the_unit_cells() -> None:
    run = walk_run(Walk(n_frames=5000))

    sites = density_sites([run], "Li")

    points = sites.fractions * MULTIPLES
    off = (points - np.rint(points)) @ UNIT_CELL
    assert len(sites) == MULTIPLES.prod()
    assert np.abs(off - off.mean(axis=0)).max() < 0.1
    assert sites.classes == ("A",)


def test_independent_ions_jump_together_as_often_as_chance_has_it() -> None:
    history = result_of(Walk(n_ions=4, rate_out=0.05)).history

    company = concerted_jumps(history, window_ps=0.5, distance_A=3.6)

    assert company is not None
    assert abs(company.share - company.by_chance) < 4.0 * max(company.by_chance_err, 0.005)
    assert company.by_chance < 0.3


def test_ions_that_jump_as_pairs_are_seen() -> None:
    walk = Walk(n_ions=4, rate_out=0.05, vibration_A=0.1)
    run = walk_run(walk)
    twin = run.all_positions[:, [0, 1, 2, 3, 0, 1, 2, 3]].copy()
    twin[:, 4:] += UNIT_CELL[0]
    positions = np.concatenate([twin, run.all_positions[:, 4:]], axis=1)
    numbers = np.concatenate([np.full(8, 3), run.numbers[4:]])
    pairs = type(run)(numbers, positions, run.all_cells, DT_PS)

    sites = reference_sites(reference(), "Li", run.cells(slice(1))[0])
    company = concerted_jumps(follow_sites([pairs], sites), window_ps=0.5, distance_A=3.6)

    assert company is not None
    assert company.share > 0.99
    assert company.by_chance < 0.5
