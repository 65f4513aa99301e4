"""Bring trajectories of other programs into a store, or into memory."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.errors import ConfigError, RunFolderError, StoreError
from dasksse.intake.formats import require_file
from dasksse.intake.run import RunReader
from dasksse.intake.selection import ALL_FRAMES, Selection
from dasksse.intake.source import NO_HINTS, Hints
from dasksse.intake.species import formula_of
from dasksse.records import MemoryTrajectory, content_key, file_digest
from dasksse.store.layout import DEFAULT_PRECISION_A, IMPORTED_SCALARS
from dasksse.store.stored_trajectory import run_attributes
from dasksse.store.trajectory_writer import TrajectoryWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dasksse.records import Json

    OnProgress = Callable[["RunReader", Sequence[Path]], None]

GROUP = "production"
"""Trajectories of each system are in a group below this one of the store."""


@dataclass(frozen=True)
class RunReport:
    """What became of one run.

    Attributes
    ----------
    files, format
        Its files, and the formats of these.
    group, run
        Group in the store, and number of the run there.
    is_known
        True when it was there already: nothing was done, and the rest is empty.
    n_read, n_frames, n_atoms
        Frames read and not left out, frames stored, atoms.
    formula
        Formula of all atoms.
    frame_interval_ps
        Time between stored frames [ps].
    temperature_K, mean_temperature_K
        Temperature said, and mean of those measured in the frames [K]; None where there are
        none.
    pressure_GPa
        Target pressure said [GPa]; None where there is none.
    is_npt
        Whether the cell varies.
    scalars
        Numbers of each frame that were stored: ``temperature``, ``pressure``, ``energy``.
    state, unwrapping
        How positions were in the files, *unwrapped*, *wrapped*, *continuous* or *no crossing*,
        and what was done.
    longest_step_A, longest_step_share
        Longest step of nearest images [Å], and the same in smallest widths of the cell.
    notes
        What was corrected, left out or looks odd.
    n_bytes, seconds
        Size of the files [bytes], and time taken [s].
    """

    files: tuple[str, ...]
    group: str
    run: int
    is_known: bool = False
    format: str = ""
    n_read: int = 0
    n_frames: int = 0
    n_atoms: int = 0
    formula: str = ""
    frame_interval_ps: float | None = None
    temperature_K: float | None = None
    mean_temperature_K: float | None = None
    pressure_GPa: float | None = None
    is_npt: bool = False
    scalars: tuple[str, ...] = ()
    state: str = ""
    unwrapping: str = ""
    longest_step_A: float = 0.0
    longest_step_share: float = 0.0
    notes: tuple[str, ...] = ()
    n_bytes: int = 0
    seconds: float = 0.0


def import_trajectories(
    paths: Sequence[Path],
    store: Path,
    *,
    hints: Hints = NO_HINTS,
    selection: Selection = ALL_FRAMES,
    system: str | None = None,
    join: bool = False,
    precision_A: float = DEFAULT_PRECISION_A,
    on_progress: OnProgress = lambda _reader, _paths: None,
) -> list[RunReport]:
    """Read trajectories, check and unwrap them, and add each as a run to a store.

    Parameters
    ----------
    paths
        Files, each a run.
    store
        Store to add to (``*.zarr``); made if it is not there. Not the store of a run.
    hints
        What is known of the files.
    selection
        Frames that are wanted of each run.
    system
        Name of the system, which is that of the group in the store; its formula when None.
    join
        Whether the files are parts of one run, in the order of time. A frame that is repeated
        where two parts meet is left out.
    precision_A
        Positions are rounded to multiples of this [Å]; 0 keeps them as they are.
    on_progress
        Called with the reader and the files of a run after every piece.

    Returns
    -------
    list[RunReport]
        What was read and done, by run. Files that are in the store already with the same
        settings are left alone.

    Raises
    ------
    ConfigError
        When a file does not exist or has no known format, parts of one run are the same, or
        the store cannot take such runs.
    TrajectoryError
        When a file cannot be used as it is. Of its run nothing is left in the store; runs
        before it are in the store.
    RunFolderError
        When the store is that of a run, or another import writes to it.
    StoreError
        When the store cannot be read or written.
    """
    runs = [list(paths)] if join else [[path] for path in paths]
    for path in paths:
        require_file(path)
    reports = []
    for files in runs:
        started = time.monotonic()
        reader = RunReader(files, hints, selection)
        group = f"{GROUP}/{system or formula_of(reader.numbers)}"
        key = content_key(_digests(files), _said(hints), selection, precision_A)
        known = _known_runs(store, group)
        if key in known:
            names = tuple(path.name for path in files)
            reports.append(RunReport(names, group, known.index(key), is_known=True))
            continue
        with ExitStack() as stack:
            writer = _enter(stack, reader, store, group, precision_A)
            for positions, cells, scalars in reader.frames():
                writer.add(positions, cells, _columns(scalars, writer, len(cells)))
                on_progress(reader, files)
            report = _report(reader, writer, group, len(known), started)
            writer.annotate({"key": key, **_remembered(report)})
        reports.append(report)
    return reports


def read_trajectory(
    path: Path, *more: Path, hints: Hints = NO_HINTS, selection: Selection = ALL_FRAMES
) -> MemoryTrajectory:
    """Read one run that fits into memory; errors and checks are those of an import.

    Parameters
    ----------
    path, more
        Its files, in the order of time.
    hints
        What is known of them.
    selection
        Frames that are wanted.

    Returns
    -------
    MemoryTrajectory
        Unwrapped positions in the order of the file, of a LAMMPS dump in the order of ids.
    """
    reader = RunReader([path, *more], hints, selection)
    positions, cells, _ = zip(*reader.frames(), strict=True)
    all_cells = np.concatenate(cells)
    return MemoryTrajectory(
        reader.numbers,
        np.concatenate(positions),
        all_cells if reader.is_npt else all_cells[0],
        reader.interval_ps,
        temperature_K=reader.temperature_K,
        name=str(path),
    )


def _enter(
    stack: ExitStack, reader: RunReader, store: Path, group: str, precision_A: float
) -> TrajectoryWriter:
    """A writer for the run; what the store refuses is a matter of how it was called."""
    try:
        return stack.enter_context(
            TrajectoryWriter(
                store,
                group=group,
                numbers=reader.numbers,
                frame_interval_ps=reader.interval_ps,
                temperature_K=reader.temperature_K,
                pressure_GPa=reader.pressure_GPa,
                precision_A=precision_A,
            )
        )
    except RunFolderError:
        raise
    except StoreError as error:
        raise _refused(error) from error


def _columns(
    scalars: Mapping[str, NDArray[np.float64]], writer: TrajectoryWriter, n_frames: int
) -> dict[str, NDArray[np.float64]]:
    """Numbers of each frame that the group has, or as its first run will have."""
    unknown = np.full(n_frames, np.nan)
    names = IMPORTED_SCALARS if writer.scalar_names is None else writer.scalar_names
    return {name: scalars.get(name, unknown) for name in names}


def _said(hints: Hints) -> dict[str, Json]:
    """Hints as part of a key; runs that came in before there was a pressure keep theirs."""
    said = asdict(hints)
    if hints.pressure_GPa is None:
        del said["pressure_GPa"]
    return said


def _known_runs(store: Path, group: str) -> list[str]:
    """Key of each run that is in a group of a store."""
    try:
        return [str(run.get("key", "")) for run in run_attributes(store, group)]
    except StoreError as error:
        raise _refused(error) from error


def _refused(error: StoreError) -> ConfigError:
    advice = "; --system NAME names the group" if "group" in str(error) else ""
    return ConfigError(f"--store: {error}{advice}")


def _digests(files: Sequence[Path]) -> list[str]:
    """What tells the parts of a run apart, which must differ."""
    digests: dict[str, Path] = {}
    for path in files:
        digest = file_digest(path)
        if digest in digests:
            same = digests[digest]
            msg = f"{path}: given twice, it is the same as {same}; --join takes each part once"
            raise ConfigError(msg)
        digests[digest] = path
    return list(digests)


def _report(
    reader: RunReader, writer: TrajectoryWriter, group: str, run: int, started: float
) -> RunReport:
    state, unwrapping = reader.unwrapping()
    sources = reader.sources
    many = len(sources) > 1
    notes = [f"{s.path.name}: {note}" if many else note for s in sources for note in s.notes]
    if writer.left_behind:
        notes.append("an import into this store was interrupted; this one began anew")
    if len(set(reader.numbers.tolist())) == 1:
        notes.append(
            "all atoms are one element: there is no framework to which its motion could refer, "
            "so that drift of all atoms counts as diffusion"
        )
    stored = [name for name in reader.scalar_names if name in (writer.scalar_names or ())]
    if left_out := [name for name in reader.scalar_names if name not in stored]:
        notes.append(
            f"{', '.join(left_out)} of each frame left out: the runs of {group} were imported "
            "without by an earlier version; --system NAME begins a group that has them"
        )
    return RunReport(
        files=tuple(source.path.name for source in sources),
        group=group,
        run=run,
        format=", ".join(dict.fromkeys(source.title for source in sources)),
        n_read=reader.n_read,
        n_frames=reader.n_frames,
        n_atoms=len(reader.numbers),
        formula=formula_of(reader.numbers),
        frame_interval_ps=reader.interval_ps,
        temperature_K=reader.temperature_K,
        mean_temperature_K=reader.mean_temperature_K,
        pressure_GPa=reader.pressure_GPa,
        is_npt=reader.is_npt,
        scalars=tuple(stored),
        state=state,
        unwrapping=unwrapping,
        longest_step_A=reader.longest_step.length_A,
        longest_step_share=reader.longest_step.share,
        notes=tuple(dict.fromkeys(notes + reader.notes)),
        n_bytes=sum(source.path.stat().st_size for source in sources),
        seconds=time.monotonic() - started,
    )


def _remembered(report: RunReport) -> dict[str, Json]:
    """What the store says of a run."""
    return {
        "files": list(report.files),
        "format": report.format,
        "is_npt": report.is_npt,
        "mean_temperature_K": report.mean_temperature_K,
        "unwrapping": report.unwrapping,
        "longest_step_A": report.longest_step_A,
        "notes": list(report.notes),
    }
