from __future__ import annotations

from typing import Any

import pytest

from dasksse.config.schema import RegistrySection
from dasksse.engine.cluster import label_cores

CPU = {"tags": ["LABEL", "REDUCE"], "cores": 64, "units": 4}
BIG = {"tags": ["LABEL"], "cores": 32}
GPU = {"tags": ["TRAIN", "MD"], "cores": 96}


@pytest.mark.parametrize(
    ("kind", "settings", "cores"),
    [
        ("serial", {}, 1),
        ("serial", {"threads": 3}, 3),
        ("local", {}, 1),
        ("local", {"workers": 2, "threads": 4}, 4),
        ("local", {"pools": {"all": {"prefix": ["mpirun", "-n", "4"]}}}, 4),
        ("slurm", {"pools": {"gpu": GPU, "cpu": CPU}}, 16),
        ("slurm", {"pools": {"gpu": GPU, "cpu": CPU, "big": BIG}}, 32),
    ],
)
def test_a_label_has_the_cores_of_the_pool_that_takes_it(
    kind: str, settings: dict[str, Any], cores: int
) -> None:
    assert label_cores(RegistrySection(kind=kind, settings=settings)) == cores
