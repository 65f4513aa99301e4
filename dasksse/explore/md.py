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
import time
from typing import TYPE_CHECKING, Any

from dasksse.errors import ExplorationError, OutOfTimeError
from dasksse.explore.blow_up import (
    at_time,
    describe_halt,
    first_bad_frame,
    is_blow_up_message,
)
from dasksse.explore.deviation import parse_deviations
from dasksse.explore.lammps_client import LammpsClient, LammpsFailure, lammps_client
from dasksse.explore.lammps_input import output_commands, start_commands
from dasksse.explore.lammps_setup import NAME, EngineSetup
from dasksse.explore.md_run import MdRun, open_run, read_md, read_md_segments, text_of
from dasksse.explore.md_spec import MdResult, MdSpec
from dasksse.explore.segments import (
    MdFrames,
    SegmentEnd,
    assemble_frames,
    parse_dump,
    parse_thermo,
    read_state,
    write_segment,
)
from dasksse.records import Workplace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dasksse.records import Frames, Progress

__all__ = ["MdFrames", "MdResult", "MdSpec", "read_md", "read_md_segments", "run_md"]

FIRST_SEGMENT_S = 5.0
"""What a segment is taken to need at least [s]: before the first one nothing is known."""

TIME_MARGIN = 1.3
"""A segment is begun if so many times the longest one of this call fits in the time left."""


def run_md(
    spec: MdSpec,
    start: Frames,
    *,
    workdir: Path,
    workplace: Workplace | None = None,
    reproducible: bool = False,
    on_progress: Progress | None = None,
    end_state: Path | None = None,
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
    workplace
        Threads, command prefix and remaining time of the worker; one thread and no limit when
        None.
    reproducible
        Comparison mode, see the module's text.
    on_progress
        Told the steps done about once a second.
    end_state
        Go on from here, the end of a complete run with the same ``start``, instead: steps are
        counted on, and the frame it ended with is not written again.

    Raises
    ------
    StructureError
        When ``start`` is not one frame, or has elements that are not in the type map.
    StoreError
        When the folder belongs to another run or cannot be written.
    OutOfTimeError
        When the worker's time is over, between segments if possible; calling again goes on.
    ExplorationError
        When the engine crashed or hung; calling again goes on with a new child.
    ProgramMissingError
        When LAMMPS, the DeePMD plugin or the program of the prefix is not installed.
    """
    run = open_run(spec, start, workdir.absolute(), end_state=end_state)
    segments = run.finished_segments()
    if not segments or not segments[-1].end:
        segments += _run_segments(
            run,
            len(segments),
            workplace=workplace or Workplace(),
            reproducible=reproducible,
            on_progress=on_progress,
        )
    last = segments[-1]
    return MdResult(
        n_frames_planned=spec.n_frames(run.first_step, run.last_step),
        n_frames=sum(segment.n_frames for segment in segments),
        end="complete" if last.end == "complete" else "blow-up",
        reason=last.reason,
        steps_done=last.last_step,
        steps_repeated=run.steps_repeated,
    )


def _run_segments(
    run: MdRun,
    n_done: int,
    *,
    workplace: Workplace,
    reproducible: bool,
    on_progress: Progress | None,
) -> list[SegmentEnd]:
    """Run the segments that are left, as long as there is time for them."""
    spec = run.spec
    setup = EngineSetup(
        spec.models,
        spec.type_map,
        spec.frame_interval_steps,
        spec.zbl,
        workplace.threads,
        workplace.prefix,
    )
    segments: list[SegmentEnd] = []
    longest_s = FIRST_SEGMENT_S
    goes_on = False
    with lammps_client(setup) as client:
        while not segments or not segments[-1].end:
            workplace.check_time(TIME_MARGIN * longest_s)
            started = time.monotonic()
            index = n_done + len(segments)
            on_step = _step_watcher(run, index, workplace, on_progress)
            segment = _run_segment(
                run,
                client,
                index,
                goes_on=goes_on,
                hung_after_s=workplace.hung_after_s,
                on_step=on_step,
            )
            segments.append(segment)
            longest_s = max(longest_s, time.monotonic() - started)
            if on_progress is not None:
                on_progress(segment.last_step - run.first_step)
            goes_on = not reproducible and client.pid is not None
    return segments


def _step_watcher(
    run: MdRun, index: int, workplace: Workplace, on_progress: Progress | None
) -> Callable[[int], None]:
    """Pass on the steps of a segment until the worker's time is over."""
    first, _ = run.bounds(index)

    def on_step(step: int) -> None:
        if workplace.time_left_s() < 0:
            msg = (
                f"walltime is over at MD step {step}: the run goes on from step {first}; "
                "shorter segments would lose less"
            )
            raise OutOfTimeError(msg)
        if on_progress is not None:
            on_progress(step - run.first_step)

    return on_step


def _run_segment(
    run: MdRun,
    client: LammpsClient,
    index: int,
    *,
    goes_on: bool,
    hung_after_s: float,
    on_step: Callable[[int], None],
) -> SegmentEnd:
    """Run one segment, judge its frames, and write its file."""
    spec = run.spec
    first, last = run.bounds(index)
    run.clear_raw(first)
    dump_file, log_file = run.raw / "segment.dump", run.raw_log
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
            hung_after_s=hung_after_s,
            on_step=on_step,
        )
    except LammpsFailure as error:
        if not is_blow_up_message(str(error)):
            raise ExplorationError(NAME, -1, str(run.workdir), str(error)) from error
        failure = str(error)
    rows, n_atoms = client.take_deviation_rows(), len(run.numbers)
    frames = assemble_frames(
        parse_thermo(text_of(log_file)),
        parse_dump(text_of(dump_file), n_atoms),
        parse_deviations(rows, n_atoms) if len(spec.models) > 1 else None,
        n_atoms=n_atoms,
        rotation=run.rotation,
        wanted=lambda step: (
            (first < step <= last or step == 0) and step % spec.frame_interval_steps == 0
        ),
    )
    end = _judge(run, index, frames, facts, failure)
    state = {} if end.end == "blow-up" else read_state(state_file)
    write_segment(run.segment(index), end, frames.first(end.n_frames), state)
    shutil.rmtree(run.raw)
    return end


def _judge(
    run: MdRun, index: int, frames: MdFrames, facts: dict[str, Any], failure: str
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
    expected = spec.n_frames(first, last)
    if n_frames != expected:
        msg = f"steps {first} to {last} gave {n_frames} frames instead of {expected}"
        raise ExplorationError(NAME, 0, str(run.workdir), msg)
    return SegmentEnd(last, n_frames, "complete" if last == run.last_step else "")
