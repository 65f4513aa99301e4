"""Parse the command line, run the command, turn errors into messages and exit codes."""

from __future__ import annotations

import argparse
import importlib
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from dasksse import __version__
from dasksse.errors import (
    ConfigError,
    DasksseError,
    FailureBudgetError,
    ProgramMissingError,
    RunFolderError,
    StructureError,
    TrajectoryError,
)
from dasksse.store.folders import DISK_FULL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_BUDGET = 3
EXIT_INTERRUPTED = 130

_BAD_INPUT = (
    ConfigError,
    StructureError,
    TrajectoryError,
    RunFolderError,
    ProgramMissingError,
)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="YAML file of the run")
    parser.add_argument("--dir", type=Path, help="run folder; runs/<name> when absent")
    parser.add_argument("--cluster", type=Path, help="YAML file {kind, settings} of an engine")
    parser.add_argument("--dry-run", action="store_true", help="print plan and estimate only")


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("preset", nargs="?", help="name of a preset")
    parser.add_argument("folder", nargs="?", type=Path, help="folder for config.yaml")
    parser.add_argument("--list", action="store_true", help="list the presets")


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="YAML file of the run")
    parser.add_argument("--cluster", type=Path, help="YAML file {kind, settings} of an engine")


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", nargs="?", type=Path, help="YAML file of a run")
    parser.add_argument("--cluster", type=Path, help="YAML file {kind, settings} of an engine")


def _add_status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--watch", action="store_true", help="live view, ended by q")
    parser.add_argument("--json", action="store_true", help="machine-readable")


def _add_retry(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument(
        "--failed", metavar="KIND", help="only units of this kind, such as label"
    )


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="run folder")


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help="frozen models")
    parser.add_argument("--data", required=True, type=Path, help="deepmd npy or extxyz data")
    parser.add_argument("--type-map", help="elements, such as Li,Ge,P,S, if the data has none")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")


def _add_import(parser: argparse.ArgumentParser) -> None:
    from dasksse.cli.import_command import add_arguments

    add_arguments(parser)


def _add_import_labels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="files or folders")
    parser.add_argument("--store", required=True, type=Path, help="store to add to, *.zarr")
    parser.add_argument("--type-map", help="elements, such as Li,Ge,P,S, if the data has none")
    parser.add_argument("--functional", help="functional of the labels, such as PBE")
    parser.add_argument(
        "--source",
        metavar="NAME",
        help="calculator with what decides its energies; as the files say when absent",
    )
    parser.add_argument(
        "--surrogate", action="store_true", help="a model of DFT gave them, not DFT itself"
    )
    parser.add_argument("--json", type=Path, help="write what became of each file to this file")


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("store", type=Path, help="store (*.zarr) or run folder")
    parser.add_argument("--json", type=Path, help="write the state of each run to this file")


def _add_diffusion(parser: argparse.ArgumentParser) -> None:
    from dasksse.cli.diffusion_command import add_arguments

    add_arguments(parser)


def _add_convergence(parser: argparse.ArgumentParser) -> None:
    from dasksse.cli.convergence_command import add_arguments

    add_arguments(parser)


def _add_arrhenius(parser: argparse.ArgumentParser) -> None:
    from dasksse.cli.arrhenius_command import add_arguments

    add_arguments(parser)


def _add_rdf(parser: argparse.ArgumentParser) -> None:
    from dasksse.cli.stored_runs import add_choice

    add_choice(parser)
    parser.add_argument("--pairs", help="such as Li-Li,Li-S,total; all when absent")
    parser.add_argument(
        "--r-max-A", type=float, help="longest distance; 8 Å or what the cell allows"
    )
    parser.add_argument("--bin-A", type=float, default=0.05, help="width of a bin")
    parser.add_argument(
        "--every", type=int, metavar="N", help="one of N frames; at most about 2000 when absent"
    )
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--plot", type=Path, help="draw g(r) into this file, *.png or *.svg")


def _add_density(parser: argparse.ArgumentParser) -> None:
    from dasksse.cli.stored_runs import add_choice

    add_choice(parser)
    parser.add_argument("--species", default="Li", help="mobile element")
    parser.add_argument("--spacing-A", type=float, default=0.2, help="between points of grid")
    parser.add_argument(
        "--supercell",
        default="1,1,1",
        metavar="A,B,C",
        help="fold into a cell this much smaller",
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="*.cube, or CHGCAR* or *.vasp; for VESTA"
    )


def _add_jumps(parser: argparse.ArgumentParser) -> None:
    from dasksse.cli.jumps_command import add_arguments

    add_arguments(parser)


def _add_van_hove(parser: argparse.ArgumentParser) -> None:
    from dasksse.cli.van_hove_command import add_arguments

    add_arguments(parser)


def _add_drill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kills", type=int, default=20, help="number of kills")
    parser.add_argument("--seed", type=int, default=0, help="equal seeds draw equal kills")
    parser.add_argument("--cluster", type=Path, help="YAML file {kind, settings} of an engine")
    parser.add_argument("--dir", type=Path, help="new folder; runs/drill when absent")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")


def _add_converge(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="YAML file of a run")
    parser.add_argument("--dir", type=Path, help="folder; runs/<name>-converge when absent")
    parser.add_argument("--cluster", type=Path, help="YAML file {kind, settings} of an engine")
    parser.add_argument("--system", help="system to rattle; the first one when absent")
    parser.add_argument("--frames", type=int, default=2, help="rattled copies, 2 or more")
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="SETTING[=V1,V2,...]",
        help="vary this setting, coarse values first; what the calculator declares when absent",
    )
    parser.add_argument(
        "--force-error-meV-A", type=float, default=3.0, help="allowed RMS error of forces"
    )
    parser.add_argument(
        "--energy-error-meV-atom",
        type=float,
        default=1.0,
        help="allowed error of energy differences between frames",
    )
    parser.add_argument(
        "--stress-error-GPa", type=float, default=0.1, help="allowed RMS error of the stress"
    )
    parser.add_argument("--write", action="store_true", help="write the picks into CONFIG")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")


def _add_relax(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, help="YAML file of a run")
    parser.add_argument("--dir", type=Path, help="folder; runs/<name>-relax when absent")
    parser.add_argument("--cluster", type=Path, help="YAML file {kind, settings} of an engine")
    parser.add_argument(
        "--system", action="append", default=[], help="system; all of them when absent"
    )
    parser.add_argument("--functional", default="", help="one or more, such as PBE,PBEsol")
    parser.add_argument(
        "--cell",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="relax the cell vectors too",
    )
    parser.add_argument("--optimiser", default="LBFGS", help="LBFGS, FIRE or BFGSLineSearch")
    parser.add_argument("--max-steps", type=int, default=200, help="most steps")
    parser.add_argument(
        "--max-force-eV-A", type=float, default=0.01, help="relaxed below this force"
    )
    parser.add_argument("--json", type=Path, help="write the numbers to this file")


def _add_study(parser: argparse.ArgumentParser) -> None:
    from dasksse.cli.study_command import add_arguments

    add_arguments(parser)


def _add_schema(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, help="file; standard output when absent")


_COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "run": ("start or continue a run", _add_run),
    "init": ("write a commented configuration from a preset", _add_init),
    "check": ("validate a configuration; print plan and estimate", _add_check),
    "doctor": ("prove that each outside part works", _add_doctor),
    "status": ("how far a run is", _add_status),
    "retry": ("give units that failed for good another chance", _add_retry),
    "report": ("write the report of a run", _add_report),
    "evaluate": ("errors of models on labelled data", _add_evaluate),
    "import": ("put trajectories of other programs into a store", _add_import),
    "import-labels": ("put labels that exist already into a store", _add_import_labels),
    "verify": ("check every run of a store against its checksum", _add_verify),
    "diffusion": ("D with its error, Haven ratio and conductivity", _add_diffusion),
    "convergence": ("whether runs are long and cells large enough", _add_convergence),
    "arrhenius": ("activation energy and extrapolated D from D(T)", _add_arrhenius),
    "rdf": ("g(r) and coordination numbers of pairs of elements", _add_rdf),
    "van-hove": ("how far the mobile ions have come after some time", _add_van_hove),
    "density": ("density of the mobile ions on a grid, for VESTA", _add_density),
    "jumps": ("sites of the mobile ions, and how they jump between them", _add_jumps),
    "drill": ("kill what can die in a toy run; prove that nothing is lost", _add_drill),
    "converge": ("settings of the calculator: how fine they must be", _add_converge),
    "relax": ("lattice parameters of relaxed crystals, by functional", _add_relax),
    "study": ("studies of the potential: accuracy, sizes, lengths, D(T) ...", _add_study),
    "schema": ("JSON schema of the configuration, for editors", _add_schema),
}
"""Command: help and arguments; each lives in ``dasksse.cli.<command>_command:command``, with
``_`` for ``-``."""


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Parser of all commands, with the arguments of the one that the words name.

    The arguments of some commands need modules that take a second to load.
    """
    asked = next((word for word in words if word in _COMMANDS), "")
    parser = argparse.ArgumentParser(
        prog="dasksse",
        description="From a crystal and one YAML file to a checked potential and D(T).",
    )
    parser.add_argument("--version", action="version", version=f"dasksse {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (summary, add_arguments) in _COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name == asked:
            add_arguments(command)
    return parser


def _answer(error: Exception) -> tuple[int, str] | None:
    """Exit code and message for an error that is expected to happen; None for a bug."""
    if isinstance(error, FailureBudgetError):
        return EXIT_BUDGET, f"stopped: {error}"
    if isinstance(error, _BAD_INPUT):
        return EXIT_BAD_INPUT, f"error: {error}"
    if isinstance(error, DasksseError):
        return EXIT_FAILED, f"error: {error}"
    is_full = isinstance(error, OSError) and error.errno in DISK_FULL
    if is_full or (isinstance(error, sqlite3.OperationalError) and "full" in str(error)):
        text = f"error: disk full ({error}); free space, then the same command continues"
        return EXIT_FAILED, text
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns
    -------
    int
        0 done, 1 failed, 2 bad input, 3 stopped by the failure budget, 130 interrupted.
    """
    words = sys.argv[1:] if argv is None else argv
    arguments = _parser(words).parse_args(words)
    module = importlib.import_module(
        f"dasksse.cli.{arguments.command.replace('-', '_')}_command"
    )
    errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        code: int = module.command(arguments)
    except KeyboardInterrupt:
        errors.print("interrupted; the same command continues")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return EXIT_FAILED
    except Exception as error:
        answer = _answer(error)
        if answer is None:
            raise
        errors.print(answer[1])
        return answer[0]
    return code
