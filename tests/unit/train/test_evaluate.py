from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from dasksse.errors import AnalysisError, ConfigError
from dasksse.records import Workplace
from dasksse.train.accuracy import (
    force_slope,
    max_force_deviation,
    report_by_element,
    report_by_material,
    report_of,
    rmse,
)
from dasksse.train.evaluate import Prediction, evaluate_models, evaluate_report

if TYPE_CHECKING:
    from collections.abc import Callable

    from dasksse.records import Labels


def _prediction(labels: Labels, *offsets: float) -> Prediction:
    """Models that are wrong by a constant in every number."""
    return Prediction(
        "set",
        np.stack([labels.energies + x for x in offsets]),
        np.stack([labels.forces + x for x in offsets]),
        np.stack([labels.virials + x for x in offsets]),
    )


def test_errors_of_constant_offsets_are_these_offsets(
    make_labels: Callable[..., Labels],
) -> None:
    labels = make_labels()

    errors = rmse(_prediction(labels, 0.01, -0.03), labels)

    assert errors["models"][0] == pytest.approx(
        {"energy_rmse_meV_atom": 2.5, "force_rmse_meV_A": 10.0, "virial_rmse_meV_atom": 2.5}
    )
    assert errors["models"][1]["force_rmse_meV_A"] == pytest.approx(30.0)
    assert errors["mean"]["force_rmse_meV_A"] == pytest.approx(20.0)
    assert errors["std"]["force_rmse_meV_A"] == pytest.approx(20.0 / np.sqrt(2.0))


def test_the_error_is_quadratic_over_components(make_labels: Callable[..., Labels]) -> None:
    labels = make_labels(n_frames=1)
    prediction = _prediction(labels, 0.0)
    prediction.forces[0, 0, 2] += [0.3, 0.0, -0.4]  # one of four atoms

    errors = rmse(prediction, labels)

    assert errors["mean"]["force_rmse_meV_A"] == pytest.approx(1000.0 * np.sqrt(0.25 / 12.0))


def test_what_cannot_be_compared_is_null(make_labels: Callable[..., Labels]) -> None:
    labels = make_labels(virial=False)

    errors = rmse(_prediction(labels, 0.01), labels)

    assert errors["mean"]["virial_rmse_meV_atom"] is None
    assert errors["mean"]["energy_rmse_meV_atom"] == pytest.approx(2.5)
    assert set(errors["std"].values()) == {None}  # one model has no spread


def test_bad_labels_do_not_count(make_labels: Callable[..., Labels]) -> None:
    labels = make_labels(n_frames=2)
    prediction = _prediction(labels, 0.01)
    prediction.energies[0, 1] += 5.0
    labels.forces[1] = np.nan

    errors = rmse(prediction, labels)

    assert errors["mean"]["energy_rmse_meV_atom"] == pytest.approx(2.5)


def test_frames_without_virial_count_for_energy_and_forces_alone(
    make_labels: Callable[..., Labels],
) -> None:
    labels = make_labels(n_frames=2)
    prediction = _prediction(labels, 0.01)
    labels.virials[1] = np.nan

    errors = rmse(prediction, labels)

    assert errors["mean"]["virial_rmse_meV_atom"] == pytest.approx(2.5)


def test_the_report_pools_data_sets_of_different_sizes(
    make_labels: Callable[..., Labels],
) -> None:
    small, large = make_labels((3, 16), n_frames=1), make_labels(n_frames=3)
    predictions = [_prediction(small, 0.0), _prediction(large, 0.02)]

    report = report_of([Path("a.pb")], predictions, [small, large])

    assert set(report) == {"models", "mean", "std", "n_frames", "n_atoms"}
    assert list(report["models"][0]) == [
        "path",
        "energy_rmse_meV_atom",
        "force_rmse_meV_A",
        "virial_rmse_meV_atom",
    ]
    assert report["models"][0]["path"] == "a.pb"
    assert (report["n_frames"], report["n_atoms"]) == (4, 14)
    assert report["mean"]["energy_rmse_meV_atom"] == pytest.approx(5.0 * np.sqrt(3 / 4))
    assert report["mean"]["force_rmse_meV_A"] == pytest.approx(20.0 * np.sqrt(12 / 14))


def test_the_force_deviation_is_that_of_the_worst_atom() -> None:
    forces = np.zeros((2, 3, 4, 3))  # model, frame, atom, xyz
    forces[:, 0, 1, 0] = [0.3, -0.3]
    forces[:, 0, 2, 1] = [1.0, 1.0]  # large but agreed upon
    forces[:, 2, 3] = [[0.1, 0.2, 0.2], [-0.1, -0.2, -0.2]]

    deviation = max_force_deviation(forces)

    np.testing.assert_allclose(deviation, [0.3, 0.0, 0.3])


def test_the_force_deviation_agrees_with_its_formula_written_out() -> None:
    forces = np.random.default_rng(3).normal(size=(4, 2, 5, 3))

    expected = []
    for frame in range(2):
        per_atom = []
        for atom in range(5):
            f = forces[:, frame, atom]
            mean = sum(f) / 4
            per_atom.append(np.sqrt(sum(np.dot(one - mean, one - mean) for one in f) / 4))
        expected.append(max(per_atom))

    np.testing.assert_allclose(max_force_deviation(forces), expected)


def test_the_force_deviation_can_be_that_of_one_species() -> None:
    forces = np.zeros((2, 1, 3, 3))
    forces[:, 0, 0, 0] = [0.1, -0.1]
    forces[:, 0, 2, 0] = [0.5, -0.5]

    deviation = max_force_deviation(forces, atoms=np.array([True, True, False]))

    np.testing.assert_allclose(deviation, [0.1])


def test_a_species_that_is_not_there_has_no_deviation() -> None:
    with pytest.raises(AnalysisError, match=r"no atom of the chosen species"):
        max_force_deviation(np.zeros((2, 1, 3, 3)), atoms=np.zeros(3, dtype=bool))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], r"no model to evaluate"),
        (["none.pb"], r"none\.pb: no such model"),
        (["notes.txt"], r"notes\.txt: no frozen model by its suffix; known: \.pb, \.pth"),
    ],
)
def test_what_is_no_model_is_refused(
    make_labels: Callable[..., Labels], tmp_path: Path, names: list[str], message: str
) -> None:
    (tmp_path / "notes.txt").write_text("")

    with pytest.raises(ConfigError, match=message):
        evaluate_models(
            [tmp_path / name for name in names],
            [("a", make_labels())],
            type_map=["Li", "P", "S"],
            workdir=tmp_path,
            workplace=Workplace(),
        )


def test_labels_that_are_all_bad_cannot_be_evaluated(
    make_labels: Callable[..., Labels], tmp_path: Path
) -> None:
    labels = make_labels()
    labels.energies[:] = np.nan

    with pytest.raises(ConfigError, match=r"no frame with energy and forces"):
        evaluate_report(
            [],
            [("a", labels)],
            type_map=["Li", "P", "S"],
            workdir=tmp_path,
            workplace=Workplace(),
        )


def test_errors_by_material_pool_the_data_sets_of_each(
    make_labels: Callable[..., Labels],
) -> None:
    cells = [(3, 3, 15, 16), (3, 15, 3, 16), (3, 3, 3, 3, 32, 32, 16, 16)]
    labels = [make_labels(numbers, n_frames=2) for numbers in cells]
    predictions = [
        _prediction(part, x) for part, x in zip(labels, (0.0, 0.02, 0.05), strict=True)
    ]

    report = report_by_material(predictions, labels, type_map=["Li", "Ge", "P", "S"])

    assert list(report) == ["Li2PS", "Li2GeS"]
    assert report["Li2PS"]["mean"]["force_rmse_meV_A"] == pytest.approx(20.0 / np.sqrt(2.0))
    assert report["Li2GeS"]["mean"]["force_rmse_meV_A"] == pytest.approx(50.0)
    assert (report["Li2PS"]["n_frames"], report["Li2GeS"]["n_atoms"]) == (4, 16)


def test_errors_by_element_tell_which_forces_are_too_soft(
    make_labels: Callable[..., Labels],
) -> None:
    labels = [make_labels((3, 3, 15, 16), n_frames=3), make_labels((3, 16), n_frames=2)]
    predictions = [_prediction(part, 0.0, 0.0) for part in labels]
    for prediction, part in zip(predictions, labels, strict=True):
        is_lithium = part.frames.numbers == 3
        prediction.forces[0][:, is_lithium] *= 0.8
        prediction.forces[1][:, is_lithium] *= 0.9
    labels[0].forces[1] = np.nan  # a bad label

    report = report_by_element(predictions, labels)

    assert list(report) == ["Li", "P", "S"]
    lithium = report["Li"]
    assert lithium["n_forces"] == 3 * (2 * 2 + 2)
    assert lithium["mean"]["force_slope"] == pytest.approx(0.85)
    assert lithium["std"]["force_slope"] == pytest.approx(0.1 / np.sqrt(2.0))
    assert lithium["mean"]["force_rmse_meV_A"] == pytest.approx(
        0.15 * lithium["force_rms_meV_A"]
    )
    assert report["S"]["mean"] == pytest.approx({"force_rmse_meV_A": 0.0, "force_slope": 1.0})


def test_random_errors_do_not_change_the_slope_and_no_force_has_none() -> None:
    rng = np.random.default_rng(8)
    label, error = rng.normal(0.0, 0.9, 40_000), rng.normal(0.0, 0.1, 40_000)

    assert force_slope(label, label + error) == pytest.approx(1.0, abs=3e-3)
    assert force_slope(np.zeros(3), np.ones(3)) is None


def test_one_model_has_no_spread_by_element(make_labels: Callable[..., Labels]) -> None:
    labels = make_labels()

    report = report_by_element([_prediction(labels, 0.02)], [labels])

    assert report["Li"]["std"] == {"force_rmse_meV_A": None, "force_slope": None}
