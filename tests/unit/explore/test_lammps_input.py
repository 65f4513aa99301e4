from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dasksse.explore.lammps_input import load_commands, output_commands, start_commands


def test_loading_an_ensemble_matches_the_golden_input(golden: Path) -> None:
    commands = load_commands(
        ["/models/a 0.pb", "/models/a 1.pb"],
        ("Li", "Ge", "P", "S"),
        deviation_file="/child/deviation.out",
        deviation_interval_steps=10,
        zbl=None,
    )

    assert "\n".join(commands) + "\n" == (golden / "load_ensemble.in").read_text()


def test_zbl_is_laid_over_the_network_for_every_pair_of_elements(golden: Path) -> None:
    commands = load_commands(
        ["/m.pb"], ("Li", "S"), deviation_file="/d", deviation_interval_steps=10, zbl=(0.8, 1.2)
    )

    assert "\n".join(commands) + "\n" == (golden / "load_zbl.in").read_text()


def test_one_model_writes_no_deviation_file() -> None:
    commands = load_commands(
        ["/m.pb"], ("Li",), deviation_file="/d", deviation_interval_steps=10, zbl=None
    )

    assert 'pair_style deepmd "/m.pb"' in commands


def test_starting_a_run_and_its_output_match_the_golden_input(
    golden: Path, toy: dict[str, Any]
) -> None:
    spec = toy["toy_spec"](["/m.pb"], ensemble="npt-tri", pressure_GPa=0.5)

    commands = start_commands(spec, volume_A3=400.0) + output_commands(
        5, dump_file=Path("/w/segment.dump"), log_file=Path("/w/segment.log")
    )

    assert "\n".join(commands) + "\n" == (golden / "start_npt_tri.in").read_text()


@pytest.mark.parametrize(
    ("ensemble", "fix"),
    [
        ("nve", "fix integrate all nve"),
        ("nvt", "fix integrate all nvt temp 400 400 0.1"),
        ("npt-iso", "fix integrate all npt temp 400 400 0.1 iso 2500 2500 0.5 flip no"),
        ("npt-aniso", "fix integrate all npt temp 400 400 0.1 aniso 2500 2500 0.5 flip no"),
    ],
)
def test_each_ensemble_has_its_integrator(toy: dict[str, Any], ensemble: str, fix: str) -> None:
    spec = toy["toy_spec"](["/m.pb"], ensemble=ensemble, pressure_GPa=0.25)

    commands = start_commands(spec, volume_A3=400.0)

    assert fix in commands


def test_limits_are_checked_at_least_every_ten_steps(toy: dict[str, Any]) -> None:
    spec = toy["toy_spec"](["/m.pb"], frame_interval_steps=500)

    commands = start_commands(spec, volume_A3=400.0)

    assert any(command.startswith("fix bounds all halt 10 ") for command in commands)
