from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dasksse.analyse.diffusion_points import DiffusionPoint, leave_out
from dasksse.analyse.diffusion_tables import (
    group_results,
    read_diffusion_csv,
    read_diffusion_json,
)
from dasksse.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "T_K,D_m2_s,D_err_m2_s"


def write(folder: Path, text: str, name: str = "d.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_table_is_read_in_any_column_order_with_gaps(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "note, D_m2_s,D_err_m2_s,T_K,upper_bound_m2_s,framework_broken\n"
        "# a remark, with commas\n"
        "a,1e-10,2e-11,600,,0.0\n\n"
        "b,,,300,1e-13,\n",
    )

    points = read_diffusion_csv(path)

    assert points == [
        DiffusionPoint(600.0, 1e-10, 2e-11, framework_broken=0.0),
        DiffusionPoint(300.0, upper_bound_m2_s=1e-13),
    ]
    assert [(point.has_D, point.is_bound) for point in points] == [(True, False), (False, True)]


def test_units_in_column_names_are_converted(tmp_path: Path) -> None:
    text = "T_K,D_cm2_s,D_err_cm2_s,upper_bound_cm2_s\n600,1e-6,2e-7,\n300,,,1e-9\n"

    points = read_diffusion_csv(write(tmp_path, text))

    assert points[0].D_m2_s == pytest.approx(1e-10)
    assert points[0].D_err_m2_s == pytest.approx(2e-11)
    assert points[1].upper_bound_m2_s == pytest.approx(1e-13)


def test_columns_with_other_names_are_read_when_they_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, "T,D,D_error,limit\n600,1e-6,2e-7,\n300,,,1e-9\n")

    points = read_diffusion_csv(path, columns=("T", "D", "D_error", "limit"), unit="cm2/s")

    assert points[0].D_m2_s == pytest.approx(1e-10)
    assert points[1].upper_bound_m2_s == pytest.approx(1e-13)


def test_a_byte_order_mark_of_a_spreadsheet_is_no_part_of_the_header(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text(f"{HEADER}\n600,1e-10,1e-11\n", encoding="utf-8-sig")

    assert read_diffusion_csv(path) == [DiffusionPoint(600.0, 1e-10, 1e-11)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "T,D,D_error\n600,1,1\n",
            r"d\.csv: no column T_K, D_m2_s, D_err_m2_s; found T, D, D_error\. .*--columns T",
        ),
        ("", "found none"),
        (f"{HEADER}\n", "no row below the header"),
        (f"{HEADER}\n600,1,1\n700,fast,1\n", r"d\.csv:3: D_m2_s is 'fast', must be a number"),
        (f"{HEADER}\n600,nan,1\n", r"d\.csv:2: D_m2_s is 'nan'"),
        (f"{HEADER}\n600,-1e-9,1\n", r"d\.csv:2: D_m2_s is '-1e-9', must be a number above 0"),
        (f"{HEADER}\n600,0,1\n", r"d\.csv:2: D_m2_s is '0'"),
        (f"{HEADER}\n600,1,inf\n", r"d\.csv:2: D_err_m2_s is 'inf'"),
        (f"{HEADER}\n,1,1\n", r"d\.csv:2: T_K is '', must be a number above 0"),
        (f"{HEADER}\n0,1,1\n", r"d\.csv:2: T_K is '0'"),
        (f"{HEADER},D_m2_s\n600,1,1,1\n", r"d\.csv: column D_m2_s occurs more than once"),
        (f"{HEADER},D_cm2_s\n600,1,1,1\n", "columns D_m2_s and D_cm2_s say the same"),
        (f"{HEADER}\n600,1,1\n700,1\n", r"d\.csv:3: found 2 cells, the header has 3"),
        (
            f"{HEADER},framework_broken\n600,1,1,40\n",
            r"d\.csv:2: framework_broken is '40', must be a share from 0 to 1",
        ),
    ],
)
def test_a_bad_table_is_refused_with_file_and_line(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read_diffusion_csv(write(tmp_path, text))


def test_a_missing_table_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.csv: cannot be read"):
        read_diffusion_csv(tmp_path / "absent.csv")


@pytest.mark.parametrize(
    ("columns", "unit", "message"),
    [
        (("T", "D"), "m2/s", "--columns: found 'T,D', allowed: the names"),
        (("T", "D", "D"), "m2/s", "--columns: found 'T,D,D'"),
        (("T", "D", "err"), "m2/s", r"no column err; found T, D, D_error\. Needed: T, D, err"),
        (("T", "D", "D_error"), "nm2/ps", "--unit: found 'nm2/ps', allowed: m2/s, cm2/s"),
    ],
)
def test_wrong_column_options_are_refused(
    tmp_path: Path, columns: tuple[str, ...], unit: str, message: str
) -> None:
    path = write(tmp_path, "T,D,D_error\n600,1,1\n")

    with pytest.raises(ConfigError, match=message):
        read_diffusion_csv(path, columns=columns, unit=unit)


def result(temperature_K: float | None, **changes: Any) -> dict[str, Any]:
    return {
        "species": "Li",
        "temperature_K": temperature_K,
        "D_m2_s": 1e-10,
        "D_err_m2_s": 1e-11,
        "upper_bound_m2_s": None,
        "sigma_mS_cm": 3.0,
        "regime": "diffusive",
        **changes,
    }


def test_what_diffusion_writes_is_read_as_one_or_many(tmp_path: Path) -> None:
    one = write(tmp_path, json.dumps(result(600.0)), "one.json")
    cold = result(300.0, D_m2_s=None, D_err_m2_s=None, upper_bound_m2_s=1e-13)
    many = write(tmp_path, json.dumps({"results": [result(600.0), cold]}), "many.json")

    assert read_diffusion_json(one) == {
        "Li": [DiffusionPoint(600.0, 1e-10, 1e-11, sigma_mS_cm=3.0)]
    }
    assert [point.is_bound for point in read_diffusion_json(many)["Li"]] == [False, True]


def test_results_are_grouped_by_system_and_species() -> None:
    results = [
        result(600.0, group="production/lgps"),
        result(700.0, group="production/lgps"),
        result(600.0, group="production/lsnps"),
        result(600.0, species="Na"),
    ]

    groups = group_results((values, "here") for values in results)

    assert {name: len(points) for name, points in groups.items()} == {
        "lgps Li": 2,
        "lsnps Li": 1,
        "Na": 1,
    }


def test_pressures_are_fits_of_their_own() -> None:
    results = [
        result(600.0, pressure_GPa=0.0),
        result(700.0, pressure_GPa=0.0),
        result(600.0, pressure_GPa=2.0),
        result(600.0, pressure_GPa=None),
        result(600.0, species="Na", pressure_GPa=2.0),
    ]

    groups = group_results((values, "here") for values in results)

    assert {name: len(points) for name, points in groups.items()} == {
        "Li at 0 GPa": 2,
        "Li at 2 GPa": 1,
        "Li at unknown pressure": 1,
        "Na": 1,
    }


def test_melted_frameworks_are_read_and_left_out(tmp_path: Path) -> None:
    table = f"{HEADER},framework_melted\n600,1e-10,1e-11,\n900,1e-9,1e-10,P S\n"
    points = read_diffusion_csv(write(tmp_path, table))
    results = [result(600.0, framework_melted=[]), result(900.0, framework_melted=["S"])]
    (from_json,) = group_results((values, "here") for values in results).values()

    assert [point.framework_melted for point in points] == [None, ("P", "S")]
    assert [point.framework_melted for point in from_json] == [(), ("S",)]
    assert [p.left_out for p in leave_out(points)] == ["", "framework melted: P, S"]
    assert [p.left_out for p in leave_out(from_json)] == ["", "framework melted: S"]


def test_melted_elements_must_be_elements(tmp_path: Path) -> None:
    table = write(tmp_path, f"{HEADER},framework_melted\n900,1e-9,1e-10,yes\n")

    with pytest.raises(ConfigError, match=r"d.csv:2: framework_melted is \['yes'\], must be"):
        read_diffusion_csv(table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[1]", "not what `dasksse diffusion --json` writes"),
        ('{"results": [3]}', "not what `dasksse diffusion --json` writes"),
        ('{"temperature_K": 600}', r"results\.0: no D_m2_s, D_err_m2_s; found temperature_K"),
        (json.dumps({"results": [result(-600.0)]}), r"results\.0: temperature_K is -600\.0"),
        (json.dumps(result(None)), r"results\.0: temperature_K is null"),
        (json.dumps(result(600.0, D_m2_s="fast")), "D_m2_s is 'fast', must be a number above"),
    ],
)
def test_bad_json_is_refused_with_file_and_place(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read_diffusion_json(write(tmp_path, text, "d.json"))
