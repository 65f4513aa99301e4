from __future__ import annotations

import numpy as np
import pytest

from dasksse.analyse.bootstrap import bootstrap_error


def test_independent_stretches_have_the_error_of_their_mean() -> None:
    rng = np.random.default_rng(0)

    stated = [bootstrap_error(rng.normal(size=(1, 8)), seed=seed) for seed in range(200)]

    assert np.sqrt(np.mean(np.square(stated))) == pytest.approx(8**-0.5, rel=0.1)


def test_what_differs_between_runs_counts_where_there_are_some() -> None:
    rng = np.random.default_rng(1)
    runs = rng.normal(size=(10, 1)) + 0.1 * rng.normal(size=(10, 32))

    assert bootstrap_error(runs) == pytest.approx(np.std(runs[:, 0]) / 3.0, rel=0.2)
    assert bootstrap_error(runs[:2]) < 0.1


def test_the_same_seed_gives_the_same_error() -> None:
    values = np.random.default_rng(2).normal(size=(3, 8))

    assert bootstrap_error(values) == bootstrap_error(values)
    assert bootstrap_error(values) != bootstrap_error(values, seed=1)
