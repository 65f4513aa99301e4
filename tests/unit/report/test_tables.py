from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.console import Console

from dasksse.report import tables
from dasksse.report.diffusion_tables import (
    arrhenius_rows,
    check_rows,
    motion_rows,
    production_rows,
)

if TYPE_CHECKING:
    from dasksse.report.data import RunReport


def _printed(report: RunReport, width: int = 140) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    for table in tables.rich_tables(report):
        console.print(table)
    stream = console.file
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def test_shares_add_up_to_one_hundred_per_cent(full_report: RunReport) -> None:
    rows = tables.shares_rows(full_report)

    assert len(rows) == 6
    for row in rows:
        parts = [float(row[name].rstrip(" %")) for name in ("accurate", "candidate", "failed")]
        assert abs(sum(parts) - 100) < 0.02


def test_all_rows_of_a_table_have_the_same_columns(full_report: RunReport) -> None:
    makers = (
        tables.shares_rows, tables.temperature_rows, tables.progress_rows, tables.rmse_rows,
        production_rows, arrhenius_rows, motion_rows, check_rows, tables.system_rows,
        tables.failure_rows, tables.verdict_rows, tables.label_rows,
    )  # fmt: skip

    for make in makers:
        rows = make(full_report)
        assert rows
        assert {tuple(row) for row in rows} == {tuple(rows[0])}
        assert all(isinstance(cell, str) for row in rows for cell in row.values())


def test_labels_are_counted_by_what_became_of_them_and_timed(full_report: RunReport) -> None:
    (row,) = tables.label_rows(full_report)

    assert row == {
        "source": "SevenNet 7net-l3i5",
        "functional": "PBE",
        "good": "972",
        "refused": "3",
        "failed": "1",
        "why": "force above the cap (3), calculator failed (1)",
        "time [s]": "1.9 / 3.4",
        "core-hours": "0.58 / 0.48",
        "memory [GB]": "–",
    }


def test_of_many_notes_on_labels_the_first_are_shown(full_report: RunReport) -> None:
    notes = tuple(f"min_distance_A did nothing for system {i}" for i in range(11))
    noted = replace(full_report, label_notes=notes)

    printed = _printed(noted)

    assert "Labels of the newest training set" in printed
    assert "min_distance_A did nothing for system 7" in printed
    assert "system 8" not in printed
    assert "and 3 more, see label_notes in summary.json" in printed
    assert "Labels of the newest training set" not in _printed(full_report)


def test_a_subdiffusive_run_shows_its_bound_and_no_conductivity(full_report: RunReport) -> None:
    row = production_rows(full_report)[0]

    assert row["T [K]"] == "300"
    assert row["D [m²/s]"].startswith("< ")
    assert row["σ [mS/cm]"] == "–"
    assert "upper bound only" in row["trustworthy"]


def test_production_is_sorted_by_system_and_temperature(full_report: RunReport) -> None:
    shuffled = replace(full_report, production=full_report.production[::-1])

    assert production_rows(shuffled) == production_rows(full_report)


def test_a_diffusive_row_shows_intervals_jumps_and_axes(full_report: RunReport) -> None:
    rows = production_rows(full_report)
    (row,) = (r for r in rows if r["system"] == "LGPS-2x2x2" and r["T [K]"] == "600")
    (motion,) = (
        {**r, **checks}
        for r, checks in zip(motion_rows(full_report), check_rows(full_report), strict=True)
        if r["system"] == "LGPS-2x2x2" and r["T [K]"] == "600"
    )

    assert row["D [m²/s]"] == "(3.2 ± 0.6) × 10⁻¹⁰"
    assert row["D, 95 %"] == "(2.2 … 4.8) × 10⁻¹⁰"
    assert row["jumps"] == "1\u202f300"
    assert row["σ [mS/cm]"] == "2.7 ± 0.5"
    assert row["Haven ratio"] == "0.62 (0.40 … 0.97)"
    assert motion["bootstrap error [m²/s]"] == "6.9 × 10⁻¹¹"
    assert motion["D z [m²/s]"] == "(5.2 ± 0.8) × 10⁻¹⁰"
    assert motion["least error"] == "3 %"
    assert motion["non-Gaussian"] == "1.4 at 12.5 ps"


def test_runs_of_older_versions_still_have_their_rows(full_report: RunReport) -> None:
    old = {
        "D_m2_s": 3e-10, "D_err_m2_s": 4e-11, "regime": "diffusive", "haven_ratio": 0.6,
        "haven_ratio_err": None, "sigma_mS_cm": 2.7, "D_xyz_m2_s": [3e-10, 3e-10, 3e-10],
        "fit_window_ps": [40.0, 200.0],
    }  # fmt: skip
    report = replace(
        full_report, production=(replace(full_report.production[3], diffusion=old),)
    )

    (row,) = production_rows(report)
    (motion,) = motion_rows(report)

    assert (row["D, 95 %"], row["jumps"]) == ("–", "–")
    assert (row["σ [mS/cm]"], row["Haven ratio"]) == ("2.7", "0.60")
    assert motion["D x [m²/s]"] == "3.0 × 10⁻¹⁰"
    assert motion["σ collective [mS/cm]"] == "–"


def test_a_temperature_that_was_not_analysed_has_one_row_alone(full_report: RunReport) -> None:
    row = replace(full_report.production[3], diffusion={}, trouble="not analysed: too short")
    report = replace(full_report, production=(row,))

    assert production_rows(report)[0]["trustworthy"] == "not analysed: too short"
    assert motion_rows(report) == []


def test_a_generation_that_did_not_explore_names_no_system(full_report: RunReport) -> None:
    last = replace(full_report.generations[-1], systems=(), ensemble="", length_ps=0.0)

    (row,) = tables.shares_rows(replace(full_report, generations=(last,)))

    assert (row["systems"], row["length [ps]"]) == ("–", "–")


def test_errors_are_those_of_the_latest_models(full_report: RunReport) -> None:
    rows = {row["set"]: row for row in tables.rmse_rows(full_report)}

    assert rows["held out"]["force [meV/Å]"] == "98.0 ± 2.8"
    assert rows["probe"]["virial [meV/atom]"] == "–"


def test_an_ensemble_without_spread_shows_the_mean_alone(full_report: RunReport) -> None:
    row = replace(full_report.generations[0], rmse={"probe": {"force_rmse_meV_A": (84.0, 0.0)}})

    (shown,) = tables.rmse_rows(replace(full_report, generations=(row,)))

    assert shown["force [meV/Å]"] == "84.0"


def test_errors_by_material_are_shown_where_there_are_several(full_report: RunReport) -> None:
    errors = {"force_rmse_meV_A": (84.0, 2.0), "virial_rmse_meV_atom": None}
    several = {"held_out": {"Li10GeP2S12": errors, "Li10SnP2S12": errors}, "probe": {}}
    last = full_report.generations[-1]

    def rows(materials: dict[str, dict[str, Any]]) -> list[dict[str, str]]:
        changed = replace(last, materials=materials)
        return tables.material_rows(replace(full_report, generations=(changed,)))

    assert rows(several) == [
        {
            "set": "held out",
            "material": formula,
            "energy [meV/atom]": "–",
            "force [meV/Å]": "84.0 ± 2.0",
            "virial [meV/atom]": "–",
        }
        for formula in ("Li10GeP2S12", "Li10SnP2S12")
    ]
    assert rows({"held_out": {"Li10GeP2S12": errors}}) == []
    assert tables.material_rows(full_report) == []


def test_a_run_without_results_has_empty_tables(new_report: RunReport) -> None:
    assert tables.rmse_rows(new_report) == []
    assert tables.progress_rows(new_report) == []
    assert production_rows(new_report) == []
    assert arrhenius_rows(new_report) == []


def test_the_terminal_shows_shares_errors_d_ea_and_what_is_trustworthy(
    full_report: RunReport,
) -> None:
    text = _printed(full_report, width=300)

    for expected in (
        "98.60 %",
        "force [meV/Å]",
        "(3.2 ± 0.6) × 10⁻¹⁰",
        "0.221 ± 0.012 eV",
        "What is trustworthy in it",
        "Use with care",
        "not from DFT",
    ):
        assert expected in text


def test_the_terminal_copes_with_a_run_that_has_just_begun(new_report: RunReport) -> None:
    text = _printed(new_report)

    assert "Shares of frames" in text
    assert "No exploration has been judged yet" in text
    assert "Arrhenius fits" not in text


def test_text_in_brackets_is_not_taken_for_markup(full_report: RunReport) -> None:
    note = "[bold]unclosed [/nonsense]"
    report = replace(
        full_report, production=(replace(full_report.production[4], trust_note=note),)
    )

    assert "[/nonsense]" in _printed(report)
