"""Which labelled frames the stage that selects keeps away from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dasksse.loop.stages.selection import _labelled
from dasksse.records import Frames, Labels, UnitContext
from dasksse.store.folders import RunFolder

if TYPE_CHECKING:
    from pathlib import Path


def labels_of(numbers: list[int], n_frames: int) -> Labels:
    rng = np.random.default_rng(len(numbers))
    shape = (n_frames, len(numbers), 3)
    frames = Frames(
        np.array(numbers),
        rng.uniform(0.0, 5.0, shape),
        np.tile(5.0 * np.eye(3), (n_frames, 1, 1)),
    )
    energies = np.zeros(n_frames)
    energies[-1] = np.nan
    return Labels(
        frames,
        energies,
        np.zeros(shape),
        np.full((n_frames, 3, 3), np.nan),
        "code",
        "PBE",
        is_surrogate=False,
        reasons=(*[""] * (n_frames - 1), "not converged"),
    )


def test_good_labels_of_the_same_atoms_count_whatever_their_system_and_order(
    tmp_path: Path,
) -> None:
    sources = []
    for kind, system, numbers in (
        ("label", "salt", [3, 3, 17, 17]),
        ("imported", "imported-Li2Cl2", [3, 17, 3, 17]),
        ("imported", "imported-LiCl", [3, 17]),
        ("imported", "imported-Li2Br2", [3, 3, 35, 35]),
    ):
        key = f"{len(sources):016x}"
        RunFolder(tmp_path).unit(kind, key).mkdir(parents=True)
        labels_of(numbers, 4).save(RunFolder(tmp_path).unit(kind, key) / "labels.npz")
        sources.append([kind, key, system])
    context = UnitContext(tmp_path, tmp_path / "new.part", lambda *_: None)

    found = _labelled({"labelled": sources}, context, np.array([3, 3, 17, 17]))

    assert [(list(frames.numbers), len(frames)) for frames in found] == [
        ([3, 3, 17, 17], 3),
        ([3, 17, 3, 17], 3),
    ]
