from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from dasksse.errors import StoreError
from dasksse.explore.segments import (
    MdFrames,
    SegmentEnd,
    assemble_frames,
    lower_triangular,
    parse_dump,
    parse_thermo,
    read_segment,
    read_state,
    write_arrays,
    write_segment,
)

if TYPE_CHECKING:
    from pathlib import Path

LOG = """   Step          Temp          Press ...
         0   400  20701.5 -6.5 0 7.5 0 8.5 0 9.5 0.1 0.2 0.3
         5   380.25  -1e3 -6.25 0 7.5 0 8.5 0 9.5 0.1 0.2 0.3
Loop time of 0.5 on 1 procs for 5 steps with 2 atoms
        10   38"""

DUMP = """ITEM: TIMESTEP
0
ITEM: NUMBER OF ATOMS
2
ITEM: BOX BOUNDS xy xz yz pp pp pp
0 7.5 0.1
0 8.5 0.2
0 9.5 0.3
ITEM: ATOMS id xs ys zs ix iy iz
1 0.25 0.5 0.75 0 0 0
2 0.125 0.5 1.0 -1 2 0
"""


def frames(n_frames: int = 3, n_atoms: int = 2) -> MdFrames:
    rng = np.random.default_rng(0)
    return MdFrames(
        np.arange(n_frames) * 5.0,
        rng.normal(size=(n_frames, n_atoms, 3)),
        rng.normal(size=(n_frames, 3, 3)),
        *rng.normal(size=(3, n_frames)),
        rng.normal(size=(n_frames, n_atoms)),
    )


def assert_equal(left: MdFrames, right: MdFrames) -> None:
    for name, array in left.arrays().items():
        np.testing.assert_array_equal(array, right.arrays()[name], strict=True)


def test_thermodynamic_rows_are_found_between_headers_and_a_cut_last_line() -> None:
    rows = parse_thermo(LOG)

    assert list(rows) == [0, 5]
    np.testing.assert_array_equal(rows[5][:3], [380.25, -1000.0, -6.25])


def test_image_counts_are_added_to_fractions() -> None:
    snapshots = parse_dump(DUMP, 2)

    np.testing.assert_array_equal(snapshots[0], [[0.25, 0.5, 0.75], [-0.875, 2.5, 1.0]])


@pytest.mark.parametrize("missing", [1, 5, 40])
def test_a_snapshot_cut_short_is_left_out(missing: int) -> None:
    second = DUMP.replace("TIMESTEP\n0", "TIMESTEP\n5")

    assert list(parse_dump((DUMP + second)[:-missing], 2)) == [0]


def test_boxes_become_lower_triangular_cells() -> None:
    cells = lower_triangular(np.array([[1.0, 8.5, 2.0, 10.5, 0.0, 9.5, 0.1, 0.2, 0.3]]))

    np.testing.assert_allclose(cells, [[[7.5, 0, 0], [0.1, 8.5, 0], [0.2, 0.3, 9.5]]])


def test_frames_are_turned_back_and_need_every_part_of_a_step() -> None:
    rotation = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    deviations = {0: np.array([0.1, 0.2]), 5: np.array([0.3, 0.4])}

    joined = assemble_frames(
        parse_thermo(LOG),
        parse_dump(DUMP, 2),
        deviations,
        n_atoms=2,
        rotation=rotation,
        wanted=lambda _: True,
    )

    assert joined.steps.tolist() == [0.0]
    np.testing.assert_allclose(joined.cells[0, 1], [-8.5, 0.1, 0.0])
    atom = 0.25 * joined.cells[0, 0] + 0.5 * joined.cells[0, 1] + 0.75 * joined.cells[0, 2]
    np.testing.assert_allclose(joined.positions[0, 0], atom)
    assert joined.pressure_GPa[0] == pytest.approx(2.07015)


def test_no_common_step_gives_empty_arrays_of_the_right_shape() -> None:
    empty = assemble_frames({}, {}, None, n_atoms=2, rotation=np.eye(3), wanted=lambda _: True)

    assert empty.positions.shape == (0, 2, 3)
    assert empty.atom_deviation.shape == (0, 2)
    assert_equal(MdFrames.join([frames(), empty]), frames())


def test_frames_survive_saving(tmp_path: Path) -> None:
    frames().save(tmp_path / "f.npz")

    assert_equal(MdFrames.load(tmp_path / "f.npz"), frames())


def test_a_segment_and_its_end_state_survive_saving(tmp_path: Path) -> None:
    path = tmp_path / "segment-00000.npz"
    state = {"state_x": np.ones((2, 3))}

    write_segment(path, SegmentEnd(20, 3, "blow-up", "too hot"), frames(), state)

    end, loaded = read_segment(path)
    assert end == SegmentEnd(20, 3, "blow-up", "too hot")
    assert_equal(loaded, frames())
    assert list(read_state(path)) == ["state_x"]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("position", [300, 700, -300])
def test_one_flipped_byte_in_a_segment_is_found(tmp_path: Path, position: int) -> None:
    path = tmp_path / "segment-00000.npz"
    write_segment(path, SegmentEnd(20, 40), frames(n_frames=40), {})
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(content)

    with pytest.raises(StoreError, match=r"segment-00000\.npz is damaged"):
        read_segment(path)


def test_a_truncated_segment_is_found(tmp_path: Path) -> None:
    path = tmp_path / "segment-00000.npz"
    write_segment(path, SegmentEnd(20, 3), frames(), {})
    path.write_bytes(path.read_bytes()[:500])

    with pytest.raises(StoreError, match="damaged"):
        read_segment(path)


def test_a_file_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot write .*absent"):
        write_arrays(tmp_path / "absent/a.npz", {"x": np.ones(1)})
