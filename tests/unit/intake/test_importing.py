from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from walks import Walk, make_walk, write_dump, write_extxyz

from dasksse.errors import ConfigError, RunFolderError, TrajectoryError
from dasksse.intake import Hints, import_trajectories, parse_species_map
from dasksse.intake.selection import ALL_FRAMES
from dasksse.records import content_key, file_digest
from dasksse.store.layout import DEFAULT_PRECISION_A
from dasksse.store.opening import open_tree
from dasksse.store.stored_trajectory import open_trajectories

if TYPE_CHECKING:
    from pathlib import Path

HINTS = Hints(dt_fs=50.0, species=parse_species_map("Li,S"))


def test_each_file_becomes_a_run_of_its_system(tmp_path: Path) -> None:
    walks = [make_walk(seed=seed) for seed in range(3)]
    paths = [
        write_extxyz(
            tmp_path / f"{i}.xyz", walk, walk.wrapped, f"temperature_K={600 + 100 * i}"
        )
        for i, walk in enumerate(walks)
    ]

    reports = import_trajectories(paths, tmp_path / "s.zarr", hints=HINTS)

    (group,) = open_trajectories(tmp_path / "s.zarr")
    assert group.path == "production/Li8S8" == reports[0].group
    assert [report.run for report in reports] == [0, 1, 2]
    assert [run.temperature_K for run in group.runs] == [600.0, 700.0, 800.0]
    for run, walk in zip(group.runs, walks, strict=True):
        moves = run.positions() - run.positions()[0]
        assert moves == pytest.approx(walk.unwrapped - walk.unwrapped[0], abs=2e-3)
        assert run.frame_interval_ps == pytest.approx(0.05)
        assert not run.is_npt
    assert group.runs[1].attributes["files"] == ["1.xyz"]
    assert "crossings undone" in str(group.runs[1].attributes["unwrapping"])


def test_pressure_goes_with_the_run_and_replicas_count_within_it(tmp_path: Path) -> None:
    store = tmp_path / "s.zarr"
    for seed, pressure_GPa in enumerate((0.0, 2.5, 2.5, None)):
        walk = make_walk(seed=seed)
        path = write_extxyz(tmp_path / f"{seed}.xyz", walk, walk.wrapped)
        hints = replace(HINTS, temperature_K=600.0, pressure_GPa=pressure_GPa)
        (report,) = import_trajectories([path], store, hints=hints)
        assert report.pressure_GPa == pressure_GPa

    (group,) = open_trajectories(store)
    assert [run.pressure_GPa for run in group.runs] == [0.0, 2.5, 2.5, None]
    assert open_tree(store)[group.path].replica.values.tolist() == [0, 0, 1, 0]


def test_what_was_imported_before_there_was_a_pressure_is_known(tmp_path: Path) -> None:
    walk = make_walk()
    path = write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped)
    before = {
        "species": {"Li": 3, "S": 16},
        "topology": None,
        "cell": None,
        "dt_fs": 50.0,
        "md_step_fs": None,
        "temperature_K": 600.0,
        "length_unit": None,
        "is_unwrapped": None,
    }
    hints = Hints(dt_fs=50.0, species={"Li": 3, "S": 16}, temperature_K=600.0)

    import_trajectories([path], tmp_path / "s.zarr", hints=hints)

    run = open_trajectories(tmp_path / "s.zarr")[0].runs[0]
    expected = content_key([file_digest(path)], before, ALL_FRAMES, DEFAULT_PRECISION_A)
    assert run.attributes["key"] == expected


def test_atoms_in_any_order_are_stored_by_element(tmp_path: Path) -> None:
    walk = make_walk()
    order = np.random.default_rng(0).permutation(16)
    mixed = Walk(walk.numbers[order], walk.fractions[:, order], walk.cells)

    import_trajectories(
        [write_extxyz(tmp_path / "a.xyz", mixed, mixed.wrapped)],
        tmp_path / "s.zarr",
        hints=HINTS,
        system="mixed",
    )

    run = open_trajectories(tmp_path / "s.zarr")[0].runs[0]
    kept = np.argsort(mixed.numbers, kind="stable")
    assert run.numbers.tolist() == sorted(walk.numbers.tolist())
    moves = run.positions() - run.positions()[0]
    expected = mixed.unwrapped[:, kept]
    assert moves == pytest.approx(expected - expected[0], abs=2e-3)


def test_npt_is_marked(tmp_path: Path) -> None:
    walk = make_walk(breathing=0.01)
    (report,) = import_trajectories(
        [write_dump(tmp_path / "a.dump", walk, walk.wrapped)], tmp_path / "s.zarr", hints=HINTS
    )
    run = open_trajectories(tmp_path / "s.zarr")[0].runs[0]
    assert report.is_npt
    assert run.is_npt
    assert run.attributes["is_npt"] is True
    assert run.cells() == pytest.approx(walk.cells, abs=1e-6)


def test_the_same_files_are_taken_once(tmp_path: Path) -> None:
    walk = make_walk()
    path = write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped)
    copy = write_extxyz(tmp_path / "copy.xyz", walk, walk.wrapped)
    import_trajectories([path], tmp_path / "s.zarr", hints=HINTS)

    (again,) = import_trajectories([copy], tmp_path / "s.zarr", hints=HINTS)
    other = Hints(dt_fs=50.0, temperature_K=700.0)
    (anew,) = import_trajectories([copy], tmp_path / "s.zarr", hints=other)

    assert (again.is_known, again.run) == (True, 0)
    assert (anew.is_known, anew.run) == (False, 1)
    assert len(open_trajectories(tmp_path / "s.zarr")[0].runs) == 2


def test_a_bad_file_leaves_nothing_and_runs_before_it_stay(tmp_path: Path) -> None:
    walk = make_walk()
    good = write_extxyz(tmp_path / "good.xyz", walk, walk.wrapped)
    positions = walk.wrapped.copy()
    positions[50, 3] = np.nan
    bad = write_extxyz(tmp_path / "bad.xyz", walk, positions)

    with pytest.raises(TrajectoryError, match=r"bad\.xyz: frame 50"):
        import_trajectories([bad], tmp_path / "none.zarr", hints=HINTS)
    with pytest.raises(TrajectoryError, match=r"bad\.xyz: frame 50"):
        import_trajectories([good, bad], tmp_path / "s.zarr", hints=HINTS)

    assert {path.name for path in tmp_path.iterdir()} == {"good.xyz", "bad.xyz", "s.zarr"}
    assert len(open_trajectories(tmp_path / "s.zarr")[0].runs) == 1


def test_a_part_given_twice_is_refused_under_any_name(tmp_path: Path) -> None:
    walk = make_walk()
    path, copy = (
        write_extxyz(tmp_path / name, walk, walk.wrapped) for name in ("a.xyz", "copy.xyz")
    )
    for parts in ([path, path], [path, copy]):
        with pytest.raises(ConfigError, match=r"given twice, it is the same as .*a\.xyz"):
            import_trajectories(parts, tmp_path / "s.zarr", hints=HINTS, join=True)
    assert not (tmp_path / "s.zarr").exists()


def test_a_missing_file_is_named_before_anything_is_read(tmp_path: Path) -> None:
    walk = make_walk()
    good = write_extxyz(tmp_path / "good.xyz", walk, walk.wrapped)
    with pytest.raises(ConfigError, match=r"no\.xyz: no such file"):
        import_trajectories([good, tmp_path / "no.xyz"], tmp_path / "s.zarr", hints=HINTS)
    assert not (tmp_path / "s.zarr").exists()


def test_runs_that_do_not_fit_the_group_are_refused_with_the_way_out(tmp_path: Path) -> None:
    walk = make_walk()
    path = write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped)
    import_trajectories([path], tmp_path / "s.zarr", hints=HINTS)
    with pytest.raises(ConfigError, match=r"frame interval.*--system NAME"):
        import_trajectories([path], tmp_path / "s.zarr", hints=Hints(dt_fs=20.0))
    with pytest.raises(ConfigError, match=r"\.zarr"):
        import_trajectories([path], tmp_path / "s.store", hints=HINTS)
    import_trajectories([path], tmp_path / "s.zarr", hints=Hints(dt_fs=20.0), system="fine")
    assert len(open_trajectories(tmp_path / "s.zarr")) == 2


def test_the_store_of_a_learning_run_is_left_alone(tmp_path: Path) -> None:
    walk = make_walk()
    (tmp_path / "config.resolved.yaml").write_text("name: x\n")
    path = write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped)
    with pytest.raises(RunFolderError, match="its driver alone"):
        import_trajectories([path], tmp_path / "data.zarr", hints=HINTS)


def test_progress_reaches_the_end_of_the_files(tmp_path: Path, monkeypatch: object) -> None:
    monkeypatch.setattr("dasksse.intake.text.BLOCK_BYTES", 3000)
    walk = make_walk()
    paths = [write_extxyz(tmp_path / f"{i}.xyz", walk.part(slice(20 * i, 20 * i + 20)),
                          walk.wrapped[20 * i : 20 * i + 20]) for i in range(3)]  # fmt: skip
    seen: list[int] = []

    import_trajectories(
        paths,
        tmp_path / "s.zarr",
        hints=HINTS,
        join=True,
        on_progress=lambda reader, _: seen.append(reader.bytes_read()),
    )

    assert seen == sorted(seen)
    assert len(set(seen)) > 5
    assert seen[-1] == sum(path.stat().st_size for path in paths)
