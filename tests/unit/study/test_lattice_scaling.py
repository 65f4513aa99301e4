from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pretender import toy
from study_player import StudyPlayer, runs_of

from dasksse.errors import AnalysisError
from dasksse.study.lattice_scaling import LatticeScaling, volume_slope

if TYPE_CHECKING:
    from study_player import DOf

SCALES = (0.95, 0.97, 0.99, 1.0, 1.01, 1.03, 1.05)
SECTION = {
    "temperatures_K": [400.0, 666.0],
    "length_ps": 0.4,
    "volume_scales": list(SCALES),
}
SLOPES = {400.0: 14.0, 666.0: 4.0}


def scale_of(name: str) -> float:
    return float(name.rpartition("-")[2])


def D_of(name: str, at_K: float) -> tuple[float, float]:
    D = 1e-10 * scale_of(name) ** SLOPES[at_K]
    return D, 0.05 * D


def study(D: DOf = D_of, section: dict[str, Any] = SECTION, **options: Any) -> StudyPlayer:
    config = toy(studies__lattice_scaling=section)
    return StudyPlayer([LatticeScaling()], config, D, **options)


def test_the_slope_and_its_error_are_those_of_weighted_least_squares() -> None:
    x = np.log(SCALES)
    error = np.linspace(0.02, 0.1, len(SCALES))
    D = 1e-10 * np.exp(7.0 * x)

    found = volume_slope(SCALES, D, error * D)

    weights = 1.0 / error**2
    centre = np.average(x, weights=weights)
    assert found is not None
    assert found.slope == pytest.approx(7.0)
    assert found.slope_err == pytest.approx((weights @ (x - centre) ** 2) ** -0.5)
    assert found.ln_D == pytest.approx(np.log(1e-10))
    assert found.probability == pytest.approx(1.0)


def test_the_error_of_the_slope_holds_over_many_made_up_studies() -> None:
    rng = np.random.default_rng(0)
    error = np.linspace(0.02, 0.1, len(SCALES))
    ln_D = np.log(1e-10) + 7.0 * np.log(SCALES) + error * rng.standard_normal((800, 7))

    found = [volume_slope(SCALES, np.exp(y), error * np.exp(y)) for y in ln_D]

    pulls = np.array([(one.slope - 7.0) / one.slope_err for one in found if one is not None])
    assert pulls.mean() == pytest.approx(0.0, abs=0.12)
    # errors raised by chance scatter hold the truth a little more often than 68 %
    assert np.mean(np.abs(pulls) < 1.0) == pytest.approx(0.72, abs=0.05)


def test_points_on_no_line_are_told_and_raise_the_error() -> None:
    x = np.log(SCALES)
    D = 1e-10 * np.exp(7.0 * x + 400.0 * x**2)

    found = volume_slope(SCALES, D, 0.02 * D)

    assert found is not None
    assert not found.is_line
    assert found.slope_err > 5.0 * 0.02 / np.std(x) / 7**0.5


def test_one_volume_has_no_slope_and_two_have_no_scatter() -> None:
    assert volume_slope([1.0], [1e-10], [1e-11]) is None
    found = volume_slope([1.0, 1.01], [1e-10, 1.1e-10], [1e-11, 1e-11])
    assert found is not None
    assert found.probability is None


def test_every_volume_runs_at_every_temperature_in_a_cell_scaled_from_the_system() -> None:
    player = study()

    player.conclude()

    sections = [unit.payload["section"] for unit in player.asked("structure")]
    assert [one["volume_scale"] for one in sections] == list(SCALES)
    assert len(player.asked("production")) == 14


def test_slopes_of_the_outcome_are_those_that_were_put_in() -> None:
    outcome = study().conclude()

    found = {one["temperature_K"]: one["slope"] for one in outcome.values["slopes"]}
    assert found == {at_K: pytest.approx(slope) for at_K, slope in SLOPES.items()}
    assert outcome.verdict.level == "care"
    assert "1 % of volume changes D by 15 %" in outcome.verdict.text
    assert "D is sensitive" in outcome.verdict.text
    assert len(outcome.tables[0].rows) == 2
    json.dumps(outcome.to_json())


def test_a_D_that_hardly_depends_on_volume_is_trusted() -> None:
    outcome = study(lambda name, _at_K: (1e-10 * scale_of(name), 1e-12)).conclude()

    assert outcome.verdict.level == "trust"
    assert "sensitive" not in outcome.verdict.text


def test_volumes_without_D_are_told_as_what_the_slope_lacks() -> None:
    outcome = study(
        lambda name, at_K: (None, None) if scale_of(name) < 0.99 else D_of(name, at_K)
    ).conclude()

    assert outcome.values["slopes"][0]["n_volumes"] == 5
    assert any("2 of 7 volumes have no D" in note for note in outcome.notes)


def test_without_any_D_there_is_a_verdict_and_no_figure_when_all_runs_failed() -> None:
    outcome = study(lambda _name, _at_K: (None, None)).conclude()
    assert outcome.verdict.level == "doubt"
    assert LatticeScaling().draw(outcome.values).axes

    outcome = study(is_failing=runs_of()).conclude()
    assert outcome.verdict.level == "doubt"
    with pytest.raises(AnalysisError, match="no run has D"):
        LatticeScaling().draw(outcome.values)


def test_a_volume_that_no_system_may_have_is_refused_with_its_key() -> None:
    player = study(section={**SECTION, "volume_scales": [1.0, 1.9]})
    systems = tuple(
        system.model_copy(update={"volume_scale": 1.2}) for system in player.config.systems
    )

    lacks = LatticeScaling().lacks(player.config.model_copy(update={"systems": systems}))

    assert lacks.startswith("studies.lattice_scaling.volume_scales: found 1.9 times")
    assert LatticeScaling().lacks(player.config) == ""
