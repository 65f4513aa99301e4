from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from ase.io import write

from dasksse.errors import ConfigError
from dasksse.label.importing import find_labels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import ase


def found(*paths: Path) -> list[tuple[str, str]]:
    return [(file.name, file.format.title) for file in find_labels(paths)]


def touch(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_dp_gen_run_is_read_from_its_data_and_not_from_its_tasks(tmp_path: Path) -> None:
    run = tmp_path / "dpgen"
    touch(run / "data.init" / "bulk" / "type.raw")
    touch(run / "iter.000000" / "02.fp" / "data.000" / "type.raw")
    touch(run / "iter.000000" / "02.fp" / "task.000.000000" / "OUTCAR")
    touch(run / "iter.000001" / "02.fp" / "task.000.000000" / "OUTCAR")
    (run / "iter.000001" / "00.train").mkdir(parents=True)
    (run / "iter.000001" / "00.train" / "data.iters").symlink_to(run)
    (run / "iter.000001" / "00.train" / "data.init").symlink_to(run / "data.init")

    names = [name for name, _ in found(run)]

    assert names == [
        "dpgen/data.init/bulk",
        "dpgen/iter.000000/02.fp/data.000",
        "dpgen/iter.000001/02.fp/task.000.000000/OUTCAR",
    ]


def test_of_one_vasp_calculation_vasprun_is_taken_and_outcar_kept_in_reserve(
    tmp_path: Path,
) -> None:
    touch(tmp_path / "a" / "OUTCAR")
    touch(tmp_path / "a" / "vasprun.xml")

    [file] = find_labels([tmp_path])

    assert file.path.name == "vasprun.xml"
    assert file.second is not None
    assert file.second.path.name == "OUTCAR"


def test_files_of_several_calculations_are_paired_by_their_names(tmp_path: Path) -> None:
    for name in ("vasprun.relax1.xml.gz", "OUTCAR.relax1.gz", "OUTCAR", "vasprun.static.xml"):
        touch(tmp_path / name)

    pairs = {
        file.path.name: file.second and file.second.path.name
        for file in find_labels([tmp_path])
    }

    assert pairs == {
        "vasprun.relax1.xml.gz": "OUTCAR.relax1.gz",
        "OUTCAR": None,
        "vasprun.static.xml": None,
    }


def test_several_outcars_are_as_many_calculations(tmp_path: Path) -> None:
    for name in ("OUTCAR.1", "OUTCAR.2.gz", "vasprun.xml"):
        touch(tmp_path / name)

    assert [name.rpartition("/")[2] for name, _ in found(tmp_path)] == [
        "OUTCAR.1",
        "OUTCAR.2.gz",
        "vasprun.xml",
    ]


def test_other_files_of_a_folder_are_passed_over(
    make_frames: Callable[..., list[ase.Atoms]], golden: Path, tmp_path: Path
) -> None:
    write(tmp_path / "labels.extxyz", make_frames(1))
    touch(tmp_path / "water.xyz", "3\nno lattice\nO 0 0 0\nH 0 0 1\nH 0 1 0\n")
    touch(tmp_path / "slurm-1.out", "hello")
    touch(tmp_path / "settings.json", '{"a": 1}')
    touch(tmp_path / ".hidden" / "OUTCAR")
    touch(tmp_path / "run.log", (golden / "cp2k_md.out").read_text())
    sqlite3.connect(tmp_path / "labels.db").execute("CREATE TABLE t (x)").connection.close()

    assert found(tmp_path) == [
        (f"{tmp_path.name}/labels.db", "ASE database"),
        (f"{tmp_path.name}/labels.extxyz", "extended XYZ"),
        (f"{tmp_path.name}/run.log", "CP2K output"),
    ]


def test_a_file_that_is_named_is_known_by_its_content(golden: Path, tmp_path: Path) -> None:
    path = touch(tmp_path / "result", (golden / "cp2k_md.out").read_text())

    assert found(path) == [("result", "CP2K output")]


def test_a_file_met_twice_is_read_once(tmp_path: Path) -> None:
    path = touch(tmp_path / "OUTCAR")

    assert len(found(path, tmp_path, path)) == 1


def test_of_a_run_only_the_store_is_taken(tmp_path: Path) -> None:
    touch(tmp_path / "run" / "config.resolved.yaml")
    touch(tmp_path / "run" / "work" / "dataset" / "abc" / "train" / "type.raw")
    touch(tmp_path / "run" / "data.zarr" / "zarr.json")
    touch(tmp_path / "labels.zarr" / "zarr.json")

    names = [name for name, _ in found(tmp_path)]

    assert names == [f"{tmp_path.name}/labels.zarr", f"{tmp_path.name}/run/data.zarr"]


def test_a_path_that_cannot_be_meant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file or folder"):
        found(tmp_path / "none")

    with pytest.raises(ConfigError, match=r"the format is not known; known are: VASP"):
        found(touch(tmp_path / "notes.md", "hello"))
