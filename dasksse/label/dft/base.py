"""What all DFT engines do alike: a ladder of fallbacks, a time limit, dispersion, logs kept."""

from __future__ import annotations

import contextlib
import math
import shutil
import tempfile
import time
from abc import abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from dasksse.errors import LabelError, LabelLimitError, OutOfTimeError, ScfError
from dasksse.label.contract import Answer, LabelCalculator, Place
from dasksse.label.dft.dispersion import add_dispersion, check_dispersion
from dasksse.label.dft.settings import DISPERSION, DftSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ase import Atoms

    from dasksse.records import Workplace

SettingsT = TypeVar("SettingsT", bound=DftSettings)
AS_ASKED = "as-asked"


@dataclass(frozen=True)
class Rung(Generic[SettingsT]):
    """One attempt to reach self-consistency.

    Attributes
    ----------
    name
        Short name without spaces, of the folder and in the label.
    settings
        Settings of this attempt.
    """

    name: str
    settings: SettingsT


@dataclass(frozen=True)
class Job:
    """One calculation of an engine.

    Attributes
    ----------
    folder
        Existing folder, this calculation's own; what it holds when the calculation fails is
        kept for the user.
    workplace
        Threads, command prefix and patience.
    time_limit_s
        The calculation must be ended after so long [s]; infinite for no limit.
    virial
        The virial is wanted.
    reuse
        The wavefunction of an earlier configuration may be used to start from.
    """

    folder: Path
    workplace: Workplace
    time_limit_s: float
    virial: bool
    reuse: bool


class DftCalculator(LabelCalculator, Generic[SettingsT]):
    """A DFT engine.

    A subclass gives ``engine`` and ``version``, :meth:`compute`, and a :meth:`ladder` where it
    knows fallbacks.

    Parameters
    ----------
    settings
        Checked settings.

    Raises
    ------
    ProgramMissingError
        The functional has a dispersion correction whose package is not installed.
    """

    engine: str = ""
    """Name of the program, for the user."""

    def __init__(self, settings: SettingsT) -> None:
        check_dispersion(settings.functional)
        self.settings = settings
        self.functional = settings.functional
        self.is_surrogate = False
        self.gives_virial = True
        self.source = self.describe()

    @abstractmethod
    def describe(self) -> str:
        """Program, version, and the settings that change energies (cut-off, basis, k-mesh)."""

    @abstractmethod
    def compute(self, atoms: Atoms, settings: SettingsT, job: Job) -> Answer:
        """Do one calculation, without dispersion.

        Parameters
        ----------
        atoms
            Periodic configuration.
        settings
            Settings of this rung of the ladder.
        job
            Where and how.

        Raises
        ------
        ScfError
            When self-consistency was not reached; the next rung is tried.
        LabelLimitError
            At the time limit.
        LabelError
            When anything else went wrong: a crash, a hung program.
        """

    def ladder(self) -> Sequence[Rung[SettingsT]]:
        """Attempts in order, the settings as asked first."""
        return [Rung(AS_ASKED, self.settings)]

    def single_point(self, atoms: Atoms, place: Place, *, virial: bool = True) -> Answer:
        """Climb the ladder until self-consistency is reached."""
        end = time.monotonic() + (self.settings.time_limit_s or math.inf)
        rungs = self.ladder() if self.settings.fallbacks else self.ladder()[:1]
        failure: ScfError | None = None
        with _folder(place) as root:
            for rung in rungs:
                folder = root / rung.name
                folder.mkdir(exist_ok=True)
                left_s = end - time.monotonic()
                if left_s <= 0.0:
                    raise self._too_long(folder, failure)
                job = Job(
                    folder,
                    place.workplace,
                    min(left_s, place.workplace.time_left_s()),
                    virial and self.gives_virial,
                    reuse=not place.reproducible and rung is rungs[0],
                )
                try:
                    answer = self.compute(atoms.copy(), rung.settings, job)
                except ScfError as error:
                    failure = error
                    self.forget()
                    continue
                except LabelError as error:
                    if time.monotonic() < end:
                        raise
                    raise self._too_long(folder, failure) from error
                name = "" if rung is rungs[0] else rung.name
                return self._with_dispersion(atoms, replace(answer, fallback=name))
        tried = ", ".join(rung.name for rung in rungs)
        tail = f"not self-consistent, tried {tried}\n{failure.log_tail if failure else ''}"
        raise ScfError(self.engine, 1, str(root), tail) from failure

    def _too_long(self, folder: Path, failure: ScfError | None) -> LabelLimitError:
        limit_s = self.settings.time_limit_s or math.inf
        text = f"one label took longer than {limit_s:g} s, its time_limit_s"
        if failure is not None:
            text += f"; {failure.log_tail}"
        return LabelLimitError(self.engine, 1, str(folder), text)

    def _with_dispersion(self, atoms: Atoms, answer: Answer) -> Answer:
        if not self.functional.endswith(DISPERSION):
            return answer
        return add_dispersion(atoms, answer, self.functional.removesuffix(DISPERSION))


def out_of_time(job: Job, what: str) -> Exception:
    """Error of a calculation that was ended at its time limit.

    The walltime of the worker costs the label nothing: it is computed elsewhere. Its own limit
    is a failure.
    """
    if job.workplace.time_left_s() <= 0.0:
        return OutOfTimeError(f"the worker's walltime ended during {what}")
    return LabelLimitError(what, 1, str(job.folder), f"longer than {job.time_limit_s:.0f} s")


@contextlib.contextmanager
def _folder(place: Place) -> Iterator[Path]:
    """Folder for the attempts; a temporary one, kept on failure, where the place names none."""
    if place.workdir is not None:
        yield place.workdir
        return
    folder = Path(tempfile.mkdtemp(prefix="dasksse-label-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
