from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from walks import Walk, make_walk, write_dump, write_extxyz, write_xdatcar

from dasksse.errors import TrajectoryError
from dasksse.intake import Hints, Selection, parse_species_map, read_trajectory
from dasksse.intake.run import RunReader

if TYPE_CHECKING:
    from pathlib import Path

SPECIES = parse_species_map("Li,S")
HINTS = Hints(dt_fs=50.0, species=SPECIES)


def moves(positions: np.ndarray) -> np.ndarray:
    return positions - positions[0]


def read(paths: list[Path], hints: Hints = HINTS) -> tuple[np.ndarray, RunReader]:
    reader = RunReader(paths, hints, Selection())
    return np.concatenate([positions for positions, *_ in reader.frames()]), reader


def parts(walk: Walk, first: int, second: int) -> tuple[Walk, Walk]:
    return walk.part(slice(first)), walk.part(slice(second, None))


def test_parts_of_a_run_are_joined_and_the_frame_at_the_seam_is_dropped(tmp_path: Path) -> None:
    walk = make_walk()
    one, two = parts(walk, 30, 29)
    paths = [
        write_xdatcar(tmp_path / "1", one, one.wrapped),
        write_xdatcar(tmp_path / "2", two, two.wrapped),
    ]

    found, reader = read(paths)

    assert moves(found) == pytest.approx(moves(walk.unwrapped), abs=1e-5)
    assert reader.sources[1].notes == [
        "its first frame is the last one of the file before, left out"
    ]


def test_parts_that_follow_on_lose_nothing(tmp_path: Path) -> None:
    walk = make_walk()
    one, two = parts(walk, 30, 30)
    paths = [
        write_extxyz(tmp_path / "1.xyz", one, one.wrapped),
        write_xdatcar(tmp_path / "2", two, two.wrapped),
    ]
    found, reader = read(paths)
    assert moves(found) == pytest.approx(moves(walk.unwrapped), abs=1e-5)
    assert reader.sources[1].notes == []


def test_steps_tell_how_much_a_restart_repeats(tmp_path: Path) -> None:
    walk = make_walk()
    one, two = parts(walk, 34, 20)
    paths = [
        write_dump(tmp_path / "1", one, one.wrapped),
        write_dump(tmp_path / "2", two, two.wrapped, first_step=2000),
    ]
    found, reader = read(paths)
    assert moves(found) == pytest.approx(moves(walk.unwrapped), abs=1e-5)
    assert reader.sources[1].notes == ["14 frames left out: their times were there before"]


def test_repeats_within_a_file_are_left_out(tmp_path: Path) -> None:
    walk = make_walk()
    one, two = parts(walk, 34, 20)
    first = write_dump(tmp_path / "1", one, one.wrapped)
    second = write_dump(tmp_path / "2", two, two.wrapped, first_step=2000)
    first.write_text(first.read_text() + second.read_text())
    found, _ = read([first])
    assert moves(found) == pytest.approx(moves(walk.unwrapped), abs=1e-5)


def test_a_gap_between_parts_is_refused(tmp_path: Path) -> None:
    walk = make_walk()
    one, two = parts(walk, 30, 33)
    paths = [
        write_dump(tmp_path / "1", one, one.wrapped),
        write_dump(tmp_path / "2", two, two.wrapped, first_step=3300),
    ]
    with pytest.raises(
        TrajectoryError, match=r"2: frames are not evenly spaced: 100 .* 400 before frame 0"
    ):
        read(paths)


def test_steps_that_begin_anew_follow_on(tmp_path: Path) -> None:
    walk = make_walk()
    one, two = parts(walk, 30, 29)
    paths = [
        write_dump(tmp_path / "1", one, one.wrapped),
        write_dump(tmp_path / "2", two, two.wrapped),
    ]
    found, reader = read(paths)
    assert moves(found) == pytest.approx(moves(walk.unwrapped), abs=1e-5)
    assert reader.sources[1].notes == [
        "its steps begin anew; it is taken to follow on",
        "its first frame is the last one of the file before, left out",
    ]


def test_image_flags_that_begin_anew_at_a_restart_follow_on(tmp_path: Path) -> None:
    walk = make_walk()
    one, two = parts(walk, 30, 30)
    anew = Walk(two.numbers, two.fractions - np.floor(two.fractions[0]), two.cells)
    columns = "id type x y z ix iy iz"
    paths = [
        write_dump(tmp_path / "1", one, one.wrapped, columns=columns),
        write_dump(tmp_path / "2", anew, anew.wrapped, columns=columns, first_step=3000),
    ]
    found, _ = read(paths)
    assert np.abs(np.floor(two.fractions[0])).max() >= 1.0
    assert moves(found) == pytest.approx(moves(walk.unwrapped), abs=1e-5)


def test_parts_with_other_atoms_are_refused(tmp_path: Path) -> None:
    walk = make_walk()
    other = Walk(walk.numbers[:15], walk.fractions[:, :15], walk.cells)
    paths = [
        write_extxyz(tmp_path / "1.xyz", walk, walk.wrapped),
        write_extxyz(tmp_path / "2.xyz", other, other.wrapped),
    ]
    with pytest.raises(
        TrajectoryError, match=r"2\.xyz: found 15 atoms, needed are the 16 of .*1\.xyz"
    ):
        read(paths)


@pytest.mark.parametrize("block", [2000, 1 << 20])
@pytest.mark.parametrize(("start", "stop", "every"), [(0, None, 7), (13, 47, 1), (5, 58, 10)])
def test_frames_are_selected_and_thinned_after_unwrapping(
    tmp_path: Path, monkeypatch: object, block: int, start: int, stop: int | None, every: int
) -> None:
    monkeypatch.setattr("dasksse.intake.text.BLOCK_BYTES", block)
    walk = make_walk(step_A=0.4)
    path = write_dump(tmp_path / "a", walk, walk.wrapped)

    found = read_trajectory(path, hints=HINTS, selection=Selection(start, stop, every))

    expected = walk.unwrapped[start:stop][::every]
    assert moves(found.all_positions) == pytest.approx(moves(expected), abs=1e-5)
    assert found.frame_interval_ps == pytest.approx(0.05 * every)
    assert found.n_frames == len(expected)


def test_a_given_time_goes_before_that_of_the_file_and_it_is_said(tmp_path: Path) -> None:
    walk = make_walk()
    path = write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped, "dt_fs=20")
    _, reader = read([path])
    assert reader.interval_ps == 0.05
    assert reader.sources[0].notes == [
        "the file says 20 fs between frames; --dt-fs 50 is taken"
    ]


def test_measured_temperatures_are_no_target_but_give_a_mean(tmp_path: Path) -> None:
    walk = make_walk()
    path = write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped, "temperature=NN")
    head, *frames = path.read_text().split("temperature=NN")
    path.write_text(head + "".join(f"temperature={600 + i}{f}" for i, f in enumerate(frames)))
    _, reader = read([path])
    assert reader.temperature_K is None
    assert reader.mean_temperature_K == pytest.approx(629.5)


def test_a_varying_cell_is_marked(tmp_path: Path) -> None:
    for breathing in (0.0, 0.001):
        walk = make_walk(breathing=breathing)
        _, reader = read([write_xdatcar(tmp_path / "XDATCAR", walk, walk.wrapped)])
        assert reader.is_npt is (breathing > 0.0)
