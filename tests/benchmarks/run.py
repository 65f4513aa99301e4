"""Measure the speed claims of dasksse on this machine; print Markdown, write JSON.

    python tests/benchmarks/run.py [--only NAME ...] [--json FILE] [--quick]

Figures that count are ratios measured in one run. Nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import machine
from measure import ROOT, Options, Outcome, SkippedError
from table import markdown

if TYPE_CHECKING:
    from collections.abc import Mapping

BENCHMARKS = {
    "resident": "MD runs through the resident child against one process per run",
    "cp2k_resident": "labels by a resident cp2k_shell against one process per frame",
    "iteration": "one learning iteration at work equal to DP-GEN's",
    "efficiency": "how busy a finished run (--run-dir) kept its cores",
    "resume": "the same command on a finished run of some 500 units",
    "fan_out": "overhead per unit of work",
    "driver_scale": "thousands of units through the whole driver: time, memory, resume",
    "many_workers": "hundreds of workers: joining, memory, units per second",
    "msd": "mean-squared displacement and store",
    "descriptors": "steps of training and of MD by descriptor, four and six elements",
    "rivals": "mean-squared displacement against other packages",
    "store_size": "bytes per atom and frame against other formats",
}
"""Name of each benchmark, which is its module too, and what it measures."""

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def _arguments() -> argparse.Namespace:
    listed = "\n".join(f"  {name:<12}{text}" for name, text in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        description="Measure the speed claims of dasksse on this machine.",
        epilog=f"benchmarks:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        choices=BENCHMARKS,
        default=list(BENCHMARKS),
        help="benchmarks to run; all when absent",
    )
    parser.add_argument(
        "--json",
        type=Path,
        default=ROOT / "runs" / "benchmarks.json",
        help="file for the results (runs/benchmarks.json)",
    )
    parser.add_argument("--runs", type=int, help="MD runs of `resident` (40)")
    parser.add_argument(
        "--units", type=int, default=20_000, help="units of `driver_scale` (20000)"
    )
    parser.add_argument("--workers", type=int, default=2, help="workers of the runs (2)")
    parser.add_argument(
        "--run-dir",
        type=Path,
        default=ROOT / "runs" / "lgps-quickstart",
        help="finished run for `efficiency` (runs/lgps-quickstart)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: shows that it works, no more"
    )
    parser.add_argument(
        "--long", action="store_true", help="`msd` also of a trajectory ten times as long"
    )
    parser.add_argument(
        "--compare-python",
        default=sys.executable,
        help="Python that has the packages `rivals` compares with (this one)",
    )
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    arguments = parser.parse_args()
    if arguments.runs is None:
        arguments.runs = 2 if arguments.quick else 40
    if min(arguments.runs, arguments.workers, arguments.units) < 1:
        parser.error("--runs, --workers and --units must be at least 1")
    return arguments


def _say(text: str) -> None:
    """Progress goes to standard error, so that standard output is the table alone."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')}  {text}\n")
    sys.stderr.flush()


def _measure(
    name: str, arguments: argparse.Namespace, folder: Path
) -> tuple[Outcome | str, bool]:
    """Result of one benchmark, or why there is none; whether it went well."""
    folder.mkdir()
    options = Options(
        workdir=folder,
        workers=arguments.workers,
        runs=arguments.runs,
        is_quick=arguments.quick,
        run_dir=arguments.run_dir.absolute(),
        units=arguments.units,
        is_long=arguments.long,
        compare_python=arguments.compare_python,
        say=lambda text: _say(f"{name:<12}{text}"),
    )
    options.say(BENCHMARKS[name])
    started = time.monotonic()
    try:
        outcome: Outcome = importlib.import_module(name).measure(options)
    except SkippedError as reason:
        options.say(f"skipped: {reason}")
        return f"Skipped: {reason}", True
    except Exception as error:  # noqa: BLE001 - the other benchmarks are still worth having
        options.say(f"failed: {error}")
        return f"Failed: {type(error).__name__}: {error}", False
    options.say(f"done in {time.monotonic() - started:.0f} s")
    return outcome, True


def _to_json(facts: Mapping[str, Any], outcomes: Mapping[str, Outcome | str]) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for name, outcome in outcomes.items():
        if isinstance(outcome, str):
            results[name] = {"notes": [outcome]}
            continue
        results[name] = {
            "rows": [row.to_json() for row in outcome.rows],
            "breakdown": outcome.breakdown,
            "notes": outcome.notes,
        }
    return {"machine": dict(facts), "benchmarks": results}


def main() -> int:
    """Run the benchmarks; 0 when none of them failed, whatever the figures."""
    arguments = _arguments()
    for name in ONE_THREAD:
        os.environ[name] = "1"
    facts = machine.describe(len(os.sched_getaffinity(0)))
    facts["is_quick"] = arguments.quick
    root = Path(tempfile.mkdtemp(prefix="dasksse-benchmark-"))
    outcomes: dict[str, Outcome | str] = {}
    is_good = True
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    try:
        for name in dict.fromkeys(arguments.only):
            outcomes[name], went_well = _measure(name, arguments, root / name)
            is_good = is_good and went_well
            facts["load_after"] = machine.load_average()
            # after each one: a long measurement that is broken off loses only the rest
            arguments.json.write_text(json.dumps(_to_json(facts, outcomes), indent=1) + "\n")
    finally:
        if arguments.keep:
            _say(f"kept {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)
    sys.stdout.write(markdown(facts, outcomes))
    _say(f"written to {arguments.json}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
