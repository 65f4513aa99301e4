from __future__ import annotations

import json
from typing import Any

import pytest

from dasksse.errors import ConfigError
from dasksse.explore.md_spec import MdSpec


@pytest.mark.parametrize("zbl", [None, (0.8, 1.2)])
def test_a_spec_survives_json(toy: dict[str, Any], zbl: tuple[float, float] | None) -> None:
    spec = toy["toy_spec"](["/a.pb", "/b.pb"], zbl=zbl)

    assert MdSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_the_frame_at_step_zero_is_planned_too(toy: dict[str, Any]) -> None:
    spec = toy["toy_spec"](["/a.pb"], n_steps=64, frame_interval_steps=5)

    assert spec.n_frames(0, spec.n_steps) == 13


def test_an_unknown_ensemble_is_refused_with_the_allowed_ones(toy: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"'npt'; allowed: nve, nvt, npt-iso"):
        toy["toy_spec"](["/a.pb"], ensemble="npt")


def test_a_spec_without_models_is_refused(toy: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="models is empty"):
        toy["toy_spec"]([])


@pytest.mark.parametrize("name", ["n_steps", "timestep_fs", "temperature_K", "segment_steps"])
def test_a_value_that_must_be_above_zero_is_named(toy: dict[str, Any], name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} is 0; allowed: above 0"):
        toy["toy_spec"](["/a.pb"], **{name: 0})
