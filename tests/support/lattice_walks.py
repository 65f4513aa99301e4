"""Made-up ions that hop on a lattice in a triclinic cell and vibrate, with known rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.records.trajectory import MemoryTrajectory

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNIT_CELL = np.array([[3.0, 0.0, 0.0], [0.7, 3.2, 0.0], [-0.5, 0.6, 3.4]])
MULTIPLES = np.array([3, 3, 2])
ANCHOR = np.array([0.5, 0.45, 0.55])
"""A framework atom in each unit cell; ions are at its corners."""
STEPS = np.array(
    [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=np.int64
)
DT_PS = 0.1


@dataclass(frozen=True)
class Walk:
    """Settings of a walk on the corners of the unit cells.

    ``rate_out`` is the rate of leaving [1/ps], one value or one for even and one for odd layers
    along c; ``back_share`` the share of jumps that go back, None for no memory.
    """

    n_frames: int = 20_000
    n_ions: int = 12
    rate_out: float | tuple[float, float] = 0.2
    back_share: float | None = None
    directions: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    vibration_A: float = 0.15
    drift_A: float = 2.0
    seed: int = 0
    dt_ps: float = DT_PS


def lattice_paths(walk: Walk) -> NDArray[np.int64]:
    """Lattice points of independent ions, in continuous time, ``(frame, ion, lattice)``."""
    rng = np.random.default_rng(walk.seed)
    rates = np.broadcast_to(walk.rate_out, (2,))
    times = np.arange(walk.n_frames) * walk.dt_ps
    paths = np.empty((walk.n_frames, walk.n_ions, 3), dtype=np.int64)
    for ion in range(walk.n_ions):
        point = rng.integers(0, MULTIPLES)
        last, clock = -1, 0.0
        moments, points = [0.0], [point]
        while clock < times[-1]:
            clock += rng.exponential(1.0 / rates[point[2] % 2])
            last = _direction(walk, last, rng)
            point = point + STEPS[last]
            moments.append(clock)
            points.append(point)
        paths[:, ion] = np.array(points)[np.searchsorted(moments, times, side="right") - 1]
    return paths


def _direction(walk: Walk, last: int, rng: np.random.Generator) -> int:
    if last >= 0 and walk.back_share is not None:
        back = last ^ 1
        if rng.random() < walk.back_share:
            return back
        return int(rng.choice([d for d in walk.directions if d != back]))
    return int(rng.choice(walk.directions))


def walk_run(walk: Walk, *, shift_A: float = 0.0, name: str = "walk") -> MemoryTrajectory:
    """Run of ions (Li) with a framework (S): both vibrate and drift together."""
    rng = np.random.default_rng(walk.seed + 1)
    cell = UNIT_CELL * MULTIPLES[:, None]
    ions = lattice_paths(walk) @ UNIT_CELL
    corners = np.stack(np.meshgrid(*map(np.arange, MULTIPLES), indexing="ij"), -1)
    still = (corners.reshape(-1, 3) + ANCHOR) @ UNIT_CELL
    frames = np.arange(walk.n_frames)[:, None, None] / walk.n_frames
    positions = np.concatenate(
        [ions, np.broadcast_to(still, (walk.n_frames, *still.shape))], axis=1
    )
    positions = positions + rng.normal(0.0, walk.vibration_A, positions.shape)
    positions += walk.drift_A * frames * np.array([1.0, -0.5, 0.3]) + shift_A
    numbers = np.repeat([3, 16], [walk.n_ions, len(still)])
    return MemoryTrajectory(numbers, positions, cell, walk.dt_ps, 600.0, name=name)
