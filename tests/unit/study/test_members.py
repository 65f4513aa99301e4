from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pretender import toy
from study_player import StudyPlayer, runs_of

from dasksse.analyse.member_spread import member_spread
from dasksse.errors import AnalysisError
from dasksse.study.members import Members

if TYPE_CHECKING:
    from study_player import DOf

SECTION = {"temperatures_K": [600.0, 800.0], "length_ps": 0.4}
FACTORS = np.array([0.6, 0.9, 1.1, 1.6])


def member_of(name: str) -> int:
    return int(name.rpartition("-")[2])


def D_of(name: str, at_K: float) -> tuple[float, float]:
    D = float(1e-9 * np.exp(-2000.0 / at_K) * FACTORS[member_of(name)])
    return D, 0.05 * D


def study(D: DOf = D_of, **options: Any) -> StudyPlayer:
    return StudyPlayer([Members()], toy(studies__members=SECTION), D, **options)


def test_each_member_drives_its_own_runs_and_all_judge_them() -> None:
    player = study()

    player.conclude()

    models = [unit.payload["spec"]["models"] for unit in player.asked("production")]
    assert {tuple(sorted(one)) for one in models} == {
        tuple(f"ensemble/{i}.pb" for i in range(4))
    }
    assert [one[0] for one in models] == [
        f"ensemble/{i}.pb" for i in range(4) for _ in range(2)
    ]
    assert len({unit.payload["spec"]["seed"] for unit in player.asked("production")}) == 8


def test_the_spread_of_each_temperature_is_that_of_its_members() -> None:
    outcome = study().conclude()

    wanted = member_spread(FACTORS, 0.05 * FACTORS)
    for one in outcome.values["temperatures"]:
        spread = one["spread_of_ln_D"]
        assert spread["models"] == pytest.approx(wanted.models)
        assert spread["models_high"] == pytest.approx(wanted.models_high)
    assert outcome.verdict.level == "doubt"
    assert "At 600 K D of 4 members scatters by 41 %, sampling explains 5 %" in (
        outcome.verdict.text
    )
    assert outcome.values["spread_of_Ea_eV"]["models"] == 0.0
    json.dumps(outcome.to_json())


def test_members_that_agree_closely_are_trusted() -> None:
    outcome = study(
        lambda name, _at_K: (1e-10 * (1 + 0.01 * member_of(name)), 2e-12)
    ).conclude()

    assert outcome.verdict.level == "trust"
    assert "no difference of the models is seen" in outcome.verdict.text


def test_a_run_that_failed_leaves_its_member_out_and_is_told() -> None:
    failing = "members-salt-3"
    outcome = study(is_failing=runs_of(failing)).conclude()

    assert outcome.values["temperatures"][0]["spread_of_ln_D"]["n_members"] == 3
    assert any("3 of 4 members" in note for note in outcome.notes)
    assert any(f"{failing} run 0" in note for note in outcome.notes)


def test_without_any_D_there_is_a_verdict_and_bounds_are_drawn() -> None:
    player = study(lambda _name, _at_K: (None, None))

    outcome = player.conclude()

    assert outcome.verdict.level == "doubt"
    assert "is not known" in outcome.verdict.text
    assert outcome.values["spread_of_Ea_eV"] is None
    assert len(Members().draw(outcome.values).axes) == 2


def test_when_all_runs_failed_there_is_an_outcome_and_no_figure() -> None:
    outcome = study(is_failing=runs_of()).conclude()

    assert outcome.verdict.level == "doubt"
    with pytest.raises(AnalysisError, match="no member"):
        Members().draw(outcome.values)


def test_the_figure_has_a_panel_for_each_temperature() -> None:
    outcome = study().conclude()

    figure = Members().draw(json.loads(json.dumps(outcome.values)))

    assert [axes.get_title(loc="left") for axes in figure.axes] == ["600 K", "800 K"]
