"""The same command on a finished run of some 500 units: how long until it is at its prompt."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from measure import TOY, Outcome, Row, local_engine, run_program, write_config
from run_times import unit_times

if TYPE_CHECKING:
    from measure import Options

N_FRAMES, QUICK_FRAMES = 480, 6
REPEATS = 3


def measure(options: Options) -> Outcome:
    """Do the toy run with one label per unit, then give the same command again and again."""
    config = options.workdir / "resume.yaml"
    run_dir = options.workdir / "run"
    changes = {
        "name": "resume",
        "start.n_frames": QUICK_FRAMES if options.is_quick else N_FRAMES,
        "label.batch_size": 1,
        "engine": local_engine(options.workers),
    }
    if options.is_quick:
        changes |= {
            "train.steps": 20,
            "explore.schedule.0.max_generations": 1,
            "train.steps_warm": 10,
            "production": None,
        }
    write_config(TOY, config, changes)
    options.say("the run itself")
    whole = run_program(config, run_dir, say=options.say)
    units = unit_times(run_dir)
    again = []
    for repeat in range(REPEATS):
        options.say(f"the same command again, {repeat + 1} of {REPEATS}")
        again.append(run_program(config, run_dir, say=options.say))
    options.say("plan only")
    plan = run_program(config, run_dir, say=options.say, arguments=("--dry-run",))
    if len(unit_times(run_dir)) != len(units):
        msg = "the finished run was worked on again"
        raise RuntimeError(msg)
    return Outcome(
        [
            Row(f"same command on {len(units)} finished units, median of {REPEATS}",
                median(clock.wall_s for clock in again), "s", at_most=5.0),
            Row("of it CPU", median(clock.cpu_s for clock in again), "s"),
            Row("of it start of Python and reading the configuration (--dry-run)",
                plan.wall_s, "s"),
            Row("finished units", len(units), "",
                at_least=None if options.is_quick else 500),
            Row("the run itself, once", whole.wall_s, "s"),
            Row("the run itself, all units on one worker after another",
                sum(unit.wall_s for unit in units), "s"),
        ],
        notes=[
            ("Toy preset with one frame per label unit; the time ends when the report is "
            "written and the command has ended."),
        ],
    )  # fmt: skip
