from __future__ import annotations

import itertools

import numpy as np
import pytest

from dasksse.structures.anneal import (
    QuadraticEnergy,
    anneal,
    distinct_minima,
    exchange_energies,
    scaled,
    typical_exchange,
)

N_SITES = 8


def random_energy(seed: int) -> QuadraticEnergy:
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(N_SITES, N_SITES))
    return QuadraticEnergy(
        kernel + kernel.T, rng.normal(size=N_SITES), np.array([0.0, 1.0, -2.0]), 3.0
    )


def random_states(n_replicas: int) -> np.ndarray:
    row = np.array([0, 0, 1, 1, 1, 1, 2, 2])
    return np.random.default_rng(0).permuted(np.tile(row, (n_replicas, 1)), axis=1)


def test_exchange_energies_are_differences_of_the_energy() -> None:
    terms = [random_energy(1), scaled(random_energy(2), 0.5)]
    states = random_states(4)
    site = np.array([0, 3, 5, 7])

    change = exchange_energies(terms, [t.slope(states) for t in terms], states, site)

    for replica, partner in itertools.product(range(4), range(N_SITES)):
        moved = states.copy()
        moved[replica, [site[replica], partner]] = states[replica, [partner, site[replica]]]
        expected = sum(t.of(moved)[replica] - t.of(states)[replica] for t in terms)
        assert change[replica, partner] == pytest.approx(expected, abs=1e-12)


def test_annealing_finds_the_lowest_of_all_arrangements() -> None:
    energy = random_energy(7)
    start = random_states(8)
    everything = np.array(sorted(set(itertools.permutations(start[0].tolist()))))

    found = anneal(
        [energy],
        start,
        np.zeros(N_SITES, dtype=int),
        temperature=5.0,
        n_steps=300,
        rng=np.random.default_rng(1),
    )

    assert energy.of(found).min() == pytest.approx(energy.of(everything).min())


def test_species_stay_within_their_groups() -> None:
    group = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    start = np.tile([0, 1, 1, 1, 0, 0, 0, 2], (3, 1))

    found = anneal(
        [random_energy(3)],
        start,
        group,
        temperature=10.0,
        n_steps=200,
        rng=np.random.default_rng(2),
    )

    assert (found != start[0]).any()
    assert (np.sort(found[:, :4]) == [0, 1, 1, 1]).all()
    assert (np.sort(found[:, 4:]) == [0, 0, 0, 2]).all()


def test_equal_energies_are_all_reached() -> None:
    flat = QuadraticEnergy(np.zeros((4, 4)), np.zeros(4), np.array([0.0, 1.0]))
    start = np.tile([1, 0, 0, 0], (64, 1))

    found = anneal(
        [flat],
        start,
        np.zeros(4, dtype=int),
        temperature=1.0,
        n_steps=100,
        rng=np.random.default_rng(0),
    )

    assert len(found) == 4


def test_typical_exchange_is_one_where_nothing_changes() -> None:
    flat = QuadraticEnergy(np.zeros((4, 4)), np.zeros(4), np.array([0.0, 1.0]))

    size = typical_exchange(
        flat,
        np.tile([1, 0, 0, 0], (3, 1)),
        np.zeros(4, dtype=int),
        rng=np.random.default_rng(0),
    )

    assert size == 1.0


def test_typical_exchange_grows_with_the_energy() -> None:
    energy, group = random_energy(1), np.zeros(N_SITES, dtype=int)
    sizes = [
        typical_exchange(term, random_states(4), group, rng=np.random.default_rng(0))
        for term in (energy, scaled(energy, 3.0))
    ]

    assert sizes[1] == pytest.approx(3.0 * sizes[0])


def test_copies_by_symmetry_are_counted_once() -> None:
    energies = np.array([2.0, 1.0, 1.0 + 1e-9, 1.0, 3.0])
    fingerprints = np.array([5.0, 7.0, 7.0, 8.0, 5.0])

    ranked = distinct_minima(energies, fingerprints, n_wanted=10)

    assert ranked == [1, 3, 0, 4]
