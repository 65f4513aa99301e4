from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dasksse.report.summary import plain, summarise

if TYPE_CHECKING:
    from dasksse.report.data import RunReport


def test_unknown_and_not_finite_numbers_become_null() -> None:
    value = {1.0: np.array([np.nan, 2.0]), "x": (np.float32(np.inf), np.int64(3), None, True)}

    assert plain(value) == {"1.0": [None, 2.0], "x": [None, 3, None, True]}


def test_the_summary_is_strict_json_and_small(full_report: RunReport) -> None:
    text = json.dumps(summarise(full_report), allow_nan=False)

    assert len(text) < 60_000


def test_the_summary_holds_d_ea_shares_and_verdicts(full_report: RunReport) -> None:
    summary = summarise(full_report)

    assert summary["arrhenius"]["LGPS-2x2x2"]["Ea_eV"] == 0.2214
    assert summary["production"][0]["diffusion"]["D_m2_s"] is None
    assert summary["generations"][-1]["accurate"] == full_report.generations[-1].accurate
    assert len(summary["generations"][0]["by_temperature"]) == 8
    assert {"level", "subject", "text"} == set(summary["verdicts"][0])


def test_the_summary_holds_labels_with_reasons(full_report: RunReport) -> None:
    (row,) = summarise(full_report)["labels"]

    assert row["why"] == {"force above the cap": 3, "calculator failed": 1}
    assert row["memory_bytes"] is None


def test_the_summary_holds_all_notes_on_labels(full_report: RunReport) -> None:
    notes = [f"note {i}" for i in range(20)]

    assert summarise(replace(full_report, label_notes=tuple(notes)))["label_notes"] == notes


def test_drawn_arrays_stay_out_of_the_summary(full_report: RunReport) -> None:
    summary = summarise(full_report)

    assert "parity" not in summary
    assert "deviations" not in summary["generations"][0]
    assert "msd_A2" not in summary["production"][0]


def test_a_nan_in_the_data_does_not_reach_the_summary(full_report: RunReport) -> None:
    row = replace(full_report.production[0], untrusted_fraction=float("nan"))

    summary = summarise(replace(full_report, production=(row,)))

    assert summary["production"][0]["untrusted_fraction"] is None
