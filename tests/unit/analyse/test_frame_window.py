from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.frame_window import FrameWindow
from tests.support.stores import random_run

RUN = random_run(40)
WINDOW = FrameWindow(RUN, 10, 30)


@pytest.mark.parametrize(
    "frames", [slice(None), slice(3, 9), slice(-5, None), slice(2, None, 4), slice(0, 99)]
)
def test_frames_of_a_window_are_those_of_the_run(frames: slice) -> None:
    expected = RUN.positions()[10:30][frames]

    np.testing.assert_array_equal(WINDOW.positions(slice(2, 5), frames), expected[:, 2:5])
    np.testing.assert_array_equal(WINDOW.cells(frames), RUN.cells()[10:30][frames])
    for number, path in WINDOW.centres(frames).items():
        np.testing.assert_allclose(path, RUN.centres()[number][10:30][frames])


def test_a_window_is_described_like_its_run_but_has_no_equilibration() -> None:
    assert WINDOW.n_frames == 20
    assert WINDOW.n_equilibration == 0
    assert WINDOW.name == "trajectory frames 10 to 29"
    assert (WINDOW.temperature_K, WINDOW.frame_interval_ps, WINDOW.is_npt) == (
        RUN.temperature_K,
        RUN.frame_interval_ps,
        False,
    )
    assert WINDOW.scalars("pressure") is None
