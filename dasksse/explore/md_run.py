"""The folder of one MD run: what it belongs to, its finished segments, lost steps."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dasksse.errors import ExplorationError, StoreError
from dasksse.explore.lammps_setup import NAME
from dasksse.explore.segments import (
    END_STATE,
    UNREADABLE,
    MdFrames,
    SegmentEnd,
    parse_thermo,
    read_segment,
    read_state,
    write_arrays,
)
from dasksse.explore.start_state import rotated_box, start_state
from dasksse.records import content_key, file_digest
from dasksse.store.folders import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from dasksse.explore.md_spec import MdSpec
    from dasksse.records import Frames

_SPEC_FILE = "spec.json"
_START_FILE = "start.npz"
_SEGMENT = "segment-{}.npz"
_REPEATED_FILE = "repeated_steps.json"


@dataclass(frozen=True)
class MdRun:
    """A run and the folder it lives in."""

    spec: MdSpec
    numbers: NDArray[np.int64]
    volume_A3: float
    rotation: NDArray[np.float64]
    workdir: Path
    first_step: int = 0

    @property
    def last_step(self) -> int:
        """Step at which the run is complete."""
        return self.first_step + self.spec.n_steps

    def segment(self, index: int) -> Path:
        """File of a finished segment."""
        return _segment_file(self.workdir, index)

    @property
    def raw(self) -> Path:
        """Folder of what the engine prints during a segment."""
        return self.workdir / "running"

    @property
    def raw_log(self) -> Path:
        """Thermodynamic rows of the running segment."""
        return self.raw / "segment.log"

    def bounds(self, index: int) -> tuple[int, int]:
        """First and last step of a segment."""
        first = self.first_step + index * self.spec.segment_steps
        return first, min(first + self.spec.segment_steps, self.last_step)

    def state_before(self, index: int) -> Path:
        """File with the state from which a segment starts."""
        return self.segment(index - 1) if index else self.workdir / _START_FILE

    def finished_segments(self) -> list[SegmentEnd]:
        """Good segments from the start on; a damaged one and all behind it are removed."""
        segments: list[SegmentEnd] = []
        while (path := self.segment(len(segments))).exists():
            try:
                segments.append(read_segment(path)[0])
            except StoreError as error:
                warnings.warn(
                    f"{error}; the run is redone from there", RuntimeWarning, stacklevel=3
                )
                break
        index = len(segments)
        while (path := self.segment(index)).exists():
            first, last = self.bounds(index)
            self._add_repeated_steps(last - first)
            path.unlink()
            index += 1
        return segments

    def clear_raw(self, first: int) -> None:
        """Empty the raw folder; steps beyond ``first`` in its log were lost in a crash."""
        steps = parse_thermo(text_of(self.raw_log)).keys()
        self._add_repeated_steps(max(max(steps, default=0) - first, 0))
        shutil.rmtree(self.raw, ignore_errors=True)
        self.raw.mkdir()

    @property
    def steps_repeated(self) -> int:
        """Steps done more than once, lost in crashes."""
        path = self.workdir / _REPEATED_FILE
        return int(read_json(path)) if path.exists() else 0

    def _add_repeated_steps(self, steps: int) -> None:
        if steps:
            write_json(self.workdir / _REPEATED_FILE, self.steps_repeated + steps)


def _segment_file(workdir: Path, index: int) -> Path:
    return workdir / _SEGMENT.format(f"{index:05d}")


def text_of(path: Path) -> str:
    """Text of a file; empty when there is none."""
    return path.read_text(errors="replace") if path.exists() else ""


def open_run(
    spec: MdSpec, start: Frames, workdir: Path, *, end_state: Path | None = None
) -> MdRun:
    """Check the start, then claim the folder and write the start state, or recognise them.

    Parameters
    ----------
    spec, start, workdir
        As for :func:`dasksse.explore.md.run_md`.
    end_state
        State to go on from, as :func:`keep_end_state` left it; from ``start`` when None.
    """
    state = start_state(start, spec.type_map, temperature_K=spec.temperature_K, seed=spec.seed)
    arrays = {END_STATE + name: array for name, array in state.items()}
    if end_state is not None:
        arrays = _read_end_state(end_state)
    key = _run_key(spec, start, workdir, end_state)
    workdir.mkdir(parents=True, exist_ok=True)
    if not (workdir / _SPEC_FILE).exists():
        write_arrays(workdir / _START_FILE, arrays)
        write_json(workdir / _SPEC_FILE, {"key": key, "spec": spec.to_json()})
    elif read_json(workdir / _SPEC_FILE)["key"] != key:
        msg = (
            f"{workdir} holds another run (models, settings or start differ): use a new folder"
        )
        raise StoreError(msg)
    _, rotation = rotated_box(start.cells[0])
    first_step = int(arrays[END_STATE + "step"])
    return MdRun(spec, start.numbers, float(start.volumes_A3[0]), rotation, workdir, first_step)


def keep_end_state(workdir: Path, target: Path) -> bool:
    """Copy the engine's state at the end of a complete run, from which it can be continued.

    Returns
    -------
    bool
        False when the run has none: it blew up.
    """
    last = max(workdir.glob(_SEGMENT.format("*")), default=None)
    state = {} if last is None else read_state(last)
    if state:
        write_arrays(target, state)
    return bool(state)


def _read_end_state(path: Path) -> dict[str, NDArray[Any]]:
    """Arrays that :func:`keep_end_state` wrote.

    Raises
    ------
    StoreError
        When the file is missing or damaged.
    """
    try:
        return read_state(path)
    except UNREADABLE as error:
        msg = f"{path}: the end of the run to be continued cannot be read ({error})"
        raise StoreError(msg) from error


def _run_key(spec: MdSpec, start: Frames, workdir: Path, end_state: Path | None) -> str:
    """Digest of what determines the run; models by content, so that run folders can move."""
    try:
        digests = tuple(file_digest(Path(model)) for model in spec.models)
    except OSError as error:
        msg = f"no model file {error.filename}"
        raise ExplorationError(NAME, -1, str(workdir), msg) from error
    named = replace(spec, models=digests).to_json()
    before = [] if end_state is None else [file_digest(end_state)]
    return content_key(named, start.numbers, start.positions, start.cells, *before)


def read_md_segments(workdir: Path) -> Iterator[MdFrames]:
    """Frames of the finished segments of a run, one segment after the other.

    Parameters
    ----------
    workdir
        Folder that :func:`dasksse.explore.md.run_md` worked in.

    Raises
    ------
    StoreError
        When there is no finished segment, or one is damaged.
    """
    index = 0
    while (path := _segment_file(workdir, index)).exists():
        yield read_segment(path)[1]
        index += 1
    if index == 0:
        msg = f"no finished MD segment in {workdir}"
        raise StoreError(msg)


def read_md(workdir: Path) -> MdFrames:
    """Frames of all finished segments of a run, joined.

    Parameters and errors as :func:`read_md_segments`, which needs less memory for long runs.
    """
    return MdFrames.join(list(read_md_segments(workdir)))
