from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from dasksse.errors import StoreError
from dasksse.store import layout
from dasksse.store.layout import frame_chunks, frame_specs, open_store

if TYPE_CHECKING:
    from pathlib import Path

SIZES = [(1, 1), (40, 4), (5000, 50), (20_000, 900), (300, 100_000), (3_000_000, 7)]


@pytest.mark.parametrize("grows", [False, True])
@pytest.mark.parametrize(("n_frames", "n_atoms"), SIZES)
@pytest.mark.parametrize("name", ["positions", "cell", "centres"])
def test_shards_hold_whole_chunks_whole_frames_and_no_more_than_their_cap(
    name: str, n_frames: int, n_atoms: int, grows: bool
) -> None:
    specs = frame_specs((3, n_frames), n_atoms=n_atoms, n_elements=2, grows=grows)

    chunks, shards = frame_chunks(specs[name])

    assert chunks[0] == shards[0] == 1
    assert all(shard % chunk == 0 for chunk, shard in zip(chunks, shards, strict=True))
    assert shards[2] >= specs[name].shape[2]
    row_bytes = np.prod(specs[name].shape[2:]) * np.dtype(specs[name].dtype).itemsize
    assert shards[1] * row_bytes <= layout.SHARD_BYTES + chunks[1] * row_bytes
    assert shards[1] // chunks[1] <= max(
        layout.MAX_CHUNKS_ALONG_FRAMES, -(-n_frames // layout.CHUNK_FRAMES)
    )


def test_a_block_of_atoms_is_a_small_part_of_a_long_run() -> None:
    spec = frame_specs((1, 20_000), n_atoms=900, n_elements=4)["positions"]

    chunks, shards = frame_chunks(spec)

    assert chunks[2] == 8
    assert chunks[1] > 5000
    assert shards[2] >= 900


@pytest.mark.parametrize("n_atoms", [1, 4, 7, 50, 900, 12_345, 100_000, 10_000_000])
def test_a_full_shard_of_a_growing_array_has_the_shape_it_was_planned_with(
    n_atoms: int,
) -> None:
    endless = frame_specs((1, 1 << 40), n_atoms=n_atoms, n_elements=2, grows=True)
    planned = frame_chunks(endless["positions"])[1][1]

    full = frame_specs((1, planned), n_atoms=n_atoms, n_elements=2, grows=True)

    assert frame_chunks(full["positions"])[1][1] == planned


def test_a_store_of_a_later_version_is_refused_with_both_versions(tmp_path: Path) -> None:
    open_store(tmp_path / "new.zarr").attrs["layout_version"] = 99

    with pytest.raises(StoreError, match=r"new\.zarr.*version 99.*versions 1 to 2"):
        open_store(tmp_path / "new.zarr", mode="r")
