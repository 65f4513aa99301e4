from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pretender import toy
from study_player import ELEMENTS, LGPS, StudyPlayer, point, record_of

from dasksse.errors import AnalysisError
from dasksse.study.arrangement_mean import mean_of_arrangements, ratio_of
from dasksse.study.disorder import Disorder
from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from collections.abc import Callable

    from dasksse.config.schema import RunConfig
    from dasksse.records import Unit

T = (300.0, 400.0, 500.0, 666.0)
SETTINGS: dict[str, Any] = {"n_orderings": 6, "species": ["Ge", "P"], "site": "M1"}


def config(**changes: Any) -> RunConfig:
    return toy(type_map=ELEMENTS, studies__disorder={**SETTINGS, **changes})


def on_line(
    temperature_K: float, *, Ea_eV: float = 0.25, factor: float = 1.0, **changes: Any
) -> dict[str, Any]:
    """Point of an Arrhenius line, with an error of 10 %."""
    D = factor * 3e-8 * float(np.exp(-Ea_eV / (BOLTZMANN_EV_K * temperature_K)))
    return point(temperature_K, D, 0.1 * D, **changes)


def unresolved(temperature_K: float) -> dict[str, Any]:
    return point(temperature_K, None, None)


def faster_in_disorder(unit: Unit) -> dict[str, Any]:
    """Ordered crystal with a higher barrier; arrangements that differ by 10 % around a mean."""
    group = unit.payload["group"]
    if group.endswith("ordered"):
        return record_of([on_line(at, Ea_eV=0.27) for at in T])
    factor = 0.75 + 0.1 * int(group[-2:])  # 0.75 to 1.25, mean 1
    return record_of([on_line(at, Ea_eV=0.24, factor=factor) for at in T])


def bench(
    answer: Callable[[Unit], dict[str, Any]],
    *,
    numbers: list[int] = LGPS,
    **changes: Any,
) -> StudyPlayer:
    return StudyPlayer(
        [Disorder()], config(**changes), answers={"diffusion": answer}, numbers=numbers
    )


def test_every_arrangement_is_another_crystal_and_the_ordered_one_has_none() -> None:
    made = bench(faster_in_disorder)
    made.conclude()
    sections = [unit.payload["section"] for unit in made.asked("structure")]
    assert sections[0]["cation_ordering"] is None
    seeds = {section["cation_ordering"]["seed"] for section in sections[1:]}
    assert len(seeds) == 6
    assert {s["cation_ordering"]["site"] for s in sections[1:]} == {"M1"}
    assert len(made.asked("production")) == 7 * len(T)
    fewer = Disorder().cases(config(n_orderings=3))
    assert fewer == Disorder().cases(made.config)[:4]


def test_ratio_and_its_error_follow_from_the_arrangements() -> None:
    outcome = bench(faster_in_disorder).conclude()
    values = outcome.values
    ordered = on_line(300.0, Ea_eV=0.27)["D_m2_s"]
    mean = on_line(300.0, Ea_eV=0.24)["D_m2_s"]
    factors = np.array([0.75, 0.85, 0.95, 1.05, 1.15, 1.25])
    sem = factors.std(ddof=1) / np.sqrt(6)
    coldest = values["disordered"][0]
    assert coldest["D_m2_s"] == pytest.approx(mean)
    assert coldest["D_err_m2_s"] == pytest.approx(sem * mean)
    assert coldest["spread_m2_s"] < factors.std(ddof=1) * mean
    assert values["ratios"][0]["ratio"] == pytest.approx(mean / ordered)
    assert values["ratios"][0]["ln_err"] == pytest.approx(np.hypot(sem, 0.1))
    assert values["fits"]["ordered"]["Ea_eV"] == pytest.approx(0.27, abs=1e-3)
    assert values["fits"]["disordered"]["Ea_eV"] == pytest.approx(0.24, abs=1e-3)
    left, right = Disorder().draw(outcome.values).axes
    assert len(left.containers) == 2 * len(T)
    assert len(right.containers) == len(T)
    assert outcome.verdict.level == "trust"
    assert outcome.verdict.text.startswith("Disorder makes Li faster: 3.2 (2.8 … 3.6) times D")
    assert "2 to 4 times as fast" in outcome.verdict.text


def test_another_material_has_no_published_values() -> None:
    sodium = [*[3] * 4, *[32] * 2, *[15] * 2, *[16] * 8]
    outcome = bench(faster_in_disorder, numbers=sodium).conclude()
    assert "Huang" not in outcome.verdict.text
    assert outcome.values["published_range"] is None
    assert not any("Huang et al. 2021" in row for row in outcome.tables[0].rows)


def test_equal_D_is_no_effect() -> None:
    outcome = bench(lambda _: record_of([on_line(at) for at in T])).conclude()
    assert outcome.verdict.text.startswith("No effect beyond the errors: 1.0")


def test_unresolved_runs_are_said_and_do_not_raise_the_mean() -> None:
    def answer(unit: Unit) -> dict[str, Any]:
        record = faster_in_disorder(unit)
        if unit.payload["group"].endswith("00"):
            record["points"][0] = unresolved(300.0)
        return record

    outcome = bench(answer).conclude()
    coldest = outcome.values["disordered"][0]
    assert (coldest["n_arrangements"], coldest["n_resolved"]) == (6, 5)
    resolved = on_line(300.0, Ea_eV=0.24)["D_m2_s"] * 5.25
    assert coldest["D_m2_s"] == pytest.approx((resolved + 0.5e-12) / 6)
    assert outcome.verdict.level == "care"
    assert any("not resolved" in note for note in outcome.notes)


def test_nothing_resolved_is_a_doubt_with_bounds_and_still_a_figure() -> None:
    outcome = bench(lambda _: record_of([unresolved(at) for at in T])).conclude()
    assert outcome.verdict.level == "doubt"
    assert {mean["D_m2_s"] for mean in outcome.values["disordered"]} == {None}
    assert {mean["upper_bound_m2_s"] for mean in outcome.values["disordered"]} == {1e-12}
    Disorder().draw(outcome.values)


def test_no_point_at_all_is_an_outcome_without_figure() -> None:
    outcome = bench(lambda _: record_of([], "run 0: nothing")).conclude()
    assert outcome.verdict.level == "doubt"
    assert "run 0: nothing" in outcome.notes
    with pytest.raises(AnalysisError, match="D or an upper bound"):
        Disorder().draw(outcome.values)


def test_molten_arrangements_and_lost_runs_are_left_out() -> None:
    def answer(unit: Unit) -> dict[str, Any]:
        record = faster_in_disorder(unit)
        if unit.payload["group"].endswith("01"):
            record["points"][3] = on_line(666.0, factor=50.0, framework_melted=["S"])
        if unit.payload["group"].endswith("02"):
            del record["points"][3]
        return record

    outcome = bench(answer).conclude()
    hottest = outcome.values["disordered"][-1]
    assert hottest["n_arrangements"] == 4
    assert hottest["D_m2_s"] == pytest.approx(on_line(666.0, Ea_eV=0.24)["D_m2_s"] * 1.05)
    assert any("666 K: 4 of 6 arrangements" in note for note in outcome.notes)


def test_one_known_side_bounds_the_ratio() -> None:
    known = {"D_m2_s": 4e-12, "D_err_m2_s": 1e-12, "upper_bound_m2_s": None}
    bound = {"D_m2_s": None, "D_err_m2_s": None, "upper_bound_m2_s": 1e-12}
    assert ratio_of(bound, known)["above"] == pytest.approx(4.0)
    assert ratio_of(known, bound)["below"] == pytest.approx(0.25)
    assert set(ratio_of(bound, bound).values()) == {None}


def test_error_of_the_mean_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    hits = []
    for _ in range(600):
        own = 1.0 + rng.normal(0.0, 0.3, 12)  # arrangements differ
        measured = own + rng.normal(0.0, 0.2, 12)  # and runs are short
        points = [point(300.0, D, 0.2) for D in measured]
        mean = mean_of_arrangements(points, 300.0)
        hits.append(abs(mean["D_m2_s"] - 1.0) < mean["D_err_m2_s"])
    assert np.mean(hits) == pytest.approx(0.67, abs=0.05)


def test_lacks_species_when_nothing_names_them() -> None:
    assert "cation_ordering" in Disorder().lacks(toy(type_map=ELEMENTS))
    assert Disorder().lacks(config(species=["Ge", "Sn"])) != ""
    assert Disorder().lacks(config()) == ""


def test_species_come_from_a_system_with_cation_ordering() -> None:
    system = config().systems[0].model_dump(mode="json")
    other = {
        **system,
        "name": "mixed",
        "cation_ordering": {"species": ["Ge", "P"], "site": "4d"},
    }
    both = toy(type_map=ELEMENTS, studies__disorder={"n_orderings": 2}).model_dump(mode="json")
    found = type(config()).model_validate({**both, "systems": [system, other]})
    assert Disorder().lacks(found) == ""
    ordering = Disorder().cases(found)[1].system.cation_ordering
    assert ordering is not None
    assert (ordering.species, ordering.site) == (("Ge", "P"), "4d")


def test_crystal_without_the_cations_is_a_doubt_and_runs_nothing() -> None:
    made = bench(faster_in_disorder, numbers=[3, 3, 16])
    outcome = made.conclude()
    assert outcome.verdict.level == "doubt"
    assert "nothing to exchange" in outcome.verdict.text
    assert not made.asked("production")
    with pytest.raises(AnalysisError):
        Disorder().draw(outcome.values)
