"""Every kind of bad input: a clear error, or a correction that is said."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from walks import CUBE, Walk, make_walk, write_dump, write_extxyz, write_xdatcar

from dasksse.errors import ConfigError, TrajectoryError
from dasksse.intake import Hints, Selection, parse_frames, parse_species_map, read_trajectory
from dasksse.intake.run import RunReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

SPECIES = parse_species_map("Li,S")
HINTS = Hints(dt_fs=50.0, species=SPECIES)


def refused(path: Path, match: str, hints: Hints = HINTS) -> None:
    with pytest.raises(TrajectoryError, match=match) as error:
        read_trajectory(path, hints=hints)
    assert str(error.value).startswith(str(path))


def test_too_coarse_in_time_names_frame_atom_step_and_limit(tmp_path: Path) -> None:
    walk = make_walk(step_A=1.3)
    refused(
        write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped),
        r"too coarse in time.* into frame \d+ atom \d+ \(Li\) moves by \d\.\d\d Å, the limit "
        r"is 3\.15 Å.*Write frames more often.*--unwrapped",
    )


def test_coarse_positions_that_are_unwrapped_are_taken_when_said(tmp_path: Path) -> None:
    walk = make_walk(step_A=1.3)
    path = write_extxyz(tmp_path / "a.xyz", walk, walk.unwrapped)
    found = read_trajectory(path, hints=Hints(dt_fs=500.0, is_unwrapped=True))
    assert found.all_positions == pytest.approx(walk.unwrapped, abs=1e-6)


def test_wrapped_positions_said_to_be_unwrapped_are_refused(tmp_path: Path) -> None:
    walk = make_walk()
    path = write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped)
    refused(
        path, "jumps by .* Å, by a vector of the lattice", Hints(dt_fs=50.0, is_unwrapped=True)
    )


def test_wrapped_positions_in_unwrapped_columns_are_refused_and_taken_as_wrapped(
    tmp_path: Path,
) -> None:
    walk = make_walk()
    path = write_dump(tmp_path / "a.dump", walk, walk.wrapped, columns="id type xu yu zu")
    refused(path, r"jumps by .*import them with --wrapped")
    hints = Hints(dt_fs=50.0, species=SPECIES, is_unwrapped=False)
    found = read_trajectory(path, hints=hints).all_positions
    assert found - found[0] == pytest.approx(walk.unwrapped - walk.unwrapped[0], abs=1e-6)


@pytest.mark.parametrize(
    ("choose", "state", "words"),
    [
        (
            lambda walk: walk.wrapped,
            "wrapped",
            r"wrapped: \d+ crossings undone by nearest images",
        ),
        (lambda walk: walk.unwrapped + 0.4, "continuous", "unwrapped already, without jumps"),
    ],
)
def test_how_positions_were_is_found_out_and_said(
    tmp_path: Path, choose: Callable[[Walk], np.ndarray], state: str, words: str
) -> None:
    walk = make_walk()
    path = write_extxyz(tmp_path / "a.xyz", walk, choose(walk))
    reader = RunReader([path], HINTS, Selection())
    for _ in reader.frames():
        pass
    found, text = reader.unwrapping()
    assert found == state
    assert pytest.approx(3.15) == float(text.split(" of ")[1].split()[0])
    assert re.match(words, text)


def test_positions_that_cross_no_border_are_said_to(tmp_path: Path) -> None:
    walk = make_walk(step_A=0.01)
    reader = RunReader(
        [write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped)], HINTS, Selection()
    )
    for _ in reader.frames():
        pass
    assert reader.unwrapping()[0] == "no crossing"


def test_one_frame_is_refused(tmp_path: Path) -> None:
    walk = make_walk(n_frames=1)
    refused(
        write_xdatcar(tmp_path / "XDATCAR", walk, walk.wrapped), "found 1 frame, needed are 2"
    )


@pytest.mark.parametrize("word", ["nan", "inf"])
def test_positions_that_are_no_numbers_are_refused(tmp_path: Path, word: str) -> None:
    walk = make_walk()
    positions = walk.wrapped.copy()
    positions[17, 9, 1] = float(word)
    refused(
        write_extxyz(tmp_path / "a.xyz", walk, positions),
        r"frame 17: the position of atom 10 \(S\) is missing or not finite",
    )


def test_words_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    walk = make_walk()

    def spoil(frame: int, rows: list[str]) -> list[str]:
        return [*rows[:-1], "16 2 1.0 ****** 2.0"] if frame == 3 else rows

    refused(
        write_dump(tmp_path / "a.dump", walk, walk.wrapped, change=spoil),
        r"frames 0 to 59: a row cannot be read: .*\*\*\*\*\*\*",
    )


def test_a_changing_number_of_atoms_is_refused(tmp_path: Path) -> None:
    walk = make_walk()

    def lose(frame: int, rows: list[str]) -> list[str]:
        return rows[:-1] if frame == 5 else rows

    refused(
        write_dump(tmp_path / "a.dump", walk, walk.wrapped, change=lose),
        "frame 5 has 15 atoms .* frame 0 has 16",
    )
    text = write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped).read_text().splitlines()
    text[5 * 18] = "15"
    del text[5 * 18 + 17]
    (tmp_path / "a.xyz").write_text("\n".join(text) + "\n")
    refused(tmp_path / "a.xyz", "frame 5 has 15 atoms, frame 0 has 16")


def test_atoms_that_change_their_kind_are_refused(tmp_path: Path) -> None:
    walk = make_walk()

    def swap(frame: int, rows: list[str]) -> list[str]:
        return [rows[0].replace("1 1 ", "1 2 ", 1), *rows[1:]] if frame == 8 else rows

    refused(
        write_dump(tmp_path / "a.dump", walk, walk.wrapped, change=swap),
        "frame 8: type of atom 1 is not 1, as it was in frame 0",
    )
    text = write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped).read_text().splitlines()
    first = 8 * 18 + 2
    text[first], text[first + 8] = text[first + 8], text[first]
    (tmp_path / "a.xyz").write_text("\n".join(text) + "\n")
    refused(tmp_path / "a.xyz", "frame 8: atom 1 is not the 'Li' of frame 0")


def test_other_ids_are_refused(tmp_path: Path) -> None:
    walk = make_walk()

    def rename(frame: int, rows: list[str]) -> list[str]:
        return ["99" + rows[0][1:], *rows[1:]] if frame == 4 else rows

    refused(
        write_dump(tmp_path / "a.dump", walk, walk.wrapped, change=rename),
        "frame 4 has atoms of other ids than frame 0",
    )


def test_a_missing_time_step_names_the_keys(tmp_path: Path) -> None:
    walk = make_walk()
    path = write_dump(tmp_path / "a.dump", walk, walk.wrapped)
    refused(
        path, "no time between frames; give it .*--dt-fs.*--md-step-fs", Hints(species=SPECIES)
    )
    other = write_xdatcar(tmp_path / "XDATCAR", walk, walk.wrapped)
    refused(other, "no time between frames.* --md-step-fs is no help", Hints(md_step_fs=1.0))


def test_types_without_elements_are_refused(tmp_path: Path) -> None:
    walk = make_walk()
    path = write_dump(tmp_path / "a.dump", walk, walk.wrapped)
    refused(path, r"types \(1, 2\).*--species-map 1=Li,2=Li.*--topology", Hints(dt_fs=50.0))
    refused(
        path,
        r"species '2' is no chemical element.*--species-map 2=Li",
        Hints(dt_fs=50.0, species=parse_species_map("1=Li")),
    )


def test_frames_at_uneven_steps_are_refused_unless_cut_away(tmp_path: Path) -> None:
    walk = make_walk()
    path = write_dump(tmp_path / "a.dump", walk, walk.wrapped)
    path.write_text(path.read_text().replace("TIMESTEP\n5900\n", "TIMESTEP\n6500\n"))
    refused(path, "not evenly spaced: 100 .* 700 before frame 59 at 6500 .*--frames A:B")
    assert read_trajectory(path, hints=HINTS, selection=Selection(0, 59)).n_frames == 59


@pytest.mark.parametrize(
    ("factor", "match"),
    [
        (0.1, r"nearest neighbours are 0\.\d+ Å apart .*--length-unit nm"),
        (100.0, r"nearest neighbours are \d+ Å apart .*--length-unit pm"),
    ],
)
def test_another_unit_of_length_is_named(tmp_path: Path, factor: float, match: str) -> None:
    walk = make_walk(step_A=0.05)
    scaled = Walk(walk.numbers, walk.fractions, walk.cells * factor)
    path = write_extxyz(tmp_path / "a.xyz", scaled, scaled.wrapped)
    refused(path, match)
    unit = match.rsplit(" ", 1)[1]
    found = read_trajectory(path, hints=Hints(dt_fs=50.0, length_unit=unit))
    assert found.cells()[0] == pytest.approx(CUBE)


def test_fractions_in_place_of_positions_are_named(tmp_path: Path) -> None:
    walk = make_walk(step_A=0.05)
    path = write_extxyz(tmp_path / "a.xyz", walk, walk.fractions % 1.0)
    refused(path, "or Cartesian positions if these are fractions")


def test_bohr_is_only_suspected(tmp_path: Path) -> None:
    walk = make_walk(1.9 * CUBE, step_A=0.05)
    reader = RunReader(
        [write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped)], HINTS, Selection()
    )
    for _ in reader.frames():
        pass
    assert any("--length-unit bohr" in note for note in reader.notes)


def test_times_in_ps_in_place_of_fs_are_refused(tmp_path: Path) -> None:
    walk = make_walk(step_A=0.1)  # as at 50 fs between frames
    path = write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped)
    refused(
        path,
        r"with 0\.05 fs between frames half of the atoms are faster than at .* K; is this time "
        r"in ps\?.*--dt-fs, such as 50",
        Hints(dt_fs=0.05),
    )
    refused(
        path,
        r"with 1 fs .*the run is said to be at 300 K",
        Hints(dt_fs=1.0, temperature_K=300.0),
    )


@pytest.mark.parametrize(
    ("key", "value"), [("dt_fs", 0.0), ("md_step_fs", -1.0), ("temperature_K", float("nan"))]
)
def test_numbers_that_cannot_be_meant_are_refused(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"--{key.replace('_', '-')}: found .* above 0"):
        Hints(**{key: value})


def test_unknown_units_and_missing_topologies_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--length-unit: found 'mm', allowed: angstrom, nm"):
        Hints(length_unit="mm")
    with pytest.raises(ConfigError, match=r"--topology .*no\.data: no such file"):
        Hints(topology=tmp_path / "no.data")


@pytest.mark.parametrize("text", ["5", "a:b", "-5:", "9:3", "3:3"])
def test_selections_that_select_nothing_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--frames"):
        Selection(*parse_frames(text))


def test_a_flat_cell_is_refused(tmp_path: Path) -> None:
    walk = make_walk()
    flat = Walk(walk.numbers, walk.fractions, walk.cells * [1.0, 1.0, 0.0])
    path = write_extxyz(tmp_path / "a.xyz", flat, walk.wrapped)
    refused(path, r"frame 0: the cell \[\[9.* has no volume")


def test_a_cell_that_is_no_number_is_refused_with_its_frame(tmp_path: Path) -> None:
    walk = make_walk()
    walk.cells[5] = float("nan")
    refused(
        write_extxyz(tmp_path / "a.xyz", walk, make_walk().wrapped),
        "frame 5: the cell .*nan.* is not finite",
    )
