from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dasksse.records import Frames
from dasksse.select.candidates import CandidateSet

if TYPE_CHECKING:
    from collections.abc import Callable

SITES = np.array([[0, 0, 0], [2.5, 2.5, 0], [2.5, 0, 2.5], [0, 2.5, 2.5]], dtype=float)


@pytest.fixture
def make_frames() -> Callable[..., Frames]:
    """Rattled four-atom cells of Li and S; every frame differs."""

    def make(n: int, *, seed: int = 0, sigma_A: float = 0.1) -> Frames:
        noise = np.random.default_rng(seed).normal(0.0, sigma_A, size=(n, 4, 3))
        return Frames(
            np.array([3, 3, 16, 16]), SITES + noise, np.tile(5.0 * np.eye(3), (n, 1, 1))
        )

    return make


@pytest.fixture
def make_candidates(make_frames: Callable[..., Frames]) -> Callable[..., CandidateSet]:
    """Sound frames at 300 K, all candidates between levels 0.3 and 0.6, unless overridden."""

    def make(n: int, **changes: Any) -> CandidateSet:
        fields: dict[str, Any] = {
            "frames": make_frames(n),
            "run": np.zeros(n, dtype=int),
            "index": np.arange(n),
            "deviation": np.full(n, 0.4),
            "min_distance_A": np.full(n, 2.0),
            "framework_intact": np.ones(n, dtype=bool),
            "volume_ratio": np.ones(n),
            "temperature_K": np.full(n, 300.0),
            "n_planned": n,
        }
        return CandidateSet(**(fields | changes))

    return make
