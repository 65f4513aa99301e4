from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from study_player import LGPS, VOLUME_A3, StudyPlayer, arrhenius, lgps, record_of, runs_of

from dasksse.errors import AnalysisError
from dasksse.study.cell_size import CellSize
from dasksse.study.diffusion import Diffusion, volume_factor
from dasksse.study.members import Members

if TYPE_CHECKING:
    from dasksse.records import Unit
    from dasksse.study.outcome import Outcome

LINE = arrhenius(1.9e-11, 0.23)
FOUR_K = [300.0, 400.0, 600.0, 1000.0]


def study(**changes: Any) -> dict[str, Any]:
    settings = {"temperatures_K": FOUR_K, **changes}
    return {f"studies__diffusion__{key}": value for key, value in settings.items()}


def play(law: Any = LINE, kinds: Any = (), **changes: Any) -> tuple[StudyPlayer, Outcome]:
    player = StudyPlayer([*kinds, Diffusion()], lgps(**study(**changes)), law)
    return player, player.conclude()


def test_the_volume_grows_with_the_cube_of_the_length() -> None:
    assert volume_factor(3.4e-5, 1000.0, 300.0) == pytest.approx((1 + 3.4e-5 * 700) ** 3)
    assert volume_factor(0.0, 1000.0, 300.0) == 1.0


def test_every_temperature_has_the_cell_of_its_own() -> None:
    player, outcome = play()

    for temperature_K in FOUR_K:
        for word in ("ordered", "disordered"):
            volume = player.volume_A3(f"diffusion-lgps-{word}-{temperature_K:g}K")
            assert volume == pytest.approx(
                VOLUME_A3 * (1 + 3.4e-5 * (temperature_K - 300.0)) ** 3
            )
    assert {p["branch"] for p in outcome.values["points"]} == {"ordered", "disordered"}


def test_the_disordered_crystal_is_the_ordered_one_with_exchanged_cations() -> None:
    player, _ = play()

    orderings = [
        unit.payload["section"]["cation_ordering"]
        for unit in player.units
        if unit.kind == "structure"
    ]
    shuffled = [one for one in orderings if one is not None]
    assert len(shuffled) == len(FOUR_K)
    assert all(one == shuffled[0] for one in shuffled)
    assert shuffled[0]["species"] == ["Ge", "P"]


def test_cold_runs_are_longer() -> None:
    cases = Diffusion().cases(lgps(**study(length_ps=100.0, long_factor=7.0)))

    lengths = {case.temperatures_K[0]: case.length_ps for case in cases}
    assert lengths == {300.0: 700.0, 400.0: 100.0, 600.0: 100.0, 1000.0: 100.0}


def test_the_cases_of_the_estimate_are_the_runs_that_are_asked_for() -> None:
    player, _ = play(also_fixed_cell=True)

    cases = Diffusion().cases(player.config)
    assert sorted(case.name for case in cases) == sorted(player.cases())
    assert "diffusion-lgps-fixed-1000K" in player.cases()
    assert "diffusion-lgps-fixed-600K" not in player.cases()


def test_D_at_300_K_energy_and_conductivity_come_back() -> None:
    _, outcome = play()

    branch = outcome.values["branches"]["ordered"]
    assert branch["fit"]["Ea_eV"] == pytest.approx(0.23, abs=1e-4)
    assert branch["D_300K"]["how"] == "simulated"
    assert branch["D_300K"]["D_m2_s"] == pytest.approx(1.9e-11)
    point = outcome.values["points"][0]
    assert branch["sigma_300K_mS_cm"]["value"] == pytest.approx(point["sigma_mS_cm"])
    assert outcome.verdict.level == "trust"
    assert "one line describes D(T)" in outcome.verdict.text
    json.dumps(outcome.to_json())
    for table in outcome.tables:
        assert all(list(row) == list(table.rows[0]) for row in table.rows)


def test_values_of_the_papers_stand_beside_their_material_only() -> None:
    _, outcome = play()
    other = StudyPlayer([Diffusion()], lgps(**study()), LINE, numbers=[3, *LGPS]).conclude()

    assert "Huang et al. 2021" in str(outcome.tables[1].rows)
    assert [one["formula"] for one in outcome.values["published"]] == ["Li10GeP2S12"] * 4
    assert other.values["published"] == []


def test_without_cations_to_exchange_only_the_ordered_crystal_is_run() -> None:
    config = lgps(**study(), studies__disorder__species=[])
    player = StudyPlayer([Diffusion()], config, LINE)
    outcome = player.conclude()

    assert list(outcome.values["branches"]) == ["ordered"]
    assert any("No disordered crystal" in note for note in outcome.notes)
    assert len(Diffusion().cases(config)) == len(FOUR_K)


def test_a_crystal_without_these_cations_is_not_shuffled() -> None:
    config = lgps(**study())
    player = StudyPlayer([Diffusion()], config, LINE, numbers=[n for n in LGPS if n != 15])
    outcome = player.conclude()

    assert list(outcome.values["branches"]) == ["ordered"]
    assert any("nothing to exchange" in note for note in outcome.notes)


def faster_when_grown(name: str, temperature_K: float) -> tuple[float, float]:
    D, error = LINE(name, temperature_K)
    return (0.5 * D, 0.5 * error) if "fixed" in name else (D, error)


def test_the_effect_of_the_expansion_is_a_ratio_with_its_error() -> None:
    _, outcome = play(faster_when_grown, also_fixed_cell=True)

    (cell,) = outcome.values["fixed_cell"]
    assert cell["D_ratio"] == pytest.approx(2.0)
    assert cell["D_ratio_err"] == pytest.approx(2.0 * np.hypot(0.1, 0.1))
    assert cell["volume_ratio"] == pytest.approx(volume_factor(3.4e-5, 1000.0, 300.0))
    assert "the fixed cell does not do" in outcome.verdict.text
    assert {b["branch"] for b in outcome.values["error_budget"]} == {"ordered", "disordered"}


def test_a_fixed_cell_that_does_as_well_is_said_to() -> None:
    _, outcome = play(also_fixed_cell=True)

    assert "fixed cell" not in outcome.verdict.text
    assert any("agree within the errors" in note for note in outcome.notes)


def test_no_expansion_runs_no_second_cell() -> None:
    player, outcome = play(expansion_per_K=0.0, also_fixed_cell=True)

    assert not [name for name in player.cases() if "fixed" in name]
    assert "The cell does not expand with temperature." in outcome.notes


def test_parts_that_nobody_ran_are_unknown() -> None:
    player, outcome = play()

    assert all(b["missing"] == ["models", "cell size"] for b in outcome.values["error_budget"])
    assert not [name for name in player.cases() if name.startswith(("size-", "members-"))]
    rows = outcome.tables[2].rows
    assert {row["models"] for row in rows} == {"–"}
    assert any("not 0" in note for note in outcome.notes)


def with_parts(name: str, temperature_K: float) -> tuple[float, float]:
    """Members far apart, and 400 atoms half as fast as 50."""
    D, _ = LINE(name, temperature_K)
    if name.startswith("members"):
        D *= (0.6, 0.8, 1.2, 1.6)[int(name[-1])]
    if name.startswith("size") and not name.endswith("1x1x1"):
        D *= 0.5
    return D, 0.01 * D


def test_parts_of_other_studies_enter_where_they_were_run() -> None:
    config = lgps(
        **study(),
        studies__cell_size__supercells=[[1, 1, 1], [2, 2, 2]],
        studies__cell_size__temperatures_K=[400.0, 600.0],
        studies__members__temperatures_K=[600.0],
    )
    player = StudyPlayer([Members(), CellSize(), Diffusion()], config, with_parts)
    outcome = player.conclude()

    budgets = {
        b["temperature_K"]: b
        for b in outcome.values["error_budget"]
        if b["branch"] == "ordered"
    }
    scatter = float(np.std(np.log([0.6, 0.8, 1.2, 1.6]), ddof=1))
    assert budgets[600.0]["models"]["relative"] == pytest.approx(scatter, rel=0.01)
    assert budgets[600.0]["cell_size"]["relative"] == pytest.approx(0.5, rel=0.01)
    assert budgets[600.0]["least"] == pytest.approx(np.hypot(scatter, 0.5), rel=0.01)
    assert budgets[400.0]["missing"] == ["models"]
    assert budgets[300.0]["missing"] == ["models", "cell size"]


def unresolved_below(limit_K: float) -> Any:
    def law(name: str, temperature_K: float) -> tuple[float | None, float | None]:
        return (None, None) if temperature_K < limit_K else LINE(name, temperature_K)

    return law


def test_a_bound_at_300_K_makes_D_there_an_extrapolation() -> None:
    _, outcome = play(unresolved_below(350.0))

    assert outcome.values["branches"]["ordered"]["D_300K"]["how"] == "extrapolated"
    assert outcome.verdict.level == "care"
    assert "No D at ordered 300 K, disordered 300 K" in outcome.verdict.text


def test_without_any_D_the_outcome_says_so() -> None:
    _, outcome = play(unresolved_below(5000.0))

    assert outcome.verdict.level == "doubt"
    assert "0 of 8 runs have D" in outcome.verdict.text
    assert isinstance(Diffusion().draw(outcome.values), Figure)  # bounds are something


def test_lost_runs_leave_an_outcome() -> None:
    lost = runs_of("diffusion-lgps-ordered-300K", "diffusion-lgps-ordered-600K")
    player = StudyPlayer([Diffusion()], lgps(**study()), LINE, is_failing=lost)
    outcome = player.conclude()

    ordered = [p for p in outcome.values["points"] if p["branch"] == "ordered"]
    assert [p["temperature_K"] for p in ordered] == [400.0, 1000.0]
    assert any("lost" in note for note in outcome.notes)
    assert isinstance(Diffusion().draw(outcome.values), Figure)


def test_with_every_run_lost_there_is_nothing_to_draw() -> None:
    config = lgps(**study(temperatures_K=[600.0], disordered=False))
    player = StudyPlayer([Diffusion()], config, LINE, is_failing=runs_of())
    outcome = player.conclude()

    assert outcome.verdict.level == "doubt"
    with pytest.raises(AnalysisError, match="no run has D"):
        Diffusion().draw(outcome.values)


def test_frames_outside_trust_are_a_care() -> None:
    player = StudyPlayer([Diffusion()], lgps(**study()), LINE)

    def untrusted(unit: Unit) -> dict[str, Any]:
        points = player.diffusion(unit)["points"]
        return record_of([{**one, "untrusted_fraction": 0.05} for one in points])

    player.answers["diffusion"] = untrusted
    outcome = player.conclude()

    assert outcome.verdict.level == "care"
    assert (
        "More than 1 % of frames are outside what the potential knows" in outcome.verdict.text
    )


def test_an_expansion_beyond_what_a_system_takes_is_refused() -> None:
    assert "allowed: less than 2 times" in Diffusion().lacks(
        lgps(**study(expansion_per_K=9e-4))
    )
    assert Diffusion().lacks(lgps(**study())) == ""


@pytest.mark.parametrize(("found", "used"), [(5e-5, 5e-5), (float("nan"), 0.0)])
def test_a_measured_expansion_makes_the_cells(
    monkeypatch: pytest.MonkeyPatch, found: float, used: float
) -> None:
    monkeypatch.setattr(
        "dasksse.study.thermal_expansion.measured_expansion", lambda bench: found
    )
    player, outcome = play(expansion_per_K="measured")

    assert outcome.values["expansion_per_K"] == used
    volume = player.volume_A3("diffusion-lgps-ordered-1000K")
    assert volume == pytest.approx(VOLUME_A3 * (1 + used * 700.0) ** 3)
    kept = [note for note in outcome.notes if "gives no expansion" in note]
    assert bool(kept) == (used == 0.0)


def test_nothing_runs_before_the_expansion_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "dasksse.study.thermal_expansion.measured_expansion", lambda bench: None
    )
    config = lgps(**study(expansion_per_K="measured"))
    player = StudyPlayer([Diffusion()], config, LINE)

    assert player.plan().ready == []
    assert any(case.name.startswith("expansion-") for case in Diffusion().cases(config))


def test_the_figure_shows_both_crystals_and_the_parts() -> None:
    _, outcome = play(also_fixed_cell=True)

    left, right = Diffusion().draw(outcome.values).axes
    words = [text.get_text() for text in left.get_legend().get_texts()]
    assert {"ordered", "disordered", "ordered, fixed cell"} <= set(words)
    assert "Huang et al. 2021 (Li10GeP2S12)" in words
    parts = [text.get_text() for text in right.get_legend().get_texts()]
    assert "models: not known" in parts
