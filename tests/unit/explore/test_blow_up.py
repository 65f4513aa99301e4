from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dasksse.explore.blow_up import describe_halt, first_bad_frame, is_blow_up_message
from dasksse.explore.segments import MdFrames

if TYPE_CHECKING:
    from dasksse.explore.md_spec import MdSpec

NUMBERS = np.array([29, 29])


@pytest.fixture
def spec(toy: dict[str, Any]) -> MdSpec:
    return toy["toy_spec"](["/a.pb", "/b.pb"], temperature_K=300.0)


def calm_frames(n_frames: int = 4) -> MdFrames:
    positions = np.array([[[0.0, 0.0, 0.0], [2.5, 2.5, 2.5]]] * n_frames)
    flat = np.full(n_frames, 300.0)
    return MdFrames(
        5.0 * np.arange(n_frames),
        positions,
        np.array([5.0 * np.eye(3)] * n_frames),
        flat,
        flat,
        flat,
        np.full((n_frames, 2), 0.1),
    )


def changed(name: str, index: Any, value: Any) -> MdFrames:
    frames = calm_frames()
    array = getattr(frames, name).copy()
    array[index] = value
    return replace(frames, **{name: array})


def test_a_calm_run_has_no_bad_frame(spec: MdSpec) -> None:
    assert first_bad_frame(calm_frames(), NUMBERS, spec, 125.0) is None


def test_atoms_too_close_are_found_through_the_periodic_boundary(spec: MdSpec) -> None:
    frames = changed("positions", (2, 1), [4.57, 0.0, 0.0])

    assert first_bad_frame(frames, NUMBERS, spec, 125.0) == (
        2,
        "atoms 0.43 A apart at 0.02 ps (frame 2)",
    )


@pytest.mark.parametrize(
    ("name", "index", "value", "reason"),
    [
        ("temperature_K", 1, 2501.0, "2501 K (limit 2500 K) at 0.01 ps (frame 1)"),
        (
            "cells",
            1,
            6.0 * np.eye(3),
            "volume 1.73 x the start (limit 1.5) at 0.01 ps (frame 1)",
        ),
        (
            "cells",
            1,
            4.2 * np.eye(3),
            "volume 0.59 x the start (limit 1.5) at 0.01 ps (frame 1)",
        ),
    ],
)
def test_heat_and_volume_beyond_their_limits_are_found(
    spec: MdSpec, name: str, index: Any, value: Any, reason: str
) -> None:
    frames = changed(name, index, value)

    assert first_bad_frame(frames, NUMBERS, spec, 125.0) == (1, reason)


@pytest.mark.parametrize("name", ["potential_eV", "atom_deviation", "positions", "cells"])
def test_a_value_that_is_not_finite_is_found(spec: MdSpec, name: str) -> None:
    found = first_bad_frame(changed(name, 3, np.nan), NUMBERS, spec, 125.0)

    assert found is not None
    assert found[0] == 3
    assert "not finite" in found[1]


def test_the_missing_deviation_of_a_single_model_is_no_fault(toy: dict[str, Any]) -> None:
    spec = toy["toy_spec"](["/a.pb"])
    frames = replace(calm_frames(), atom_deviation=np.full((4, 2), np.nan))

    assert first_bad_frame(frames, NUMBERS, spec, 125.0) is None


def test_the_earliest_fault_gives_the_reason(spec: MdSpec) -> None:
    frames = changed("positions", (1, 1), [0.1, 0.0, 0.0])
    frames.temperature_K[3] = 9999.0

    found = first_bad_frame(frames, NUMBERS, spec, 125.0)

    assert found == (1, "atoms 0.10 A apart at 0.01 ps (frame 1)")


def test_a_halt_tells_heat_from_volume(spec: MdSpec) -> None:
    hot = describe_halt({"step": 30, "temp": 3000.0, "vol": 125.0}, spec, 125.0)
    wide = describe_halt({"step": 30, "temp": 300.0, "vol": 250.0}, spec, 125.0)

    assert hot == "3000 K (limit 2500 K) at 0.06 ps"
    assert wide == "volume 2.00 x the start (limit 1.5) at 0.06 ps"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Exception: ERROR: Lost atoms: original 32 current 31", True),
        ("ERROR on proc 0: Non-numeric atom coords - simulation unstable", True),
        ("Exception: ERROR: Unknown command: fixx", False),
        ("RuntimeError: LAMMPS took 31 of 32 atoms", False),
    ],
)
def test_messages_of_a_run_that_ran_away_are_known(message: str, expected: bool) -> None:
    assert is_blow_up_message(message) is expected
