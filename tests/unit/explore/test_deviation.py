from __future__ import annotations

from typing import Any

import numpy as np

from dasksse.explore.deviation import deviation_scalars, parse_deviations

HEADER = "# step max_devi_v min_devi_v avg_devi_v max_devi_f min_devi_f avg_devi_f atm_devi_f\n"


def row(step: int, *deviations: Any) -> str:
    return " ".join(map(str, [step, 9, 9, 9, 9, 9, 9, *deviations])) + "\n"


def test_a_file_of_one_row_gives_one_step() -> None:
    rows = parse_deviations(HEADER + row(20, 0.1, 0.2), 2)

    assert list(rows) == [20]
    np.testing.assert_array_equal(rows[20], [0.1, 0.2])


def test_a_repeated_step_keeps_its_last_row() -> None:
    rows = parse_deviations(row(0, 0.1, 0.2) + row(5, 0.3, 0.4) + row(5, 0.5, 0.6), 2)

    np.testing.assert_array_equal(rows[5], [0.5, 0.6])


def test_a_row_cut_short_and_rows_of_another_system_are_left_out() -> None:
    text = row(0, 0.1, 0.2) + row(5, 1.0, 2.0, 3.0) + row(10, 0.1, 0.2)[:-2]

    assert list(parse_deviations(text, 2)) == [0]


def test_a_deviation_that_is_not_a_number_is_kept_as_such() -> None:
    rows = parse_deviations(row(0, "-nan", 0.2), 2)

    assert np.isnan(rows[0][0])


def test_scalars_are_taken_over_all_atoms_and_over_each_species() -> None:
    deviation = np.array([[0.1, 0.3, 0.5], [0.4, 0.2, 0.9]])

    scalars = deviation_scalars(deviation, np.array([3, 3, 16]), ("Li", "S"))

    np.testing.assert_allclose(scalars["deviation_max"], [0.5, 0.9])
    np.testing.assert_allclose(scalars["deviation_min"], [0.1, 0.2])
    np.testing.assert_allclose(scalars["deviation_avg"], [0.3, 0.5])
    np.testing.assert_allclose(scalars["deviation_max_Li"], [0.3, 0.4])
    np.testing.assert_allclose(scalars["deviation_avg_Li"], [0.2, 0.3])
    np.testing.assert_allclose(scalars["deviation_min_S"], [0.5, 0.9])


def test_an_element_the_system_does_not_contain_gives_nan() -> None:
    scalars = deviation_scalars(np.ones((4, 1)), np.array([3]), ("Li", "P"))

    assert scalars["deviation_max_P"].shape == (4,)
    assert np.isnan(scalars["deviation_max_P"]).all()
