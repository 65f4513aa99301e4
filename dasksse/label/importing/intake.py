"""Bring labels of many files into a store: checked, each once, one system a composition.

Files are read one after the other; what was taken is written every few hundred frames. A store
that was being written when the import died is readable, and the same import goes on with it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from dasksse.errors import ConfigError, RunFolderError, StoreError
from dasksse.label.importing.compositions import Compositions
from dasksse.label.importing.discovery import LabelFile, find_labels
from dasksse.label.importing.labelled_frames import UNKNOWN_FUNCTIONAL, Reading
from dasksse.label.importing.plausibility import check_pressure, check_response
from dasksse.records import content_key
from dasksse.store.folders import FileLock, RunFolder
from dasksse.store.label_reader import stored_frames
from dasksse.store.labels import LabelBatch, append_labels
from dasksse.store.layout import STORE_NAME, open_store, require_group
from dasksse.store.sealing import drop_consolidated, is_sealed, seal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from dasksse.records import Labels

    Array = NDArray[np.float64]

FLUSH_FRAMES = 512
"""Frames held in memory before they are written."""
MIN_VOLUME_A3 = 1.0


@dataclass(frozen=True)
class Origin:
    """What the user says of the labels.

    Attributes
    ----------
    type_map
        Elements behind the types of DeePMD-kit data without ``type_map.raw``.
    functional
        Functional; None for what the files say.
    source
        Calculator, with what decides its energies; None for what the files say, or where they
        say nothing, the name of the folder or file.
    is_surrogate
        True when a model of DFT gave them.
    """

    type_map: tuple[str, ...] | None = None
    functional: str | None = None
    source: str | None = None
    is_surrogate: bool = False


@dataclass
class FileReport:
    """What became of one file or folder.

    Attributes
    ----------
    path, name, format
        Where it is, the same from the folder above the path that the user named, and name of
        its format.
    n_read, n_added, n_duplicates
        Frames in it, put into the store, and known before.
    left_out
        Number of frames by the reason why they were left out.
    notes
        What is missing from it or looks wrong.
    error
        Why nothing could be read from it; empty when something was.
    """

    path: Path
    name: str
    format: str
    n_read: int = 0
    n_added: int = 0
    n_duplicates: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    error: str = ""


@dataclass
class ImportReport:
    """What an import did.

    Attributes
    ----------
    files
        One entry for each file or folder with labels.
    warnings
        What looks wrong with the labels of a system as a whole.
    systems
        Frames in the store after the import, by system.
    functionals
        Frames in the store after the import, by functional.
    """

    files: list[FileReport] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    systems: Counter[str] = field(default_factory=Counter)
    functionals: Counter[str] = field(default_factory=Counter)

    @property
    def is_empty(self) -> bool:
        """Whether not one usable frame was found."""
        return not any(file.n_added or file.n_duplicates for file in self.files)


def import_labels(
    paths: Sequence[Path],
    store: Path,
    origin: Origin,
    *,
    on_file: Callable[[Path], None] = lambda _: None,
) -> ImportReport:
    """Read labels and put those that are not there yet into a store.

    Parameters
    ----------
    paths
        Files and folders, see :func:`~dasksse.label.importing.find_labels`.
    store
        Store to add to (``*.zarr``); made if it is not there. Not the store of a run.
    origin
        What is known of the labels.
    on_file
        Called with each file before it is read.

    Returns
    -------
    ImportReport
        What was read, taken and left out. Files that cannot be read stop nothing.

    Raises
    ------
    ConfigError
        When a path does not exist or has no known format, the store has no name for one, or
        elements of DeePMD-kit data are not known.
    RunFolderError
        When the store is that of a run, or another import writes to it.
    StoreError
        When the store cannot be read or written.
    """
    _require_own(store)
    store.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(store.with_name(f"{store.name}.lock"))
    if not lock.acquire():
        msg = f"another import writes to {store} ({lock.holder()}); wait for its end"
        raise RunFolderError(msg)
    try:
        was_sealed = is_sealed(store)
        drop_consolidated(store)  # it would hide what is added
        intake = _Intake(store, origin)
        for file in find_labels(paths):
            if file.path.resolve() != store.resolve():
                on_file(file.path)
                intake.take(file)
        report = intake.finish()
        if was_sealed:
            seal(store)
        return report
    finally:
        lock.path.unlink()
        lock.release()


def _require_own(store: Path) -> None:
    if store.suffix != ".zarr":
        msg = f"--store {store}: the name of a store ends in .zarr"
        raise ConfigError(msg)
    run = RunFolder(store.absolute().parent)
    if store.name == STORE_NAME and run.resolved_config.is_file():
        msg = (
            f"--store {store}: this is the store of a run, which its driver alone writes; give "
            "another one, and name that in start.label_stores of a new run"
        )
        raise RunFolderError(msg)


class _Intake:
    """One import."""

    def __init__(self, store: Path, origin: Origin) -> None:
        self._store = store
        self._origin = origin
        self._systems = Compositions(stored_frames(store) if store.is_dir() else {})
        self._waiting: dict[str, list[LabelBatch]] = defaultdict(list)
        self._origins: dict[str, dict[str, str]] = defaultdict(dict)
        self._pressures: dict[str, list[tuple[Array, Array]]] = defaultdict(list)
        self.report = ImportReport()

    def take(self, file: LabelFile) -> None:
        """Take in what a file holds; one that cannot be read is noted."""
        about, reading = _read(file, self._origin.type_map)
        self.report.files.append(about)
        for labels in reading.labels:
            self._take_labels(labels, file, about)
        waiting = sum(len(b.labels) for part in self._waiting.values() for b in part)
        if waiting >= FLUSH_FRAMES:
            self._flush()

    def finish(self) -> ImportReport:
        """Write what waits; give the report."""
        self._flush()
        for system, parts in self._pressures.items():
            volumes, traces = (np.concatenate(column) for column in zip(*parts, strict=True))
            self.report.warnings += [
                f"{system}: {text}" for text in check_pressure(volumes, traces)
            ]
        if self._store.is_dir():
            for system, (_, frames) in stored_frames(self._store).items():
                self.report.systems[system] += len(frames)
                self.report.functionals.update(functional for _, functional, _ in frames)
        return self.report

    def _take_labels(self, labels: Labels, file: LabelFile, about: FileReport) -> None:
        about.n_read += len(labels)
        named = _with_origin(labels, self._origin, file.root)
        reasons = _reasons(labels, self._origin)
        about.left_out.update(reason for reason in reasons if reason)
        good = named.take([i for i, reason in enumerate(reasons) if not reason])
        if not len(good):
            return
        about.notes += check_response(good)
        system, new, n_known = self._systems.add(good)
        about.n_added += len(new)
        about.n_duplicates += n_known
        if not len(new):
            return
        key = content_key("import", new.frames.content_keys(), new.functional, new.is_surrogate)
        self._waiting[system].append(LabelBatch(key, new, -1, "imported"))
        self._origins[system][key] = about.name
        has_virial = np.flatnonzero(new.has_virial)
        traces = np.trace(new.virials[has_virial], axis1=1, axis2=2)
        self._pressures[system].append((new.frames.volumes_A3[has_virial], traces))

    def _flush(self) -> None:
        for system, batches in self._waiting.items():
            root = open_store(self._store)
            root.attrs["title"] = "dasksse labels"
            group = require_group(root, f"labels/{system}")
            known = dict(group.attrs.get("origins", {}))
            group.attrs["origins"] = known | self._origins[system]
            append_labels(self._store, system, batches)
        self._waiting.clear()


def _read(file: LabelFile, type_map: Sequence[str] | None) -> tuple[FileReport, Reading]:
    """Read a file, or the other one of the same calculation when it cannot be read."""
    about = FileReport(file.path, file.name, file.format.title)
    try:
        reading = file.format.read(file.path, type_map)
    except StoreError as error:
        if file.second is None:
            about.error = str(error)
            return about, Reading(())
        about, reading = _read(file.second, type_map)
        about.notes.append(f"read instead of {file.path.name}: {error}")
        return about, reading
    about.notes += reading.notes
    return about, reading


def _with_origin(labels: Labels, origin: Origin, root: Path) -> Labels:
    return replace(
        labels,
        source=origin.source or labels.source or f"labels in {root.resolve().name}",
        functional=origin.functional or labels.functional,
        is_surrogate=origin.is_surrogate or labels.is_surrogate,
    )


def _reasons(labels: Labels, origin: Origin) -> list[str]:
    """Why each frame is left out; empty for a good one."""
    said, asked = labels.functional, origin.functional
    if asked is not None and said not in {asked, UNKNOWN_FUNCTIONAL}:
        return [f"its functional is {said}, and --functional says {asked}"] * len(labels)
    frames = labels.frames
    is_place = (
        np.isfinite(frames.positions).all(axis=(1, 2))
        & np.isfinite(frames.cells).all(axis=(1, 2))
        & (frames.volumes_A3 > MIN_VOLUME_A3)
    )
    reasons = labels.reasons or ("",) * len(labels)
    return [
        reason
        or (
            ""
            if is_good and is_placed
            else "energy, forces, positions or cell are not finite, or the cell has no volume"
        )
        for reason, is_good, is_placed in zip(reasons, labels.is_good, is_place, strict=True)
    ]
