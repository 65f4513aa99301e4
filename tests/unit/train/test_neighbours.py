from __future__ import annotations

from typing import TYPE_CHECKING

import ase
import numpy as np
import pytest
from ase.neighborlist import neighbor_list

from dasksse.records import Frames, Labels
from dasksse.train.neighbours import nearest_distance_A, neighbour_counts, suggest_sel

if TYPE_CHECKING:
    from collections.abc import Callable

TYPE_MAP = ["Li", "P", "S"]


@pytest.mark.parametrize("cutoff_A", [2.5, 6.0, 11.0])
def test_neighbour_counts_agree_with_ase_in_small_triclinic_cells(
    make_labels: Callable[..., Labels], cutoff_A: float
) -> None:
    frames = make_labels(seed=4).frames
    atoms = ase.Atoms(frames.numbers, frames.positions[1], cell=frames.cells[1], pbc=True)
    centre, neighbour = neighbor_list("ij", atoms, cutoff_A)
    expected = np.zeros((4, 3), dtype=int)
    np.add.at(expected, (centre, np.array([0, 0, 1, 2])[neighbour]), 1)

    counts = neighbour_counts(frames, 1, type_map=TYPE_MAP, cutoff_A=cutoff_A)

    np.testing.assert_array_equal(counts, expected)


def _cubic(spacing_A: float, *, n_frames: int = 1) -> Labels:
    """Simple cubic Li: one atom, six neighbours at the spacing."""
    shape = (n_frames, 1, 3)
    frames = Frames(
        np.array([3]), np.zeros(shape), np.tile(spacing_A * np.eye(3), (n_frames, 1, 1))
    )
    zeros = np.zeros(n_frames)
    return Labels(
        frames, zeros, np.zeros(shape), np.zeros((n_frames, 3, 3)), "", "", is_surrogate=True
    )


def test_sel_has_a_margin_of_a_third_and_is_a_multiple_of_four() -> None:
    sel = suggest_sel([("cubic", _cubic(3.0))], type_map=["Li", "P"], rcut_A=3.1)

    assert sel == [8, 4]  # six neighbours: 7.8 places; no P at all: the least there is


def test_sel_looks_at_the_densest_data_set() -> None:
    loose, dense = _cubic(3.0, n_frames=300), _cubic(2.0)

    sel = suggest_sel([("a", loose), ("b", dense)], type_map=["Li"], rcut_A=3.1)

    assert sel == [24]  # 6 at 2.0 Å and 12 at 2.83 Å: 18 neighbours


def test_sel_does_not_count_in_bad_labels() -> None:
    bad = _cubic(2.0)
    bad.energies[:] = np.nan

    sel = suggest_sel([("a", _cubic(3.0)), ("b", bad)], type_map=["Li"], rcut_A=3.1)

    assert sel == [8]


def test_without_a_margin_sel_is_just_what_was_found() -> None:
    sel = suggest_sel([("a", _cubic(2.0))], type_map=["Li"], rcut_A=2.9, margin=1.0)

    assert sel == [20]  # 18 neighbours, rounded up to a multiple of four


def test_places_shared_by_all_types_are_fewer_than_those_of_each() -> None:
    labels = _cubic(3.0, n_frames=1)
    pair = Frames(
        np.array([3, 15]),
        np.array([[[0.0, 0.0, 0.0], [3.0, 0.0, 0.0]]]),
        np.array([np.diag([6.0, 3.0, 3.0])]),
    )
    zeros = np.zeros((1, 2, 3))
    mixed = Labels(pair, np.zeros(1), zeros, np.zeros((1, 3, 3)), "", "", is_surrogate=True)
    data = [("Li", labels), ("LiP", mixed)]

    listed = suggest_sel(data, type_map=TYPE_MAP, rcut_A=3.1, margin=1.0)
    shared = suggest_sel(data, type_map=TYPE_MAP, rcut_A=3.1, margin=1.0, shared=True)

    assert listed == [8, 4, 4]  # at most 6 Li and 4 P; the least there is for S
    assert shared == [8]  # six neighbours of every atom


def test_the_nearest_distance_is_that_of_the_closest_pair_in_any_frame(
    make_labels: Callable[..., Labels],
) -> None:
    labels = make_labels(seed=4)
    frames = labels.frames
    expected = min(
        neighbor_list("d", ase.Atoms(frames.numbers, positions, cell=cell, pbc=True), 6.0).min()
        for positions, cell in zip(frames.positions, frames.cells, strict=True)
    )

    assert nearest_distance_A([("some", labels)]) == pytest.approx(expected)


def test_an_atom_alone_in_its_cell_is_nearest_to_its_own_images() -> None:
    both = [("wide", _cubic(3.0)), ("narrow", _cubic(2.8, n_frames=2))]

    assert nearest_distance_A(both) == pytest.approx(2.8)
