from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list

from dasksse.analyse.pair_counts import largest_radius
from dasksse.analyse.rdf import radial_distributions
from dasksse.errors import AnalysisError
from dasksse.records import MemoryTrajectory

SKEWED = np.array([[9.0, 0.0, 0.0], [4.0, 8.0, 0.0], [-3.0, 3.5, 8.5]])
NUMBERS = np.array([3, 16, 3, 15, 16, 16, 3, 16, 15, 3, 16, 3])


def gas(
    n_frames: int, numbers: Any = NUMBERS, cell: Any = SKEWED, *, seed: int = 0, **facts: Any
) -> MemoryTrajectory:
    """Atoms anywhere, also in other images of the cell."""
    fractions = np.random.default_rng(seed).uniform(-2.0, 3.0, (n_frames, len(numbers), 3))
    return MemoryTrajectory(np.asarray(numbers), fractions @ cell, cell, 0.1, **facts)


def distances_by_ase(run: MemoryTrajectory, pair: tuple[str, str], r_max_A: float) -> Any:
    found = []
    for positions, cell in zip(run.positions(), run.cells(), strict=True):
        atoms = Atoms(run.numbers, positions=positions, cell=cell, pbc=True)
        symbols = np.array(atoms.get_chemical_symbols())
        i, j, d = neighbor_list("ijd", atoms, r_max_A)
        found.append(d[(symbols[i] == pair[0]) & (symbols[j] == pair[1])])
    return np.concatenate(found)


@pytest.mark.parametrize("pair", [("Li", "Li"), ("Li", "S"), ("S", "Li"), ("P", "S")])
def test_distances_in_a_skewed_cell_are_those_of_ase_up_to_the_largest_radius(
    pair: tuple[str, str],
) -> None:
    run = gas(30)
    limit = largest_radius(run.cells())

    result = radial_distributions([run], ["-".join(pair)], r_max_A=limit, bin_A=0.1)

    edges = np.linspace(0.0, limit, len(result.r_A) + 1)
    expected = np.histogram(distances_by_ase(run, pair, limit), edges)[0]
    symbols = Atoms(run.numbers).get_chemical_symbols()
    n_first = run.n_frames * symbols.count(pair[0])
    counted = np.diff(result["-".join(pair)].neighbours * n_first, prepend=0.0)
    np.testing.assert_allclose(counted, expected, atol=1e-6)
    assert expected.sum() > 90


def test_the_normalisation_is_that_of_each_frame_in_a_cell_that_varies() -> None:
    rng = np.random.default_rng(3)
    cells = SKEWED * rng.uniform(0.9, 1.2, (40, 1, 1))
    fractions = rng.uniform(0.0, 1.0, (40, 12, 3))
    run = MemoryTrajectory(NUMBERS, fractions @ cells, cells, 0.1)

    result = radial_distributions([run], ["Li-S"], r_max_A=3.0, bin_A=0.25)

    ideal = 4.0 / 3.0 * np.pi * np.diff(np.linspace(0.0, 3.0, 13) ** 3) * 5 * 5
    by_frame = []
    for positions, cell in zip(run.positions(), cells, strict=True):
        frame = MemoryTrajectory(NUMBERS, positions[None], cell, 0.1)
        counts = np.histogram(
            distances_by_ase(frame, ("Li", "S"), 3.0), np.linspace(0.0, 3.0, 13)
        )[0]
        by_frame.append(counts * np.linalg.det(cell) / ideal)
    np.testing.assert_allclose(result["Li-S"].g, np.mean(by_frame, axis=0), rtol=1e-9)


def test_pairs_add_up_to_the_total() -> None:
    run = gas(20)

    result = radial_distributions([run])

    assert [entry.pair for entry in result.pairs] == [
        *("Li-Li", "Li-P", "Li-S", "P-P", "P-S", "S-S"),
        "total",
    ]
    n_atoms = {"Li": 5, "P": 2, "S": 5}
    pairs = 0.0
    for entry in result.pairs[:-1]:
        first, second = entry.pair.split("-")
        pairs += entry.neighbours * n_atoms[first] * (1 if first == second else 2)
    np.testing.assert_allclose(result["total"].neighbours, pairs / 12, atol=1e-9)


def test_equilibration_and_left_out_frames_do_not_count() -> None:
    late, early = gas(20, seed=1), gas(20, seed=2)
    positions = np.concatenate([early.all_positions, late.all_positions])
    run = MemoryTrajectory(NUMBERS, positions, SKEWED, 0.1, n_equilibration=20)

    result = radial_distributions([run], ["Li-S"], every=2)

    kept = MemoryTrajectory(NUMBERS, late.all_positions[::2], SKEWED, 0.1)
    expected = radial_distributions([kept], ["Li-S"])
    np.testing.assert_array_equal(result["Li-S"].g, expected["Li-S"].g)
    assert (result.n_frames, result.every) == (10, 2)


def test_little_memory_gives_the_same_numbers() -> None:
    runs = [gas(50), gas(23, seed=5)]

    little = radial_distributions(runs, memory_bytes=1000)
    much = radial_distributions(runs)

    for one, other in zip(little.pairs, much.pairs, strict=True):
        np.testing.assert_allclose(one.g, other.g, rtol=1e-12)
        np.testing.assert_allclose(one.g_err, other.g_err, rtol=1e-12)


def test_at_most_some_thousand_frames_are_looked_at_unasked() -> None:
    seen = []

    result = radial_distributions(
        [gas(3000, [3, 3]), gas(1500, [3, 3])], on_frame=lambda: seen.append(1)
    )

    assert result.every == 3
    assert result.n_frames == len(seen) == 1500


def test_the_stated_error_is_the_scatter_between_independent_samples() -> None:
    results = [
        radial_distributions([gas(40, seed=seed)], ["Li-S"], r_max_A=3.6, bin_A=0.4)["Li-S"]
        for seed in range(60)
    ]

    scatter = np.std([one.g for one in results], axis=0, ddof=1)[2:]
    stated = np.sqrt(np.mean([one.g_err**2 for one in results], axis=0))[2:]
    np.testing.assert_allclose(stated, scatter, rtol=0.3)


def test_a_lone_frame_has_no_error() -> None:
    entry = radial_distributions([gas(1)], ["Li-S"])["Li-S"]

    assert np.isnan(entry.g_err).all()
    assert np.isfinite(entry.g).all()


def test_without_a_limit_the_range_is_8_angstrom_or_what_the_cell_allows() -> None:
    wide = radial_distributions([gas(2, cell=np.eye(3) * 20.0)], ["Li-S"])
    narrow = radial_distributions([gas(2)], ["Li-S"])

    limit = largest_radius(SKEWED[None])
    assert wide.r_max_A == pytest.approx(8.0)
    assert limit - 0.05 < narrow.r_max_A <= limit
    assert narrow.r_A[1] - narrow.r_A[0] == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("pairs", "options", "message"),
    [
        (["Li-Na"], {}, "no 'Na' among the atoms; elements present: Li, P, S"),
        (["LiS"], {}, "pair 'LiS': must be two elements such as Li-S"),
        (["Li-S-P"], {}, "must be two elements"),
        (["Li-S"], {"r_max_A": 7.0}, r"found 7 Å as longest distance; allowed: .* at most 3\."),
        (["Li-S"], {"r_max_A": 0.01}, "more than two bins"),
        (["Li-S"], {"bin_A": 0.0}, "bins 0 Å wide"),
        (["Li-S"], {"every": 0}, "every is 0"),
        (["Li-S"], {"first_frames": [5]}, "all of 5 frames are equilibration"),
    ],
)
def test_what_cannot_be_is_refused(pairs: list[str], options: Any, message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        radial_distributions([gas(5, name="here")], pairs, **options)


def test_runs_of_different_systems_are_refused() -> None:
    with pytest.raises(AnalysisError, match="other has other atoms than here"):
        radial_distributions([gas(5, name="here"), gas(5, NUMBERS[:-1], name="other")])


def test_no_run_is_refused() -> None:
    with pytest.raises(AnalysisError, match="no run"):
        radial_distributions([])


def test_a_pair_of_one_atom_is_refused_and_left_out_unasked() -> None:
    run = gas(5, [3, 16, 16])

    assert "Li-Li" not in [entry.pair for entry in radial_distributions([run]).pairs]
    with pytest.raises(AnalysisError, match="one such atom"):
        radial_distributions([run], ["Li-Li"])


def test_a_frame_that_is_not_finite_is_named() -> None:
    run = gas(10)
    run.all_positions[7, 3] = np.nan

    with pytest.raises(AnalysisError, match="trajectory: positions of frame 7 are not finite"):
        radial_distributions([run], ["P-S"])
