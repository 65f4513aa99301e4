from __future__ import annotations

import numpy as np

from dasksse.report.data import ParityData, RunReport


def _parity(n_points: int) -> ParityData:
    force = np.arange(n_points, dtype=float)
    return ParityData(
        energy_label_eV_atom=np.zeros(2),
        energy_model_eV_atom=np.zeros(2),
        force_label_eV_A=force,
        force_model_eV_A=force + 0.5,
        element=np.array(["Li", "S"])[np.arange(n_points) % 2],
    )


def test_thinning_keeps_label_model_and_element_together() -> None:
    thin = _parity(1000).thinned(seed=3, limit=100)

    assert len(thin.force_label_eV_A) == 100
    np.testing.assert_array_equal(thin.force_model_eV_A - thin.force_label_eV_A, 0.5)
    odd = thin.force_label_eV_A.astype(int) % 2
    np.testing.assert_array_equal(thin.element == "S", odd == 1)


def test_thinning_is_the_same_for_the_same_seed_and_no_work_below_the_limit() -> None:
    data = _parity(1000)

    first, second = data.thinned(seed=3, limit=50), data.thinned(seed=3, limit=50)

    np.testing.assert_array_equal(first.force_label_eV_A, second.force_label_eV_A)
    assert data.thinned(seed=3) is data


def test_only_generations_with_shares_count_as_explored(
    full_report: RunReport, new_report: RunReport
) -> None:
    assert len(full_report.explored) == 6
    assert new_report.explored == ()


def test_an_unknown_error_of_a_set_is_none(full_report: RunReport) -> None:
    row = full_report.generations[0]

    assert row.error("probe", "virial_rmse_meV_atom") is None
    assert row.error("no such set", "force_rmse_meV_A") is None
