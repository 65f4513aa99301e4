"""A run that takes its models from another one, so that only the rest can differ."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from dasksse.store.folders import RunFolder

if TYPE_CHECKING:
    from pathlib import Path


def pin_models(calm: Path, run_dir: Path) -> None:
    """Make a run folder that has the finished trainings of another run, and nothing else.

    Parameters
    ----------
    calm
        Folder of a finished run.
    run_dir
        Folder of a new run of the same configuration; it must not exist.
    """
    ours, theirs = RunFolder(calm), RunFolder(run_dir)
    theirs.decisions.mkdir(parents=True)
    shutil.copytree(ours.work / "train", theirs.work / "train")
    shutil.copytree(ours.root / "inputs", theirs.root / "inputs")
    for name in (ours.config, ours.resolved_config):
        shutil.copyfile(name, theirs.root / name.name)
