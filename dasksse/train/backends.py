"""DeePMD-kit's backends: flags and file names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dasksse.process import INSTALL_ENGINES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

UNAVAILABLE_EXIT = 69
"""Exit code of the child when its backend cannot be loaded (EX_UNAVAILABLE of sysexits)."""

CLAIM_SUFFIX = ".claim"
"""File by which one of the copies of a child that a command prefix starts takes the job."""


@dataclass(frozen=True)
class Backend:
    """One backend of DeePMD-kit.

    Attributes
    ----------
    flag
        Option of ``dp`` that chooses it.
    entry_point
        Module that can only be imported when the backend works.
    model_suffix
        Of frozen models.
    checkpoint_suffix
        Of the file (or folder) that marks a checkpoint.
    is_prefix
        True when a checkpoint is named without its suffix.
    install
        What installs it.
    """

    flag: str
    entry_point: str
    model_suffix: str
    checkpoint_suffix: str
    is_prefix: bool
    install: str

    def checkpoint(self, workdir: Path, step: int, *, name: str) -> Path:
        """Checkpoint of a step, spelt as ``dp train --restart`` takes it."""
        return workdir / (f"{name}-{step}" + ("" if self.is_prefix else self.checkpoint_suffix))

    def checkpoint_steps(self, workdir: Path, *, name: str) -> list[int]:
        """Steps of which the folder holds a checkpoint, the last one first."""
        pattern = re.compile(
            re.escape(name) + r"-(\d+)" + re.escape(self.checkpoint_suffix) + r"\Z"
        )
        found = (pattern.match(path.name) for path in workdir.iterdir())
        return sorted((int(match[1]) for match in found if match), reverse=True)


BACKENDS: Mapping[str, Backend] = {
    "tensorflow": Backend(
        flag="--tf",
        entry_point="deepmd.tf.entrypoints.main",
        model_suffix=".pb",
        checkpoint_suffix=".index",
        is_prefix=True,
        install=INSTALL_ENGINES,
    ),
    "pytorch": Backend(
        flag="--pt",
        entry_point="deepmd.pt.entrypoints.main",
        model_suffix=".pth",
        checkpoint_suffix=".pt",
        is_prefix=False,
        install="pip install 'deepmd-kit[torch,lmp]==3.2.0' (it works with torch 2.11 alone)",
    ),
    "jax": Backend(
        flag="--jax",
        entry_point="deepmd.jax.entrypoints.main",
        model_suffix=".hlo",
        checkpoint_suffix=".jax",
        is_prefix=False,
        install="pip install 'deepmd-kit[jax]==3.2.0'",
    ),
    "paddle": Backend(
        flag="--pd",
        entry_point="deepmd.pd.entrypoints.main",
        model_suffix=".json",
        checkpoint_suffix=".pd",
        is_prefix=False,
        install="pip install 'deepmd-kit==3.2.0' and paddlepaddle",
    ),
}
