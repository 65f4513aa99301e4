"""What a cluster file may say, and what it is told when it says something else."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from dasksse.engine.settings import (
    TAGS,
    LocalSettings,
    PoolSettings,
    QueueSettings,
    SerialSettings,
    margin_s,
    parse_memory_bytes,
    parse_time_s,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90 s", 90),
        ("90 min", 5400),
        ("90min", 5400),
        ("1.5 h", 5400),
        ("2 d", 172800),
        ("01:30", 5400),
        ("01:30:15", 5415),
        ("240:00:00", 864000),
        ("1-12:00:00", 129600),
        (" 15 sec ", 15),
        (75, 75),
    ],
)
def test_times_are_read(text: object, seconds: int) -> None:
    assert parse_time_s(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "12", "5 weeks", "1:2:3:4", "-5 min", 0, -1, True]
)
def test_what_is_no_time_is_refused_with_examples(text: object) -> None:
    with pytest.raises(ValueError, match="'24:00:00', '1-12:00:00', '90 min'"):
        parse_time_s(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4 GB", 4_000_000_000),
        ("4GB", 4_000_000_000),
        ("1.5 GiB", 3 << 29),
        ("3800 MiB", 3800 << 20),
        ("2 TB", 2_000_000_000_000),
        ("500 MB", 500_000_000),
    ],
)
def test_memory_sizes_are_read(text: str, size: int) -> None:
    assert parse_memory_bytes(text) == size


@pytest.mark.parametrize("text", ["4", "4 G", "GB", "4 gb", "-1 GB", "4,5 GB"])
def test_what_is_no_memory_size_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="'4 GB' or '3800 MiB'"):
        parse_memory_bytes(text)


def test_a_pool_has_sensible_defaults() -> None:
    pool = PoolSettings()

    assert pool.tags == TAGS
    assert (pool.cores, pool.units, pool.threads) == (1, 1, 1)
    assert (pool.min_jobs, pool.max_jobs, pool.gpus) == (0, 1, 0)


@pytest.mark.parametrize(
    ("cores", "units", "threads"), [(16, 4, 4), (16, 5, 3), (2, 2, 1), (7, 1, 7)]
)
def test_units_of_a_job_share_its_cores(cores: int, units: int, threads: int) -> None:
    assert PoolSettings(cores=cores, units=units).threads == threads


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"min_jobs": 3, "max_jobs": 2}, "min_jobs 3 is above max_jobs 2"),
        ({"cores": 2, "units": 3}, "units 3 need at least as many cores, found cores 2"),
        ({"cores": 0}, "greater than or equal to 1"),
        ({"gpus": -1}, "greater than or equal to 0"),
        ({"tags": []}, "at least 1"),
        ({"tags": ["COOK"]}, "'TRAIN', 'MD', 'LABEL' or 'REDUCE'"),
        ({"walltime": "5 s"}, "greater than or equal to 10"),
        ({"walltime": "later"}, "'90 min'"),
        ({"memory": "plenty"}, "'4 GB'"),
        ({"mem": "4 GB"}, "Extra inputs are not permitted"),
    ],
)
def test_a_wrong_pool_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PoolSettings.model_validate(values)

    assert words in str(caught.value)


@pytest.mark.parametrize("key", ["queue", "account"])
@pytest.mark.parametrize(
    "value", ["gpu; rm -rf x", "$(date)", "a b", "-x", "a\n#SBATCH -x", "`x`", "it's", ""]
)
def test_queue_and_account_are_words_that_no_shell_reads_otherwise(
    key: str, value: str
) -> None:
    with pytest.raises(ValidationError):
        PoolSettings.model_validate({key: value})


@pytest.mark.parametrize("value", ["gpu", "gpu,cpu", "all.q@@hosts", "my-project_1", "a/b:c"])
def test_usual_names_of_queues_are_taken(value: str) -> None:
    assert PoolSettings(queue=value).queue == value


@pytest.mark.parametrize(
    "values",
    [
        {"setup": ["a\nb"]},
        {"directives": ["--x\n#SBATCH --y"]},
        {"skip_directives": [""]},
        {"python": "py\nthon"},
        {"scratch": "a\rb"},
        {"resource_spec": "a\n"},
        {"prefix": ["a\0b"]},
        {"environment": {"A": "x\n#$ -q other"}},
        {"environment": {"A B": "x"}},
        {"environment": {"A;date": "x"}},
        {"environment": {"1A": "x"}},
    ],
)
def test_no_value_breaks_out_of_its_line(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PoolSettings.model_validate(values)


@pytest.mark.parametrize("name", ["GPU", "1gpu", "gpu-1", "", "a" * 17, "gpu 1", "../gpu"])
def test_names_of_pools_fit_into_job_names(name: str) -> None:
    with pytest.raises(ValidationError):
        QueueSettings.model_validate({"pools": {name: {}}})


def test_a_batch_system_needs_a_pool() -> None:
    with pytest.raises(ValidationError):
        QueueSettings.model_validate({"pools": {}})


def test_times_of_a_cluster_are_seconds() -> None:
    values = {"pools": {"cpu": {}}, "poll": "1 min", "grace": "1 h", "idle": 20}

    settings = QueueSettings.model_validate(values)

    assert (settings.poll, settings.grace, settings.idle) == (60, 3600, 20)
    assert settings.tls


def test_this_machine_takes_workers_or_pools() -> None:
    assert LocalSettings(workers=2).workers == 2
    assert LocalSettings.model_validate({"pools": {"gpu": {"gpus": 1}}}).pools["gpu"].gpus == 1


def test_serial_settings_take_threads_alone() -> None:
    assert SerialSettings(threads=2).threads == 2
    with pytest.raises(ValidationError):
        SerialSettings.model_validate({"workers": 2})


@pytest.mark.parametrize(
    ("walltime_s", "margin"), [(60, 10), (600, 60), (3600, 180), (86400, 180)]
)
def test_units_stop_a_tenth_of_the_walltime_before_its_end_within_limits(
    walltime_s: int, margin: float
) -> None:
    assert margin_s(walltime_s) == margin
    assert PoolSettings(walltime=walltime_s).life_s == walltime_s - margin


def test_a_job_without_walltime_lives_for_ever() -> None:
    assert PoolSettings().life_s == float("inf")


@pytest.mark.parametrize(
    ("units", "prefix", "threads"),
    [(1, (), 64), (4, (), 16), (1, ("srun", "-n", "64"), 1), (2, ("mpirun", "-np", "8"), 4)],
)
def test_cores_are_shared_by_units_and_by_the_ranks_of_the_prefix(
    units: int, prefix: tuple[str, ...], threads: int
) -> None:
    assert PoolSettings(cores=64, units=units, prefix=prefix).threads == threads
