from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase.units import Bohr, Hartree

from dasksse.label.importing.extxyz import frame_of
from dasksse.label.importing.labelled_frames import group_frames
from dasksse.label.importing.plausibility import check_pressure, check_response

if TYPE_CHECKING:
    from collections.abc import Callable

    import ase

    from dasksse.records import Labels


@pytest.fixture
def labels(make_frames: Callable[..., list[ase.Atoms]]) -> Labels:
    """Close frames of EMT copper-gold, strained and rattled."""
    return group_frames([frame_of(atoms, "") for atoms in make_frames(30)], source="EMT")[0]


def test_true_labels_pass(labels: Labels) -> None:
    assert check_response(labels) == []


def test_labels_without_virial_are_checked_by_their_forces(
    make_frames: Callable[..., list[ase.Atoms]],
) -> None:
    frames = make_frames(20, strain=0.0)
    [part] = group_frames([frame_of(atoms, "") for atoms in frames], source="EMT")
    part = replace(part, virials=np.full((20, 3, 3), np.nan))

    assert check_response(part) == []
    [text] = check_response(replace(part, forces=-part.forces))
    assert text.startswith("the forces do not fit the energies: F times -")


def test_a_virial_of_the_wrong_sign_is_noticed(labels: Labels) -> None:
    [text] = check_response(replace(labels, virials=-labels.virials))

    assert text.startswith("the virial does not fit the energies: W times -")


def test_forces_in_atomic_units_are_noticed(labels: Labels) -> None:
    [text] = check_response(replace(labels, forces=labels.forces * Bohr / Hartree))

    assert text.startswith("the forces do not fit the energies: F times 5")


def test_a_stress_in_place_of_the_virial_is_noticed(labels: Labels) -> None:
    stress = labels.virials / labels.frames.volumes_A3[:, None, None]

    assert "the virial does not fit" in check_response(replace(labels, virials=stress))[0]


def test_frames_far_from_one_another_tell_nothing(
    make_frames: Callable[..., list[ase.Atoms]],
) -> None:
    frames = make_frames(10, rattle_A=0.6)
    [part] = group_frames([frame_of(atoms, "") for atoms in frames], source="EMT")

    assert check_response(replace(part, virials=-part.virials)) == []


def test_a_pressure_that_rises_with_the_volume_is_noticed() -> None:
    volumes = np.linspace(95.0, 105.0, 40)
    noise = np.random.default_rng(0).normal(scale=0.5, size=40)
    pressures = -0.5 * (volumes - 100.0) + noise

    assert check_pressure(volumes, pressures * volumes) == []
    [text] = check_pressure(volumes, -pressures * volumes)
    assert "the virial may have the wrong sign" in text


def test_few_frames_or_equal_volumes_tell_nothing_of_the_pressure() -> None:
    volumes = np.linspace(95.0, 105.0, 10)

    assert check_pressure(volumes, volumes**2) == []
    assert check_pressure(100.0 + 1e-3 * np.arange(40), np.arange(40.0)) == []
