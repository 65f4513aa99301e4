from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dasksse.errors import StoreError
from dasksse.train.deepmd_parse import read_learning_curve

GOLDEN = Path(__file__).parents[2] / "golden/train"


def test_after_a_restart_the_later_rows_count_and_a_cut_off_row_does_not() -> None:
    curve = read_learning_curve(GOLDEN / "lcurve_restarted.out")

    assert curve.steps.tolist() == [0, 10, 20, 30]
    assert curve.training["rmse_f"].tolist() == [0.792, 0.730, 0.681, 0.601]
    assert curve.validation["rmse_e"].tolist() == [1.02, 0.88, 0.70, 0.50]
    assert curve.learning_rate.tolist() == [1e-3, 8.5e-4, 7.2e-4, 6e-4]


def test_errors_of_labels_that_a_row_does_not_have_are_nan() -> None:
    curve = read_learning_curve(GOLDEN / "lcurve_restarted.out")

    assert np.isnan(curve.training["rmse_v"]).tolist() == [False, True, False, False]


def test_a_curve_of_one_row_without_validation_is_read() -> None:
    curve = read_learning_curve(GOLDEN / "lcurve_one_row.out")

    assert len(curve) == 1
    assert set(curve.training) == {"rmse", "rmse_e", "rmse_f"}
    assert curve.validation == {}
    assert curve.training["rmse_e"].tolist() == [1.04]


def test_a_curve_with_its_header_alone_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "lcurve.out"
    path.write_text("# step rmse_trn rmse_f_trn lr\n")

    curve = read_learning_curve(path)

    assert len(curve) == 0
    assert curve.training["rmse_f"].shape == (0,)


@pytest.mark.parametrize("text", ["", "0 1.0 2.0\n", "# epoch loss\n"])
def test_a_file_without_the_header_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lcurve.out"
    path.write_text(text)

    with pytest.raises(StoreError, match=r"the first line must name columns"):
        read_learning_curve(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"lcurve\.out: no learning curve"):
        read_learning_curve(tmp_path / "lcurve.out")
