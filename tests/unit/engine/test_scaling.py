from __future__ import annotations

from dasksse.engine.scaling import BackOff, SlowToShrink, wanted_jobs
from dasksse.engine.settings import PoolSettings

CPU = PoolSettings(tags=("LABEL", "REDUCE"), cores=8, units=4, max_jobs=10)
GPU = PoolSettings(tags=("TRAIN", "MD"), min_jobs=1, max_jobs=3)
ALL = PoolSettings(max_jobs=2)


def test_no_work_leaves_each_pool_at_its_minimum() -> None:
    assert wanted_jobs({"cpu": CPU, "gpu": GPU}, {}, {}) == {"cpu": 0, "gpu": 1}


def test_a_job_is_asked_for_each_group_of_units_it_can_hold() -> None:
    assert wanted_jobs({"cpu": CPU}, {"LABEL": 9}, {})["cpu"] == 3
    assert wanted_jobs({"cpu": CPU}, {"LABEL": 1}, {"cpu": 8})["cpu"] == 3


def test_no_pool_grows_beyond_its_maximum() -> None:
    wanted = wanted_jobs({"cpu": CPU, "gpu": GPU}, {"LABEL": 1000, "MD": 1000}, {})

    assert wanted == {"cpu": 10, "gpu": 3}


def test_special_pools_fill_first_and_the_pool_for_all_takes_the_rest() -> None:
    pools = {"all": ALL, "gpu": GPU}

    assert wanted_jobs(pools, {"MD": 3}, {}) == {"all": 0, "gpu": 3}
    assert wanted_jobs(pools, {"MD": 4}, {}) == {"all": 1, "gpu": 3}
    assert wanted_jobs(pools, {"LABEL": 5}, {}) == {"all": 2, "gpu": 1}


def test_running_units_keep_their_jobs() -> None:
    assert wanted_jobs({"gpu": GPU}, {}, {"gpu": 2}) == {"gpu": 2}


def test_a_pool_grows_at_once_and_shrinks_when_the_demand_has_been_low_for_long() -> None:
    level = SlowToShrink(300.0)

    assert level(0.0, 1) == 1
    assert level(1.0, 8) == 8
    assert level(200.0, 2) == 8
    assert level(300.0, 0) == 8
    assert level(302.0, 0) == 2
    assert level(501.0, 0) == 0


def test_waits_double_up_to_a_limit_and_a_success_forgets_them() -> None:
    wait = BackOff(10.0, 60.0)

    assert [wait.fail(0.0) for _ in range(5)] == [10.0, 20.0, 40.0, 60.0, 60.0]
    assert wait.is_waiting(59.0)
    assert not wait.is_waiting(60.0)
    wait.succeed()
    assert not wait.is_waiting(0.0)
    assert wait.fail(0.0) == 10.0
