"""``dasksse arrhenius``: from tables, results and runs to Ea, in a terminal and as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_run import make_run_folder
from stores import write

from dasksse.cli import main
from dasksse.records import MemoryTrajectory
from dasksse.units import BOLTZMANN_EV_K

LLZO = (
    Path(__file__).parents[3]
    / "../shared/refdata/mogroup_aimd_llzo/test_files/arrhenius/D_T.csv"
)
AGREED_KEYS = {
    "Ea_eV",
    "Ea_err_eV",
    "D0_m2_s",
    "at_K",
    "D_m2_s",
    "D_low_m2_s",
    "D_high_m2_s",
    "sigma_mS_cm",
    "chi2_reduced",
    "one_line_ok",
}


def line(T_K: float) -> float:
    return float(3e-8 * np.exp(-0.25 / (BOLTZMANN_EV_K * T_K)))


def write_table(
    folder: Path, temperatures_K: tuple[float, ...] = (500, 600, 800, 1000)
) -> Path:
    path = folder / "d.csv"
    rows = [f"{T:g},{line(T)},{0.1 * line(T)}" for T in temperatures_K]
    path.write_text("\n".join(["T_K,D_m2_s,D_err_m2_s", *rows]) + "\n")
    return path


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    code = main(["arrhenius", *map(str, arguments)])

    error = capsys.readouterr().err
    assert code == 2, error
    assert "Traceback" not in error
    return error


def fitted(folder: Path, *arguments: object) -> dict[str, Any]:
    path = folder / "fit.json"
    assert main(["arrhenius", *map(str, arguments), "--json", str(path)]) == 0
    return json.loads(path.read_text())


def test_a_table_gives_json_plot_and_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / name for name in ("a.png", "a.tex")]

    values = fitted(
        tmp_path,
        *(write_table(tmp_path), "--at-K", 350, "--density-A3", 0.02, "--species", "Li"),
        *("--plot", files[0], "--table", files[1]),
    )

    assert set(values) >= AGREED_KEYS
    assert values["Ea_eV"] == pytest.approx(0.25)
    assert values["at_K"] == 350.0
    assert values["D_m2_s"] == pytest.approx(line(350.0))
    assert values["sigma_mS_cm"] > 0.0
    assert all(file.stat().st_size > 0 for file in files)
    shown = capsys.readouterr().out
    assert "D(T) of Li" in shown
    assert "Ea = 0.250 ±" in shown
    assert "One line fits 4 points" in shown


@pytest.mark.refdata
@pytest.mark.skipif(not LLZO.exists(), reason=f"no reference data at {LLZO}")
def test_published_garnet_data_in_other_columns_are_fitted(tmp_path: Path) -> None:
    values = fitted(tmp_path, LLZO, "--columns", "T,D,D_error", "--unit", "cm2/s")

    assert values["Ea_eV"] == pytest.approx(0.25814, abs=1e-5)
    assert values["Ea_err_eV"] == pytest.approx(0.01683, abs=1e-5)
    assert values["D_m2_s"] == pytest.approx(6.8075e-13, rel=1e-4)
    assert values["one_line_ok"] is True


def test_bounds_and_broken_temperatures_are_shown_with_their_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "d.csv"
    rows = [f"{T},{line(T)},{0.1 * line(T)},,0" for T in (500, 600, 800)]
    rows += [f"300,,,{20 * line(300)},0", "1500,1e-8,1e-9,,0.4"]
    header = "T_K,D_m2_s,D_err_m2_s,upper_bound_m2_s,framework_broken"
    path.write_text("\n".join([header, *rows]))

    values = fitted(tmp_path, path)

    assert (values["n_points"], values["n_bounds"]) == (3, 1)
    assert values["Ea_eV"] == pytest.approx(0.25, abs=1e-4)
    shown = capsys.readouterr().out
    assert "as upper bound" in shown
    assert "no: framework broken in 40 % of frames" in shown


def test_results_of_diffusion_are_put_together_from_several_files(tmp_path: Path) -> None:
    paths = []
    for T in (500.0, 600.0, 800.0):
        paths.append(tmp_path / f"{T:g}.json")
        values = {"species": "Li", "temperature_K": T, "D_m2_s": line(T)}
        values |= {"D_err_m2_s": 0.1 * line(T), "sigma_mS_cm": 1e12 * line(T) / T}
        paths[-1].write_text(json.dumps(values))

    values = fitted(tmp_path, *paths)

    assert values["name"] == "Li"
    assert values["n_points"] == 3
    # the density that the results imply: sigma T / D is the same at all temperatures
    assert values["sigma_mS_cm"] == pytest.approx(1e12 * line(300.0) / 300.0)


def test_a_run_is_fitted_with_its_bounds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run_folder(tmp_path / "run")

    values = fitted(tmp_path, folder.root, "--species", "Li")

    assert values["name"] == "lgps Li"
    assert (values["n_points"], values["n_bounds"]) == (4, 1)
    assert values["Ea_eV"] == pytest.approx(0.22, abs=0.001)
    assert "D(T) of lgps Li" in capsys.readouterr().out


def hot_salt(temperature_K: float, *, wander_A: float = 0.0) -> MemoryTrajectory:
    """Li that walks, faster when hot, among Cl that stay or walk too."""
    rng = np.random.default_rng(int(temperature_K))
    steps = rng.normal(0.0, np.sqrt(2e7 * line(temperature_K)), (500, 24, 3))
    steps[:, 12:] = rng.normal(0.0, wander_A, (500, 12, 3))
    positions = rng.uniform(0.0, 12.0, (1, 24, 3)) + np.cumsum(steps, axis=0)
    positions += rng.normal(0.0, 0.02, positions.shape)
    numbers = np.repeat([3, 17], 12)
    return MemoryTrajectory(numbers, positions, 12.0 * np.eye(3), 0.1, temperature_K)


def test_a_store_is_fitted_without_the_temperatures_at_which_it_has_melted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "a.zarr"
    for temperature_K in (600.0, 800.0, 1000.0):
        write(store, hot_salt(temperature_K), piece=500)
    write(store, hot_salt(1400.0, wander_A=0.4), piece=500)

    values = fitted(tmp_path, store, "--species", "Li")

    *whole, melted = values["points"]
    assert [point["left_out"] for point in whole] == [""] * 3
    assert (melted["temperature_K"], melted["left_out"]) == (1400.0, "framework melted: Cl")
    assert values["n_points"] == 3
    assert values["Ea_eV"] == pytest.approx(0.25, abs=4.0 * values["Ea_err_eV"])
    assert values["Ea_err_eV"] < 0.05
    assert values["sigma_mS_cm"] > 0.0
    assert "no: framework melted: Cl" in capsys.readouterr().out


def test_a_store_without_the_element_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "a.zarr", hot_salt(600.0), piece=500)

    text = refused(capsys, tmp_path / "a.zarr", "--species", "Na")

    assert "no 'Na' among the atoms; elements present: Cl, Li" in text


def test_several_systems_are_results_and_one_without_a_fit_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "d.json"
    results = [
        {"species": s, "temperature_K": T, "D_m2_s": line(T), "D_err_m2_s": 0.1 * line(T)}
        for s, T in (("Li", 500.0), ("Li", 600.0), ("Na", 600.0))
    ]
    path.write_text(json.dumps({"results": results}))

    values = fitted(tmp_path, path, "--plot", tmp_path / "a.svg")["results"]

    assert [value["name"] for value in values] == ["Li", "Na"]
    assert [value["Ea_eV"] is None for value in values] == [False, True]
    assert "no fit: 1 of 1 temperatures" in capsys.readouterr().out


def test_sizes_are_extrapolated_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "d.csv"
    rows = [
        f"{T},{line(T) * (1 + 5 / L)},{0.02 * line(T)},{L}"
        for T in (500, 600, 800)
        for L in (10, 20, 40)
    ]
    path.write_text("\n".join(["T_K,D_m2_s,D_err_m2_s,L_A", *rows]))

    values = fitted(tmp_path, path, "--size-extrapolation")

    assert values["D0_m2_s"] == pytest.approx(3e-8)
    assert [size["a"] for size in values["sizes"]] == pytest.approx([5.0] * 3)
    assert "Infinite size, by 1/L" in capsys.readouterr().out


def test_experiment_is_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured = tmp_path / "exp.csv"
    measured.write_text("T_K,sigma_mS_cm,source\n300,1.0,impedance\n")

    code = main(
        [
            "arrhenius",
            *map(str, (write_table(tmp_path), "--experiment", measured)),
            *("--density-A3", "0.02", "--plot", str(tmp_path / "a.png")),
        ]
    )

    shown = capsys.readouterr().out
    assert code == 0
    assert "impedance" in shown
    assert "from σ" in shown


def test_forms_transitions_and_ranges_reach_the_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_table(tmp_path, (400, 500, 600, 700, 800, 1000))

    values = fitted(
        tmp_path,
        *(path, "--form", "vtf", "--exclude-K", 1000, "--min-K", 450),
        *("--transition-K", 350, 650),
    )

    assert values["form"] == "vtf"
    assert values["n_points"] == 4
    assert set(values["alternatives"]) == {"line", "two-segment"}
    shown = capsys.readouterr().out
    assert "no: excluded" in shown
    assert "no: below 450 K" in shown
    assert "crosses the transition at 350 K" in shown
    assert "both sides of the transition at 650 K" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("absent.csv",), ["absent.csv: no such file or folder"]),
        (("d.csv", "--form", "cubic"), ["--form: found 'cubic'", "line, two-segment, vtf"]),
        (("d.csv", "--at-K", "0"), ["--at-K: found 0, allowed: more than 0"]),
        (("d.csv", "--density-A3", "-1"), ["--density-A3: found -1"]),
        (("d.csv", "--plot", "a.jpg"), ["--plot: found 'a.jpg'", ".png, .svg, .pdf"]),
        (("d.csv", "--table", "a.doc"), ["--table: found 'a.doc'", ".md, .tex"]),
        (("d.csv", "--unit", "cm2/s"), ["--unit goes with --columns"]),
        (("d.csv", "--exclude-K", "555"), ["--exclude-K: found 555", "500, 600, 800, 1000"]),
        (("d.csv", "--max-K", "550"), ["d.csv: 1 of 1 temperatures have a D"]),
        (("d.csv", "--form", "two-segment", "--min-K", "550"), ["needs 4 temperatures"]),
        (("d.csv", "--size-extrapolation"), ["needs a length (L_A) or n_atoms"]),
        (("d.csv", "--experiment", "d.csv", "--at-K", "nan"), ["--at-K: found nan"]),
        ((".",), ["holds no run"]),
        (("s.json", "--species", "Na"), ["no results of 'Na'; found Li"]),
        (("t.csv",), ["found T, D, D_error", "--columns T,D,D_error --unit cm2/s"]),
    ],
)
def test_bad_input_is_refused_with_what_is_allowed(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    words: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path)
    result = {"species": "Li", "temperature_K": 600, "D_m2_s": 1e-10, "D_err_m2_s": 1e-11}
    (tmp_path / "s.json").write_text(json.dumps(result))
    (tmp_path / "t.csv").write_text("T,D,D_error\n600,1e-6,1e-7\n")

    error = refused(capsys, *arguments)

    assert [word for word in words if word not in error] == []


def test_a_run_without_production_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dasksse.store.folders import RunFolder
    from dasksse.store.journal import Journal

    folder = RunFolder(tmp_path / "run")
    folder.root.mkdir()
    folder.resolved_config.write_text("name: young\n")
    Journal(folder.journal).close()

    assert "no diffusion results yet" in refused(capsys, folder.root)
