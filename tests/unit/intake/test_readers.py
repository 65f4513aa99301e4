from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from ase import Atoms, units
from ase.io.trajectory import Trajectory
from walks import (
    CUBE,
    SKEWED,
    Walk,
    make_walk,
    write_dump,
    write_extxyz,
    write_vasprun,
    write_xdatcar,
)

from dasksse.errors import ConfigError, TrajectoryError
from dasksse.intake import Hints, parse_cell, parse_species_map, read_trajectory
from dasksse.intake.formats import open_source

if TYPE_CHECKING:
    from pathlib import Path

    from dasksse.records import MemoryTrajectory

SPECIES = parse_species_map("Li,S")


def write_npz(path: Path, walk: Walk, positions: np.ndarray, **more: object) -> Path:
    arrays = {"positions": positions, "cell": walk.cells, "species": np.array(walk.symbols)}
    np.savez_compressed(path, **{**arrays, **more})
    return path


def write_ase(path: Path, walk: Walk, positions: np.ndarray) -> Path:
    with Trajectory(path, "w") as file:
        for frame, cell in zip(positions, walk.cells, strict=True):
            file.write(Atoms(walk.symbols, frame, cell=cell, pbc=True))
    return path


def same_moves(found: MemoryTrajectory, walk: Walk, abs_A: float = 1e-5) -> None:
    fractions = found.all_positions @ np.linalg.inv(found.cells())
    expected = (walk.fractions - walk.fractions[0]) @ walk.cells[0]
    assert found.cells() == pytest.approx(walk.cells, abs=1e-6)
    assert (fractions - fractions[0]) @ walk.cells[0] == pytest.approx(expected, abs=abs_A)
    assert found.numbers.tolist() == walk.numbers.tolist()


@pytest.mark.parametrize("breathing", [0.0, 0.01])
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.extxyz", write_extxyz),
        ("XDATCAR", write_xdatcar),
        ("vasprun.xml", write_vasprun),
        ("vasprun.xml.gz", write_vasprun),
        ("a.npz", write_npz),
        ("a.traj", write_ase),
        ("a.lammpstrj", write_dump),
        ("a.dump.gz", write_dump),
    ],
)
def test_a_wrapped_walk_comes_back_from_every_format(
    tmp_path: Path, name: str, write: object, breathing: float
) -> None:
    walk = make_walk(SKEWED, breathing=breathing)
    path = write(tmp_path / name, walk, walk.wrapped)

    found = read_trajectory(path, hints=Hints(dt_fs=50.0, species=SPECIES))

    same_moves(found, walk)
    assert found.frame_interval_ps == pytest.approx(0.05)
    assert found.is_npt is (breathing > 0.0)


def test_formats_are_told_by_content_whatever_the_name(tmp_path: Path) -> None:
    walk = make_walk(n_frames=5)
    titles = {
        open_source(write(tmp_path / "file", walk, walk.wrapped), Hints(species=SPECIES)).title
        for write in (write_extxyz, write_xdatcar, write_vasprun, write_dump, write_ase)
    }
    assert len(titles) == 5


def test_an_unknown_format_and_a_missing_file_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello\n")
    with pytest.raises(
        ConfigError, match=r"a\.txt: the format is not known; known are: LAMMPS"
    ):
        open_source(tmp_path / "a.txt", Hints())
    with pytest.raises(ConfigError, match=r"no\.xyz: no such file"):
        open_source(tmp_path / "no.xyz", Hints())
    (tmp_path / "empty.xyz").touch()
    with pytest.raises(TrajectoryError, match=r"empty\.xyz: the file is empty"):
        open_source(tmp_path / "empty.xyz", Hints())


@pytest.mark.parametrize(
    ("columns", "is_wrapped"),
    [
        ("id type xu yu zu", False),
        ("id type xsu ysu zsu", False),
        ("id type x y z ix iy iz", True),
        ("type ix iy iz xs ys zs id", True),
        ("id element xs ys zs", True),
        ("id mass x y z", True),
    ],
)
def test_all_columns_of_dumps_mean_the_same(
    tmp_path: Path, columns: str, is_wrapped: bool
) -> None:
    walk = make_walk(SKEWED, breathing=0.005)
    positions = walk.wrapped if is_wrapped else walk.unwrapped
    path = write_dump(tmp_path / "a.dump", walk, positions, columns=columns)

    hints = Hints(md_step_fs=0.5, species=SPECIES if "type" in columns else None)
    found = read_trajectory(path, hints=hints)

    same_moves(found, walk)
    assert found.frame_interval_ps == pytest.approx(0.05)


def test_image_flags_carry_steps_too_long_for_nearest_images(tmp_path: Path) -> None:
    walk = make_walk(step_A=3.0)
    path = write_dump(tmp_path / "a.dump", walk, walk.wrapped, columns="id type x y z ix iy iz")
    same_moves(read_trajectory(path, hints=Hints(md_step_fs=10.0, species=SPECIES)), walk)


def test_atoms_of_a_dump_are_sorted_by_id(tmp_path: Path) -> None:
    walk = make_walk()
    rng = np.random.default_rng(0)
    path = write_dump(
        tmp_path / "a.dump",
        walk,
        walk.wrapped,
        change=lambda _, rows: [rows[i] for i in rng.permutation(len(rows))],
    )

    source = open_source(path, Hints(species=SPECIES))
    found = read_trajectory(path, hints=Hints(dt_fs=50.0, species=SPECIES))

    same_moves(found, walk)
    for _ in source.pieces:
        pass
    assert source.notes == ["atoms of 60 frames sorted by id"]


def test_elements_of_a_dump_come_from_a_data_file(tmp_path: Path) -> None:
    walk = make_walk()
    data = tmp_path / "walk.data"
    data.write_text(
        "made for a test\n\n16 atoms\n2 atom types\n\n0 9 xlo xhi\n\nMasses\n\n"
        "1 6.94 # lithium\n2 32.06\n\nAtoms # charge\n\n"
        + "".join(f"{16 - i} {2 - i // 8} 0.0 0 0 0\n" for i in range(16))
    )
    hints = Hints(dt_fs=50.0, topology=data)
    typed = write_dump(tmp_path / "a.dump", walk, walk.wrapped)
    bare = write_dump(tmp_path / "b.dump", walk, walk.wrapped, columns="id x y z")

    assert read_trajectory(typed, hints=hints).numbers.tolist() == walk.numbers.tolist()
    assert read_trajectory(bare, hints=hints).numbers.tolist() == walk.numbers.tolist()


def test_times_and_units_in_a_dump_are_used(tmp_path: Path) -> None:
    walk = make_walk(n_frames=5)
    path = write_dump(tmp_path / "a.dump", walk, walk.wrapped / 10.0)
    text = path.read_text().replace("9.0000000000", "0.9000000000")
    for number in range(5):
        text = text.replace(
            f"ITEM: TIMESTEP\n{100 * number}\n",
            f"ITEM: TIME\n{0.001 * number}\nITEM: TIMESTEP\n{100 * number}\n",
        )
    path.write_text("ITEM: UNITS\nnano\n" + text)

    found = read_trajectory(path, hints=Hints(species=SPECIES))

    same_moves(found, walk)
    assert found.frame_interval_ps == pytest.approx(1.0)  # 0.001 ns


def test_vasprun_gives_time_step_and_temperature(tmp_path: Path) -> None:
    walk = make_walk(step_A=0.02)
    found = read_trajectory(write_vasprun(tmp_path / "vasprun.xml", walk, walk.wrapped))
    assert found.frame_interval_ps == pytest.approx(0.002)
    assert found.temperature_K == 700.0


def test_a_relaxation_is_no_molecular_dynamics(tmp_path: Path) -> None:
    walk = make_walk()
    path = write_vasprun(tmp_path / "vasprun.xml", walk, walk.wrapped)
    path.write_text(path.read_text().replace('"IBRION">0', '"IBRION">2'))
    with pytest.raises(TrajectoryError, match="no time between frames"):
        read_trajectory(path)


def test_extxyz_gives_times_and_temperature(tmp_path: Path) -> None:
    walk = make_walk()
    path = write_extxyz(
        tmp_path / "a.xyz", walk, walk.wrapped, 'dt_fs=20 temperature=650 pbc="T T T"'
    )
    found = read_trajectory(path)
    assert found.frame_interval_ps == pytest.approx(0.02)
    assert found.temperature_K == 650.0


def test_extxyz_numbers_its_md_steps(tmp_path: Path) -> None:
    walk = make_walk()
    path = write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped, "step=NN")
    head, *frames = path.read_text().split("step=NN")
    path.write_text(head + "".join(f"step={20 * i}{f}" for i, f in enumerate(frames)))
    found = read_trajectory(path, hints=Hints(md_step_fs=2.0))
    assert found.frame_interval_ps == pytest.approx(0.04)


def test_unwrapped_positions_of_extxyz_go_before_wrapped_ones(tmp_path: Path) -> None:
    walk = make_walk(step_A=2.0)
    path = write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped)
    both = path.read_text().replace("pos:R:3", "pos:R:3:unwrapped_position:R:3")
    rows = iter(walk.unwrapped.reshape(-1, 3))
    lines = [
        f"{line} {' '.join(f'{x:.8f}' for x in next(rows))}"
        if line[:2] in {"Li", "S "}
        else line
        for line in both.splitlines()
    ]
    path.write_text("\n".join(lines) + "\n")
    same_moves(read_trajectory(path, hints=Hints(dt_fs=1000.0)), walk)


def test_plain_xyz_takes_a_given_cell(tmp_path: Path) -> None:
    walk = make_walk()
    path = write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped)
    lines = [
        "a comment" if "Lattice" in line else line for line in path.read_text().splitlines()
    ]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(TrajectoryError, match=r"a\.xyz.*no cell; give it.*--cell"):
        read_trajectory(path, hints=Hints(dt_fs=50.0))
    same_moves(read_trajectory(path, hints=Hints(dt_fs=50.0, cell=parse_cell("9,9,9"))), walk)


def test_species_by_other_names_take_a_map(tmp_path: Path) -> None:
    walk = make_walk()
    path = write_extxyz(tmp_path / "a.xyz", walk, walk.wrapped)
    path.write_text(path.read_text().replace("\nLi ", "\nLi1 "))
    with pytest.raises(
        TrajectoryError, match=r"species 'Li1' is no chemical element.*--species-map"
    ):
        read_trajectory(path, hints=Hints(dt_fs=50.0))
    hints = Hints(dt_fs=50.0, species=parse_species_map("Li1=Li"))
    assert read_trajectory(path, hints=hints).numbers.tolist() == walk.numbers.tolist()


def test_npz_says_what_it_is(tmp_path: Path) -> None:
    walk = make_walk(step_A=2.0)
    path = write_npz(
        tmp_path / "a.npz",
        walk,
        walk.unwrapped.astype(np.float32),
        wrapped=False,
        dt_fs=200.0,
        temperature_K=800.0,
        species=walk.numbers,
        cell=CUBE,
    )
    found = read_trajectory(path)
    same_moves(found, walk)
    assert (found.frame_interval_ps, found.temperature_K) == (0.2, 800.0)


def test_npz_with_missing_or_misshapen_arrays_is_refused(tmp_path: Path) -> None:
    walk = make_walk()
    np.savez(tmp_path / "a.npz", coords=walk.wrapped)
    with pytest.raises(TrajectoryError, match=r"positions\.npy.*needed are positions"):
        read_trajectory(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", positions=walk.wrapped)
    with pytest.raises(TrajectoryError, match=r"found arrays.*needed are positions"):
        read_trajectory(tmp_path / "b.npz")
    path = write_npz(tmp_path / "c.npz", walk, walk.wrapped, cell=walk.cells[:5])
    with pytest.raises(
        TrajectoryError, match=r"cell has shape \(5, 3, 3\), needed is \(60, 3, 3\)"
    ):
        read_trajectory(path)


def test_large_npz_are_read_piece_by_piece(tmp_path: Path, monkeypatch: object) -> None:
    walk = make_walk()
    path = write_npz(tmp_path / "a.npz", walk, walk.wrapped)
    monkeypatch.setattr("dasksse.intake.source.PIECE_BYTES", 24 * 16 * 7)
    lengths = [len(piece) for piece in open_source(path, Hints()).pieces]
    assert lengths == [7] * 8 + [4]
    same_moves(read_trajectory(path, hints=Hints(dt_fs=50.0)), walk)


@pytest.mark.parametrize("write", [write_extxyz, write_xdatcar, write_dump])
def test_text_is_read_piece_by_piece(
    tmp_path: Path, monkeypatch: object, write: object
) -> None:
    walk = make_walk(breathing=0.004)
    path = write(tmp_path / "file", walk, walk.wrapped)
    monkeypatch.setattr("dasksse.intake.text.BLOCK_BYTES", 3000)
    hints = Hints(dt_fs=50.0, species=SPECIES)
    lengths = [len(piece) for piece in open_source(path, hints).pieces]
    assert sum(lengths) == 60
    assert len(lengths) > 10
    assert min(lengths[:-1]) >= 2
    same_moves(read_trajectory(path, hints=hints), walk)


@pytest.mark.parametrize("name", ["file", "file.gz"])
@pytest.mark.parametrize("write", [write_extxyz, write_xdatcar, write_dump, write_vasprun])
def test_a_truncated_last_frame_is_left_out_and_said(
    tmp_path: Path, write: object, name: str
) -> None:
    import gzip

    walk = make_walk()
    path = write(tmp_path / "file", walk, walk.wrapped)
    data = path.read_bytes()
    # in the middle of a number of the last atom but one of frame 41
    cut = data[: int(len(data) * 41.9 / 60)]
    path = tmp_path / name
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as file:
        file.write(cut)
        file.flush()
        whole = packed.getvalue()
    path.write_bytes(whole if name.endswith(".gz") else cut)
    hints = Hints(dt_fs=50.0, species=SPECIES)

    source = open_source(path, hints)
    n_frames = sum(len(piece) for piece in source.pieces)

    assert n_frames == 41
    assert any("cut off" in note for note in source.notes)
    same_moves(read_trajectory(path, hints=hints), walk.part(slice(41)))


def test_a_truncated_ase_trajectory_is_read_to_its_end(tmp_path: Path) -> None:
    walk = make_walk()
    path = write_ase(tmp_path / "a.traj", walk, walk.wrapped)
    path.write_bytes(path.read_bytes()[:-200])

    source = open_source(path, Hints())
    n_frames = sum(len(piece) for piece in source.pieces)

    assert n_frames == 59
    assert source.notes[0].startswith("frame 59 and all later ones left out")


def test_a_truncated_npz_is_refused(tmp_path: Path) -> None:
    walk = make_walk()
    path = write_npz(tmp_path / "a.npz", walk, walk.wrapped)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(TrajectoryError, match=r"a\.npz: cannot be read"):
        open_source(path, Hints())


def test_a_dump_with_a_broken_frame_inside_leaves_it_out(tmp_path: Path) -> None:
    walk = make_walk()
    first = write_dump(tmp_path / "a.dump", walk.part(slice(30)), walk.wrapped[:30]).read_text()
    later = walk.part(slice(29, None))
    second = write_dump(tmp_path / "b.dump", later, later.wrapped, first_step=2900).read_text()
    path = tmp_path / "both.dump"
    path.write_text(first[:-100].rsplit("\n", 1)[0] + "\n" + second)  # killed, then restarted

    source = open_source(path, Hints(species=SPECIES))
    n_frames = sum(len(piece) for piece in source.pieces)

    assert n_frames == 60
    assert "1 frames with missing rows are left out" in source.notes
    same_moves(read_trajectory(path, hints=Hints(dt_fs=50.0, species=SPECIES)), walk)


def test_a_langevin_run_of_ase_gives_its_temperature(tmp_path: Path) -> None:
    from ase.build import bulk
    from ase.calculators.emt import EMT
    from ase.md.langevin import Langevin

    atoms = bulk("Cu", cubic=True)
    atoms.calc = EMT()
    rng = np.random.default_rng(0)
    path = tmp_path / "md.traj"
    with Langevin(
        atoms, 2 * units.fs, temperature_K=400.0, friction=0.02, trajectory=str(path), rng=rng
    ) as md:
        md.run(20)

    found = read_trajectory(path, hints=Hints(dt_fs=2.0))

    assert found.temperature_K == pytest.approx(400.0)
    assert found.n_frames == 21


def test_zip_files_of_other_things_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(TrajectoryError, match=r"a\.npz: cannot be read"):
        open_source(tmp_path / "a.npz", Hints())


@pytest.mark.parametrize("text", ["Li,Qq", "1=Li,P", "", "1="])
def test_bad_species_maps_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--species-map"):
        parse_species_map(text)


def test_both_forms_of_species_maps_agree() -> None:
    assert parse_species_map("1=Li,2=P,3=S") == parse_species_map("Li,P,S")


@pytest.mark.parametrize("text", ["9,9", "9 9 x", "0,9,9", "1,2,3,4,5,6,7,8"])
def test_bad_cells_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--cell"):
        parse_cell(text)


def test_cells_are_given_by_lengths_angles_or_vectors() -> None:
    assert parse_cell("9,9,9") == pytest.approx(CUBE)
    assert parse_cell("9,9,9,90,90,90") == pytest.approx(CUBE)
    assert parse_cell("9 0 0 -7 8 0 3.5 -3 8.5") == pytest.approx(SKEWED)
