"""Ions on a line with sites, frame by frame as written in a test."""

from __future__ import annotations

from typing import Any

import numpy as np

from dasksse.analyse.sites import Sites
from dasksse.analyse.stays import SiteHistory, follow_sites
from dasksse.records import MemoryTrajectory


def sites_along_x(*places_A: float, cell_A: float = 10.0) -> Sites:
    fractions = np.zeros((len(places_A), 3))
    fractions[:, 0] = np.array(places_A) / cell_A
    return Sites(
        species="Li",
        cell=cell_A * np.eye(3),
        fractions=fractions,
        classes=("a",),
        class_of=np.zeros(len(places_A), dtype=np.int64),
        anchors=np.empty((0, 3)),
        source="test",
    )


def run_along_x(*paths_A: Any, cell_A: float = 10.0, **settings: Any) -> MemoryTrajectory:
    positions = np.zeros((len(paths_A[0]), len(paths_A), 3))
    positions[..., 0] = np.transpose(paths_A)
    facts = {"frame_interval_ps": 0.5, **settings}
    return MemoryTrajectory(np.full(len(paths_A), 3), positions, cell_A * np.eye(3), **facts)


def follow(*paths_A: Any, sites: Sites | None = None) -> SiteHistory:
    """Stays of ions with these paths along x, on sites at 0 and 3 Å if not given."""
    chosen = sites_along_x(0.0, 3.0) if sites is None else sites
    return follow_sites([framed(run_along_x(*paths_A))], chosen, radius_A=1.0)


def framed(run: MemoryTrajectory) -> MemoryTrajectory:
    """The run with a sulfur atom that stands still."""
    still = np.full((run.n_frames, 1, 3), 5.0)
    return MemoryTrajectory(
        np.append(run.numbers, 16),
        np.concatenate([run.all_positions, still], axis=1),
        run.all_cells,
        run.frame_interval_ps,
        n_equilibration=run.n_equilibration,
        name=run.name,
    )
