"""One MD run with an ensemble of models, in segments that survive a crash.

Each segment ends with a file that holds its frames and the whole state of the engine
(positions, velocities, image counts, box), written under a temporary name, synced and renamed.
After a crash the run goes on behind the last good segment. Two modes differ in how:

normal
    A living child runs on from segment to segment. After a crash, positions, velocities and
    box are set from the file; the thermostat's and barostat's own variables restart from zero.
reproducible
    Every segment starts from the file of the one before, set in the same way, in calm and in
    disturbed runs alike, so both give the same frames to the bit. The thermostat's memory is
    lost at every segment's start; keep segments much longer than its damping time. Holds for
    one thread on one machine.

A run that blows up is a result, not an error: it ends there with the frames before.
"""

from __future__ import annotations

import shutil
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dasksse.errors import ExplorationError, StoreError
from dasksse.explore.blow_up import (
    at_time,
    describe_halt,
    first_bad_frame,
    is_blow_up_message,
)
from dasksse.explore.deviation import parse_deviations
from dasksse.explore.lammps_client import (
    NAME,
    EngineSetup,
    LammpsClient,
    LammpsFailure,
    lammps_client,
)
from dasksse.explore.lammps_input import output_commands, start_commands
from dasksse.explore.md_spec import MdResult, MdSpec
from dasksse.explore.segments import (
    END_STATE,
    MdFrames,
    SegmentEnd,
    assemble_frames,
    parse_dump,
    parse_thermo,
    read_segment,
    read_state,
    write_arrays,
    write_segment,
)
from dasksse.explore.start_state import rotated_box, start_state
from dasksse.records import content_key, file_digest
from dasksse.store.folders import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from dasksse.records import Frames, Progress

__all__ = ["MdFrames", "MdResult", "MdSpec", "read_md", "read_md_segments", "run_md"]

_SPEC_FILE = "spec.json"
_START_FILE = "start.npz"
_REPEATED_FILE = "repeated_steps.json"


@dataclass(frozen=True)
class _Run:
    """A run and the folder it lives in."""

    spec: MdSpec
    numbers: NDArray[np.int64]
    volume_A3: float
    rotation: NDArray[np.float64]
    workdir: Path

    @property
    def raw(self) -> Path:
        """Folder of what the engine prints during a segment."""
        return self.workdir / "running"

    def bounds(self, index: int) -> tuple[int, int]:
        """First and last step of a segment."""
        first = index * self.spec.segment_steps
        return first, min(first + self.spec.segment_steps, self.spec.n_steps)

    def state_before(self, index: int) -> Path:
        """File with the state from which a segment starts."""
        return _segment_file(self.workdir, index - 1) if index else self.workdir / _START_FILE


def _segment_file(workdir: Path, index: int) -> Path:
    return workdir / f"segment-{index:05d}.npz"


def run_md(
    spec: MdSpec,
    start: Frames,
    *,
    workdir: Path,
    threads: int = 1,
    reproducible: bool = False,
    on_progress: Progress | None = None,
) -> MdResult:
    """Run MD to its end, or go on where an earlier call on the same folder was broken off.

    Parameters
    ----------
    spec
        What to run.
    start
        One configuration; unwrapped positions stay as they are.
    workdir
        Folder of this run alone; created when absent.
    threads
        Threads of the engine.
    reproducible
        Comparison mode, see the module's text.
    on_progress
        Told the steps done about once a second.

    Raises
    ------
    StructureError
        When ``start`` is not one frame, or has elements that are not in the type map.
    StoreError
        When the folder belongs to another run or cannot be written.
    ExplorationError
        When the engine crashed or hung; calling again goes on with a new child.
    ProgramMissingError
        When LAMMPS or the DeePMD plugin is not installed.
    """
    run = _open_run(spec, start, workdir.absolute())
    segments = _finished_segments(run)
    if not segments or not segments[-1].end:
        setup = EngineSetup(
            spec.models, spec.type_map, spec.frame_interval_steps, spec.zbl, threads
        )
        with lammps_client(setup) as client:
            goes_on = False
            while not segments or not segments[-1].end:
                segment = _run_segment(
                    run, client, len(segments), goes_on=goes_on, on_progress=on_progress
                )
                segments.append(segment)
                if on_progress is not None:
                    on_progress(segment.last_step)
                goes_on = not reproducible and client.pid is not None
    last = segments[-1]
    return MdResult(
        n_frames_planned=spec.n_frames_planned,
        n_frames=sum(segment.n_frames for segment in segments),
        end="complete" if last.end == "complete" else "blow-up",
        reason=last.reason,
        steps_done=last.last_step,
        steps_repeated=_steps_repeated(workdir),
    )


def read_md_segments(workdir: Path) -> Iterator[MdFrames]:
    """Frames of the finished segments of a run, one segment after the other.

    Parameters
    ----------
    workdir
        Folder that :func:`run_md` worked in.

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


def _open_run(spec: MdSpec, start: Frames, workdir: Path) -> _Run:
    """Check the start, then claim the folder and write the start state, or recognise them."""
    state = start_state(start, spec.type_map, temperature_K=spec.temperature_K, seed=spec.seed)
    key = _run_key(spec, start, workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    if not (workdir / _SPEC_FILE).exists():
        arrays = {END_STATE + name: array for name, array in state.items()}
        write_arrays(workdir / _START_FILE, arrays)
        write_json(workdir / _SPEC_FILE, {"key": key, "spec": spec.to_json()})
    elif read_json(workdir / _SPEC_FILE)["key"] != key:
        msg = (
            f"{workdir} holds another run (models, settings or start differ): use a new folder"
        )
        raise StoreError(msg)
    _, rotation = rotated_box(start.cells[0])
    return _Run(spec, start.numbers, float(start.volumes_A3[0]), rotation, workdir)


def _run_key(spec: MdSpec, start: Frames, workdir: Path) -> str:
    """Digest of what determines the run; models by content, so that run folders can move."""
    try:
        digests = tuple(file_digest(Path(model)) for model in spec.models)
    except OSError as error:
        msg = f"no model file {error.filename}"
        raise ExplorationError(NAME, -1, str(workdir), msg) from error
    named = replace(spec, models=digests).to_json()
    return content_key(named, start.numbers, start.positions, start.cells)


def _finished_segments(run: _Run) -> list[SegmentEnd]:
    """Good segments from the start on; a damaged one and all behind it are removed."""
    segments: list[SegmentEnd] = []
    while (path := _segment_file(run.workdir, len(segments))).exists():
        try:
            segments.append(read_segment(path)[0])
        except StoreError as error:
            warnings.warn(
                f"{error}; the run is redone from there", RuntimeWarning, stacklevel=3
            )
            break
    index = len(segments)
    while (path := _segment_file(run.workdir, index)).exists():
        first, last = run.bounds(index)
        _add_repeated_steps(run.workdir, last - first)
        path.unlink()
        index += 1
    return segments


def _steps_repeated(workdir: Path) -> int:
    path = workdir / _REPEATED_FILE
    return int(read_json(path)) if path.exists() else 0


def _add_repeated_steps(workdir: Path, steps: int) -> None:
    if steps:
        write_json(workdir / _REPEATED_FILE, _steps_repeated(workdir) + steps)


def _clear_raw(run: _Run, first: int) -> None:
    """Empty the raw folder; steps beyond ``first`` in its log were lost in a crash."""
    steps = parse_thermo(_text(run.raw / "segment.log")).keys()
    _add_repeated_steps(run.workdir, max(max(steps, default=0) - first, 0))
    shutil.rmtree(run.raw, ignore_errors=True)
    run.raw.mkdir()


def _run_segment(
    run: _Run, client: LammpsClient, index: int, *, goes_on: bool, on_progress: Progress | None
) -> SegmentEnd:
    """Run one segment, judge its frames, and write its file."""
    spec = run.spec
    first, last = run.bounds(index)
    _clear_raw(run, first)
    dump_file, log_file = run.raw / "segment.dump", run.raw / "segment.log"
    state_file = run.raw / "state.npz"
    commands = [] if goes_on else start_commands(spec, volume_A3=run.volume_A3)
    commands += output_commands(
        spec.frame_interval_steps, dump_file=dump_file, log_file=log_file
    )
    failure = ""
    facts: dict[str, Any] = {"step": last}
    try:
        facts = client.run(
            state_in=None if goes_on else run.state_before(index),
            commands=commands,
            steps=last - first,
            state_out=state_file,
            on_step=on_progress,
        )
    except LammpsFailure as error:
        if not is_blow_up_message(str(error)):
            raise ExplorationError(NAME, -1, str(run.workdir), str(error)) from error
        failure = str(error)
    n_atoms = len(run.numbers)
    rows = client.take_deviation_rows()
    frames = assemble_frames(
        parse_thermo(_text(log_file)),
        parse_dump(_text(dump_file), n_atoms),
        parse_deviations(rows, n_atoms) if len(spec.models) > 1 else None,
        n_atoms=n_atoms,
        rotation=run.rotation,
        wanted=lambda step: (
            (first < step <= last or step == index == 0)
            and step % spec.frame_interval_steps == 0
        ),
    )
    end = _judge(run, index, frames, facts, failure)
    state = {} if end.end else read_state(state_file)
    write_segment(_segment_file(run.workdir, index), end, frames.first(end.n_frames), state)
    shutil.rmtree(run.raw)
    return end


def _judge(
    run: _Run, index: int, frames: MdFrames, facts: dict[str, Any], failure: str
) -> SegmentEnd:
    """Tell how a segment ended: at its first bad frame, broken off, or as planned."""
    spec = run.spec
    first, last = run.bounds(index)
    n_frames = len(frames)
    if bad := first_bad_frame(frames, run.numbers, spec, run.volume_A3):
        n_good, reason = bad
        return SegmentEnd(int(frames.steps[n_good]), n_good, "blow-up", reason)
    if failure:
        step = int(frames.steps[-1]) if n_frames else first
        reason = f"{failure}, last frame {at_time(step, spec)}"
        return SegmentEnd(step, n_frames, "blow-up", reason)
    if facts["step"] < last:
        reason = describe_halt(facts, spec, run.volume_A3)
        return SegmentEnd(facts["step"], n_frames, "blow-up", reason)
    interval = spec.frame_interval_steps
    expected = last // interval - first // interval + (index == 0)
    if n_frames != expected:
        msg = f"steps {first} to {last} gave {n_frames} frames instead of {expected}"
        raise ExplorationError(NAME, 0, str(run.workdir), msg)
    return SegmentEnd(last, n_frames, "complete" if last == spec.n_steps else "")


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
