"""Labels from frozen models of DeePMD-kit, such as an ensemble that teaches other ones."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from dasksse.config.schema import Section
from dasksse.errors import ConfigError, ExternalProgramError, LabelError, ProgramMissingError
from dasksse.label.contract import Answer, CalculatorKind, LabelCalculator
from dasksse.process import INSTALL_ENGINES, NOT_FOUND, ResidentChild, search_path
from dasksse.records import content_key, file_digest
from dasksse.scratch import ScratchFolder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ase import Atoms

    from dasksse.label.contract import Place
    from dasksse.records import Json

NAME = "DeePMD-kit"
_KEY = "label.calculator.settings.models"
_DIGEST_LENGTH = 8
# -P: modules beside the child's file must not shadow those of DeePMD-kit.
COMMAND = (sys.executable, "-P", str(Path(__file__).with_name("deepmd_child.py")))

_LAUNCHER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="deepmd-launcher")
"""The parent-death signal follows the thread that starts a child, and worker threads come and
go: this one lives as long as the process."""


def child_environment(threads: int) -> dict[str, str]:
    """Environment of a DeePMD-kit process: the caller's, with so many threads and less noise.

    Parameters
    ----------
    threads
        Threads inside one operation and between operations, at least 1.
    """
    count = str(threads)
    return os.environ | {
        "PATH": search_path(os.environ),
        "OMP_NUM_THREADS": count,
        "DP_INTRA_OP_PARALLELISM_THREADS": count,
        "DP_INTER_OP_PARALLELISM_THREADS": count,
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


class DeepmdSettings(Section):
    """Frozen models of DeePMD-kit: a teacher, not DFT."""

    models: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        min_length=1,
        description="Frozen models, relative to the config file; a label is their mean.",
    )
    functional: str = Field(
        default="unknown", description="Functional of the labels that they learned from."
    )


class DeepmdCalculator(LabelCalculator):
    """Mean over frozen models, which one child process keeps loaded.

    Parameters
    ----------
    settings
        Models, as paths that can be opened from here, and the functional to state.

    Raises
    ------
    ConfigError
        A model is not there.
    ProgramMissingError
        DeePMD-kit is not installed.
    """

    is_surrogate = True
    gives_virial = True

    def __init__(self, settings: DeepmdSettings) -> None:
        if find_spec("deepmd") is None:
            raise ProgramMissingError(NAME, NOT_FOUND, "", INSTALL_ENGINES)
        for name in settings.models:
            if not Path(name).is_file():
                msg = f"{_KEY}: no such file: {name}"
                raise ConfigError(msg)
        self.functional = settings.functional
        self.source = _source([file_digest(Path(name)) for name in settings.models])
        self._models = [str(Path(name).resolve()) for name in settings.models]
        self._child: _Child | None = None
        self._lock = threading.RLock()

    def single_point(self, atoms: Atoms, place: Place, *, virial: bool = True) -> Answer:
        """Ask the child; it is started, and loads the models, where there is none.

        Raises
        ------
        ConfigError
            The models do not know an element.
        ProgramMissingError
            A backend of DeePMD-kit cannot be loaded.
        LabelError
            The child failed, died, or was silent for too long.
        """
        message = {
            "symbols": atoms.get_chemical_symbols(),
            "positions": atoms.positions.tolist(),
            "cell": atoms.cell.tolist(),
        }
        with self._lock:
            child = self._child_with(place.workplace.threads)
            try:
                *_, reply = child.process.request(
                    message, silence_s=place.workplace.hung_after_s
                )
            except ExternalProgramError as error:
                self.forget()
                where = str(place.workdir or "")
                raise LabelError(NAME, error.returncode, where, error.log_tail) from error
            except BaseException:
                self.forget()  # an interrupted request leaves an answer in the pipe
                raise
        if "failure" in reply:
            raise _error(reply, str(place.workdir or ""))
        asked = np.array(reply["virial"]) if virial else None
        return Answer(reply["energy"], np.array(reply["forces"]), asked)

    def forget(self) -> None:
        """End the child."""
        with self._lock:
            if self._child is not None:
                self._child.close()
                self._child = None

    def _child_with(self, threads: int) -> _Child:
        child = self._child
        if child is None or not child.process.is_alive or child.threads != threads:
            self.forget()
            child = self._child = _Child(self._models, threads)
        return child


class _Child:
    """DeePMD-kit's process with its folder; it ends with this object at the latest."""

    def __init__(self, models: Sequence[str], threads: int) -> None:
        self.threads = threads
        folder = ScratchFolder("deepmd")
        self.process = _LAUNCHER.submit(
            ResidentChild,
            [*COMMAND, *models],
            name=NAME,
            workdir=folder.path,
            env=child_environment(threads),
        ).result()
        self.close = weakref.finalize(self, _end, self.process, folder)


def _end(process: ResidentChild, folder: ScratchFolder) -> None:
    process.close()
    folder.close()


def _source(digests: Sequence[str]) -> str:
    """Name of the models by their content: equal names, equal labels."""
    one = len(digests) == 1
    digest = digests[0] if one else content_key(sorted(digests))
    what = "model" if one else f"mean of {len(digests)} models"
    version = importlib.metadata.version("deepmd-kit")
    return f"{NAME} {what} {digest[:_DIGEST_LENGTH]} (deepmd-kit {version})"


def _error(reply: Mapping[str, Json], workdir: str) -> Exception:
    """Error that a reply of the child tells of."""
    failure, text = reply["failure"], reply["text"]
    if failure == "elements":
        return ConfigError(f"{_KEY}: {text}; give models of all elements of the run")
    if failure == "missing":
        return ProgramMissingError(NAME, NOT_FOUND, workdir, f"{text}\n{INSTALL_ENGINES}")
    return LabelError(NAME, 1, workdir, text)


def _missing(settings: DeepmdSettings, _elements: tuple[str, ...]) -> list[str]:
    """DeePMD-kit or models that are not here."""
    texts = [] if find_spec("deepmd") else [f"{NAME}: {INSTALL_ENGINES}"]
    return texts + [
        f"{_KEY}: no such file: {name}" for name in settings.models if not Path(name).is_file()
    ]


def _seconds(settings: Any, n_atoms: int) -> float:  # noqa: ANN401 - the registry's signature
    return 1e-3 * n_atoms * len(settings.models)


DEEPMD = {
    "deepmd": CalculatorKind(
        DeepmdSettings,
        DeepmdCalculator,
        "frozen models of DeePMD-kit, your own: one ensemble teaches another",
        _seconds,
        batch_size=16,
        commands=lambda settings: [[*COMMAND, *settings.models]],
        needs=_missing,
        files="models",
    ),
}
