from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dasksse.records import Frames, Labels

LabelMaker = Callable[..., Labels]


@pytest.fixture
def make_labels() -> LabelMaker:
    """Random labels of a small triclinic cell; not physical, every number different."""

    def make(
        numbers: tuple[int, ...] = (3, 3, 15, 16),
        *,
        n_frames: int = 3,
        seed: int = 0,
        virial: bool = True,
    ) -> Labels:
        rng = np.random.default_rng(seed)
        cell = np.array([[5.0, 0.0, 0.0], [1.0, 6.0, 0.0], [0.5, -0.7, 7.0]])
        shape = (n_frames, len(numbers), 3)
        return Labels(
            Frames(
                np.array(numbers, dtype=np.int64),
                rng.uniform(-10.0, 10.0, shape),
                np.tile(cell, (n_frames, 1, 1)) * rng.uniform(0.9, 1.1, (n_frames, 1, 1)),
            ),
            rng.normal(size=n_frames),
            rng.normal(size=shape),
            rng.normal(size=(n_frames, 3, 3)) if virial else np.full((n_frames, 3, 3), np.nan),
            "test",
            "none",
            is_surrogate=True,
        )

    return make
