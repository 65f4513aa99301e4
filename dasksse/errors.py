"""Every error dasksse raises on purpose, as one tree."""

from __future__ import annotations

from pathlib import Path


class DasksseError(Exception):
    """Base of all dasksse errors; catch this to catch them all."""


class ConfigError(DasksseError, ValueError):
    """The configuration cannot be used; the message names file and key."""


class StructureError(DasksseError, ValueError):
    """A crystal structure cannot be read, ordered or built as asked."""


class StoreError(DasksseError, OSError):
    """The run folder or its Zarr store cannot be written or read as asked."""

    def __str__(self) -> str:
        """Show the message alone; OSError would print a tuple."""
        return " ".join(str(part) for part in self.args)


class RunFolderError(StoreError):
    """The run folder is in use by another driver or belongs to another config."""


class TrajectoryError(DasksseError, ValueError):
    """A trajectory file cannot be imported as it is; the message names file and frame."""


class AnalysisError(DasksseError, ValueError):
    """A trajectory cannot support the quantity asked of it."""


class FailureBudgetError(DasksseError, RuntimeError):
    """More units failed than the configuration allows."""


class ClusterError(DasksseError, RuntimeError):
    """No worker can be had: the queue refuses jobs, or the scheduler cannot be started."""


class OutOfTimeError(DasksseError, RuntimeError):
    """A unit stopped at a checkpoint, its worker's walltime ends; it goes on elsewhere."""


class ExternalProgramError(DasksseError, RuntimeError):
    """An outside program (LAMMPS, DeePMD-kit, a DFT code) failed.

    All facts go to ``args`` so that the error survives pickling between
    Dask workers.
    """

    def __init__(self, program: str, returncode: int, workdir: str, log_tail: str = "") -> None:
        super().__init__(program, returncode, workdir, log_tail)
        self.program = program
        self.returncode = returncode
        self.workdir = Path(workdir)
        self.log_tail = log_tail

    def __str__(self) -> str:
        """Say what failed, where to look, and the last lines of its log."""
        return (
            f"{self.program} exited with {self.returncode} in {self.workdir}\n{self.log_tail}"
        ).rstrip()


class ProgramMissingError(ExternalProgramError):
    """An outside program is not installed; the log tail says how to get it."""

    def __str__(self) -> str:
        """Say which program is missing and what installs it."""
        return f"{self.program} is not installed or cannot be loaded: {self.log_tail}".rstrip()


class LabelError(ExternalProgramError):
    """A calculator could not give energy and forces of a frame."""


class ScfError(LabelError):
    """Self-consistency was not reached, with any fallback: trying again would not help."""


class LabelLimitError(LabelError):
    """A label took too long, or too many workers died with it: do not try again."""


class TrainingError(ExternalProgramError):
    """Training, freezing or evaluating a model failed."""


class ExplorationError(ExternalProgramError):
    """The MD engine failed for a reason that is not the physics of the run."""
