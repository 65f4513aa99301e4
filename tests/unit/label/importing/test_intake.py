from __future__ import annotations

import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import ase
import numpy as np
import pytest
import xarray
from ase.io import write

from dasksse.errors import ConfigError, RunFolderError
from dasksse.label.importing import Origin, import_labels
from dasksse.label.importing.intake import FLUSH_FRAMES
from dasksse.store.folders import FileLock
from dasksse.store.label_reader import read_stored_labels
from dasksse.store.layout import open_store
from tests.support.stores import random_run
from tests.support.stores import write as write_run

if TYPE_CHECKING:
    from collections.abc import Callable

    Frames = Callable[..., list[ase.Atoms]]

VASP = Path(ase.__file__).parent / "test" / "testdata" / "vasp"
EMT = Origin(functional="none", source="EMT", is_surrogate=True)


def counts(store: Path) -> dict[str, int]:
    totals: dict[str, int] = {}
    for system, labels in read_stored_labels(store):
        totals[system] = totals.get(system, 0) + len(labels)
    return totals


def test_labels_of_many_formats_become_systems_of_one_store(
    make_frames: Frames, golden: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(golden, data / "cp2k")
    shutil.copy(VASP / "OUTCAR_example_1", data / "OUTCAR")
    shutil.copy(VASP / "vasprun_dfpt.xml", data / "vasprun.dfpt.xml")
    write(data / "emt.extxyz", make_frames(4))

    report = import_labels([data], tmp_path / "all.zarr", Origin())

    assert counts(tmp_path / "all.zarr") == {"AuCu3": 4, "Li4H4": 3, "NaCl": 1, "Ni18": 1}
    assert report.systems == counts(tmp_path / "all.zarr")
    stored = {
        system: (labels.source, labels.functional)
        for system, labels in read_stored_labels(tmp_path / "all.zarr")
    }
    assert stored["Li4H4"] == ("CP2K 2023.1, CUTOFF 200 Ry", "PBE")
    assert stored["AuCu3"] == ("labels in data", "unknown")
    assert report.functionals["unknown"] == 4


def test_every_frame_of_the_store_is_imported_and_knows_its_file(
    make_frames: Frames, tmp_path: Path
) -> None:
    write(tmp_path / "emt.extxyz", make_frames(3))

    import_labels([tmp_path / "emt.extxyz"], tmp_path / "emt.zarr", EMT)

    group = open_store(tmp_path / "emt.zarr", mode="r")["labels/AuCu3"]
    roles = [group["role"].attrs["table"][code] for code in group["role"][:]]
    assert roles == ["imported"] * 3
    keys = {f"{int(key):016x}" for key in group["unit_key"][:]}
    assert group.attrs["origins"] == dict.fromkeys(keys, "emt.extxyz")
    [(_, labels)] = read_stored_labels(tmp_path / "emt.zarr")
    assert (labels.source, labels.functional, labels.is_surrogate) == ("EMT", "none", True)


def test_the_same_import_again_adds_nothing(make_frames: Frames, tmp_path: Path) -> None:
    write(tmp_path / "emt.extxyz", make_frames(5))
    store = tmp_path / "emt.zarr"

    first = import_labels([tmp_path], store, EMT)
    again = import_labels([tmp_path / "emt.extxyz"], store, EMT)

    assert [file.n_added for file in first.files] == [5]
    assert [(file.n_added, file.n_duplicates) for file in again.files] == [(0, 5)]
    assert counts(store) == {"AuCu3": 5}


def test_frames_in_several_files_are_taken_once_and_new_ones_appended(
    make_frames: Frames, tmp_path: Path
) -> None:
    frames = make_frames(6)
    store = tmp_path / "emt.zarr"
    write(tmp_path / "a.extxyz", frames[:3])
    import_labels([tmp_path / "a.extxyz"], store, EMT)
    backwards = [atoms[[3, 2, 1, 0]] for atoms in frames]
    for atoms, labelled in zip(backwards, frames, strict=True):
        atoms.info["energy"] = labelled.get_potential_energy()
        atoms.arrays["forces"] = labelled.get_forces()[::-1].copy()
    write(tmp_path / "b.extxyz", backwards[1:])
    write(tmp_path / "c.extxyz", frames)

    report = import_labels([tmp_path], store, EMT)

    added = {file.path.name: (file.n_added, file.n_duplicates) for file in report.files}
    # atoms of one element in another order are another configuration: copper is reversed in b
    assert added["a.extxyz"] == (0, 3)
    assert added["c.extxyz"] == (3, 3)
    assert added["b.extxyz"] == (5, 0)
    assert {tuple(labels.frames.numbers) for _, labels in read_stored_labels(store)} == {
        (79, 29, 29, 29)
    }


def test_an_import_that_was_broken_off_goes_on(make_frames: Frames, tmp_path: Path) -> None:
    many = make_frames(1)[0]
    first = [many.copy() for _ in range(FLUSH_FRAMES)]
    for number, atoms in enumerate(first):
        atoms.positions += 1e-4 * number
        atoms.info["energy"] = many.get_potential_energy()
        atoms.arrays["forces"] = many.get_forces()
    write(tmp_path / "a.extxyz", first)
    write(tmp_path / "b.extxyz", make_frames(2, seed=5))
    store = tmp_path / "emt.zarr"

    def die(path: Path) -> None:
        if path.name == "b.extxyz":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_labels([tmp_path], store, EMT, on_file=die)
    before = counts(store)
    group = open_store(store)["labels/AuCu3"]
    group["energy"].resize((FLUSH_FRAMES + 7,))  # as if killed within the next write
    report = import_labels([tmp_path], store, EMT)

    assert before == {"AuCu3": FLUSH_FRAMES}
    assert [file.n_added for file in report.files] == [0, 2]
    assert counts(store) == {"AuCu3": FLUSH_FRAMES + 2}


def test_what_cannot_be_read_is_listed_and_the_rest_goes_in(
    make_frames: Frames, golden: Path, vasprun: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write(data / "good.extxyz", make_frames(2))
    (data / "OUTCAR").write_text("")
    shutil.copy(golden / "cp2k_unconverged.out", data)
    (data / "vasprun.cut.xml").write_text(vasprun[:3000])

    report = import_labels([data], tmp_path / "labels.zarr", Origin())

    files = {file.path.name: file for file in report.files}
    assert "holds no finished ionic step" in files["vasprun.cut.xml"].error
    assert "holds no finished ionic step" in files["OUTCAR"].error
    assert files["cp2k_unconverged.out"].left_out == {"SCF not converged": 1}
    assert files["good.extxyz"].n_added == 2
    assert not report.is_empty


def test_outcar_is_read_where_vasprun_was_cut_off(
    vasprun: str, outcar: str, tmp_path: Path
) -> None:
    (tmp_path / "vasprun.xml").write_text(vasprun[:3000])
    (tmp_path / "OUTCAR").write_text(outcar)

    report = import_labels([tmp_path], tmp_path / "vasp.zarr", Origin())

    [file] = report.files
    assert (file.path.name, file.n_added) == ("OUTCAR", 1)
    assert file.notes[0].startswith("read instead of vasprun.xml")


def test_labels_of_another_functional_than_asked_for_are_left_out(tmp_path: Path) -> None:
    report = import_labels(
        [VASP / "vasprun_dfpt.xml", VASP / "vasprun_pstress.xml"],
        tmp_path / "pbe.zarr",
        Origin(functional="PBE"),
    )

    assert [file.n_added for file in report.files] == [1, 0]
    assert report.files[1].left_out == {"its functional is LDA, and --functional says PBE": 1}


def test_frames_that_are_not_finite_or_flat_are_left_out(
    make_frames: Frames, tmp_path: Path
) -> None:
    system = tmp_path / "system"
    (system / "set.000").mkdir(parents=True)
    (system / "type.raw").write_text("0\n")
    arrays = {"coord": np.zeros((3, 3)), "force": np.ones((3, 3)), "energy": np.ones(3)}
    box = np.tile(3.0 * np.eye(3).ravel(), (3, 1))
    arrays["energy"][0], box[1, 8] = np.nan, 0.0
    for name, array in (arrays | {"box": box}).items():
        np.save(system / "set.000" / f"{name}.npy", array)

    [file] = import_labels([system], tmp_path / "a.zarr", Origin(("Li",))).files

    assert (file.n_read, file.n_added) == (3, 1)
    assert sum(file.left_out.values()) == 2


def test_wrong_units_and_signs_are_noted(make_frames: Frames, tmp_path: Path) -> None:
    frames = make_frames(30)
    for atoms in frames:
        atoms.info["virial"] = atoms.get_volume() * atoms.get_stress(voigt=False)
    write(tmp_path / "emt.extxyz", frames)

    report = import_labels([tmp_path], tmp_path / "emt.zarr", EMT)

    assert "the virial does not fit the energies" in report.files[0].notes[0]
    assert "the virial may have the wrong sign" in report.warnings[0]


def test_labels_of_a_store_keep_their_provenance(make_frames: Frames, tmp_path: Path) -> None:
    write(tmp_path / "emt.extxyz", make_frames(2))
    import_labels([tmp_path / "emt.extxyz"], tmp_path / "a.zarr", EMT)

    import_labels([tmp_path / "a.zarr"], tmp_path / "b.zarr", Origin())

    [(_, before)] = read_stored_labels(tmp_path / "a.zarr")
    [(_, after)] = read_stored_labels(tmp_path / "b.zarr")
    assert (after.source, after.functional, after.is_surrogate) == ("EMT", "none", True)
    np.testing.assert_array_equal(after.virials, before.virials)


def test_types_without_elements_stop_the_import_and_name_the_folder(tmp_path: Path) -> None:
    (tmp_path / "system" / "set.000").mkdir(parents=True)
    (tmp_path / "system" / "type.raw").write_text("0\n")

    with pytest.raises(ConfigError, match=r"system: there is no type_map\.raw.*--type-map"):
        import_labels([tmp_path], tmp_path / "a.zarr", Origin())
    assert not (tmp_path / "a.zarr").exists()
    assert not (tmp_path / "a.zarr.lock").exists()


def test_a_store_that_must_not_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the name of a store ends in \.zarr"):
        import_labels([tmp_path], tmp_path / "labels", Origin())

    (tmp_path / "config.resolved.yaml").write_text("")
    with pytest.raises(RunFolderError, match="this is the store of a run"):
        import_labels([tmp_path], tmp_path / "data.zarr", Origin())


def test_two_imports_do_not_write_one_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a POSIX lock does not keep a process from itself
    monkeypatch.setattr(FileLock, "acquire", lambda _: False)

    with pytest.raises(RunFolderError, match="another import writes"):
        import_labels([tmp_path], tmp_path / "a.zarr", replace(EMT))


def test_labels_added_to_a_store_with_trajectories_are_seen_by_plain_xarray(
    make_frames: Frames, tmp_path: Path
) -> None:
    write(tmp_path / "emt.extxyz", make_frames(3))
    write_run(tmp_path / "all.zarr", random_run(4))

    import_labels([tmp_path / "emt.extxyz"], tmp_path / "all.zarr", EMT)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tree = xarray.open_datatree(tmp_path / "all.zarr", engine="zarr")
    assert {"/labels/AuCu3", "/production/salt"} <= set(tree.groups)
