"""Labels by a resident cp2k_shell that keeps the wavefunction against one process a frame."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.spacegroup import crystal
from measure import Clock, Outcome, Row, SkippedError, clocked

from dasksse.config.schema import RegistrySection
from dasksse.label import Place, load_calculator
from dasksse.label.dft.cp2k_shell import close_shell
from dasksse.structures import start_set

if TYPE_CHECKING:
    from measure import Options

    from dasksse.label import Answer

N_FRAMES, QUICK_FRAMES = 6, 2
SETTINGS: dict[str, Any] = {"kspacing_per_A": None}
QUICK_SETTINGS = SETTINGS | {"basis": "SZV", "cutoff_Ry": 80.0, "rel_cutoff_Ry": 30.0}
WAYS = {
    "resident": ("shell", False),
    "resident, from scratch": ("shell", True),
    "process": ("file", True),
}
"""Mode of the engine, and whether nothing is reused."""


def measure(options: Options) -> Outcome:
    """Label the same frames in each way.

    Raises
    ------
    SkippedError
        CP2K is not installed.
    """
    if shutil.which("cp2k.psmp") is None:
        msg = "no cp2k.psmp in PATH; apt-get install cp2k cp2k-data"
        raise SkippedError(msg)
    frames = _frames(options)
    clocks = {way: Clock() for way in WAYS}
    answers: dict[str, list[Answer]] = {}
    for way in WAYS:
        answers[way] = _label(options, way, frames, clocks[way])
    resident, process = clocks["resident"], clocks["process"]
    rows = [
        Row("CPU time, one process per frame over resident", process.cpu_s / resident.cpu_s,
            at_least=1.0),
        Row("wall time, one process per frame over resident",
            process.wall_s / resident.wall_s),
        Row("largest difference of forces between the two",
            _largest_difference(answers["resident"], answers["process"]), "eV/Å", at_most=1e-3),
    ]  # fmt: skip
    for way, clock in clocks.items():
        rows.append(Row(f"{way}: CPU time per label", clock.cpu_s / len(frames), "s"))
        rows.append(Row(f"{way}: steps to self-consistency", _steps(answers[way])))
    return Outcome(
        rows,
        notes=[
            (f"{len(frames)} rattled and strained frames of Li2S ({len(frames[0])} atoms), "
             "PBE at the engine's defaults and Gamma alone, one thread."),
            "The resident time holds its one start; its first frame has nothing to reuse.",
        ],
    )  # fmt: skip


def _frames(options: Options) -> list[Atoms]:
    sites = [("S", (0, 0, 0)), ("Li", (0.25, 0.25, 0.25))]
    lithium_sulphide = crystal(
        [element for element, _ in sites],
        [site for _, site in sites],
        spacegroup=225,
        cellpar=[5.72, 5.72, 5.72, 90, 90, 90],
        primitive_cell=options.is_quick,
    )
    frames = start_set(
        lithium_sulphide,
        n_frames=QUICK_FRAMES if options.is_quick else N_FRAMES,
        rattle_A=(0.02, 0.08),
        strain=0.02,
        min_distance_A=1.0,
        seed=1,
    )
    return [
        Atoms(frames.numbers, positions, cell=cell, pbc=True)
        for positions, cell in zip(frames.positions, frames.cells, strict=True)
    ]


def _label(options: Options, way: str, frames: list[Atoms], clock: Clock) -> list[Answer]:
    mode, from_scratch = WAYS[way]
    settings = (QUICK_SETTINGS if options.is_quick else SETTINGS) | {"mode": mode}
    calculator = load_calculator(RegistrySection(kind="cp2k", settings=settings))
    answers = []
    with clocked(clock):
        for number, atoms in enumerate(frames):
            options.say(f"{way}: frame {number + 1} of {len(frames)}")
            folder = options.workdir / f"{way}-{number}"
            folder.mkdir()
            place = Place(folder, reproducible=from_scratch)
            answers.append(calculator.single_point(atoms, place))
        close_shell()
    return answers


def _steps(answers: list[Answer]) -> float:
    return float(np.mean([answer.scf_steps for answer in answers]))


def _largest_difference(some: list[Answer], others: list[Answer]) -> float:
    pairs = zip(some, others, strict=True)
    return max(float(np.abs(one.forces - other.forces).max()) for one, other in pairs)
