"""From trajectories to the diffusion of one species: what to leave out, and what to say."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase.data import chemical_symbols

from dasksse.analyse.block_sums import plan_runs, species_msd
from dasksse.analyse.diffusion import MIN_FRAMES, diffusion_of
from dasksse.analyse.equilibration import find_equilibration, stretch_mobility
from dasksse.analyse.paths import MEMORY_BYTES, atoms_of, follow, ion_blocks
from dasksse.analyse.sample import sample_trajectories
from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dasksse.analyse.block_sums import Starmap
    from dasksse.analyse.diffusion_result import DiffusionResult
    from dasksse.analyse.paths import Reference
    from dasksse.records import Trajectory

DEVIATION = "deviation_max"
"""Scalar of a frame that says how far the models of an ensemble differ [eV/Å]."""


@dataclass(frozen=True)
class Usage:
    """What part of which runs an analysis uses.

    Attributes
    ----------
    runs
        Runs that are used.
    first_frames
        Frames of each before this one are left out.
    notes
        What was left out and why, a sentence each.
    """

    runs: tuple[Trajectory, ...]
    first_frames: tuple[int, ...]
    notes: tuple[str, ...]

    @property
    def volume_A3(self) -> float:
        """Mean volume of the cell [Å³]."""
        volumes = [
            np.abs(np.linalg.det(run.cells(slice(first, None)))).mean()
            for run, first in zip(self.runs, self.first_frames, strict=True)
        ]
        return float(np.mean(volumes))

    @property
    def length_ps(self) -> float:
        """Length of the longest run without its equilibration [ps]."""
        runs = zip(self.runs, self.first_frames, strict=True)
        return max((run.n_frames - 1 - first) * run.frame_interval_ps for run, first in runs)

    def mean_of(self, scalar: str) -> float | None:
        """Mean of a number of the frames; None where the runs do not have it."""
        values = self._values(scalar)
        return None if values is None else float(np.nanmean(values))

    def share_above(self, scalar: str, limit: float) -> float | None:
        """Share of frames in which a number is above a limit, or not known."""
        values = self._values(scalar)
        return None if values is None else float(np.mean(~(values < limit)))

    def _values(self, scalar: str) -> NDArray[np.float64] | None:
        parts = []
        for run, first in zip(self.runs, self.first_frames, strict=True):
            values = run.scalars(scalar)
            if values is None or np.isnan(values).all():
                return None
            parts.append(values[first:])
        return np.concatenate(parts)


def choose_frames(
    runs: Sequence[Trajectory], mobile: str, *, equilibration_ps: float | None = None
) -> Usage:
    """Runs of useful length, without their equilibration.

    Parameters
    ----------
    runs
        Runs of the same system at the same temperature.
    mobile
        Symbol of the mobile element.
    equilibration_ps
        Time to leave out at the start of each run [ps]. None takes what was planned, and looks
        for it where nothing was planned.

    Returns
    -------
    Usage
        Runs shorter than half of the longest are left out, and runs of variable cell where
        there are others.

    Raises
    ------
    AnalysisError
        If there is no run, the element is absent, frames of the runs are not equally far apart,
        or fewer than 20 frames are left of all runs.
    """
    if not runs:
        msg = "there is no run to analyse"
        raise AnalysisError(msg)
    if equilibration_ps is not None and not equilibration_ps >= 0.0:
        msg = f"the equilibration is {equilibration_ps} ps, must be at least 0"
        raise AnalysisError(msg)
    _check_intervals(runs)
    kept, notes = _of_one_ensemble(runs)
    first_frames = []
    for run in kept:
        first, reason = _first_frame(run, mobile, equilibration_ps)
        first_frames.append(first)
        if reason:
            notes.append(f"{run.name}: {first} of {run.n_frames} frames left out: {reason}")
    lengths = [run.n_frames - first for run, first in zip(kept, first_frames, strict=True)]
    if max(lengths) < MIN_FRAMES:
        msg = (
            f"{kept[0].name}: {max(lengths)} frames are left after equilibration, diffusion "
            f"needs at least {MIN_FRAMES}: run longer, write frames more often or discard less"
        )
        raise AnalysisError(msg)
    used = [2 * length >= max(lengths) for length in lengths]
    notes += [
        f"{run.name}: left out, {length} frames are less than half of {max(lengths)}"
        for run, length, is_used in zip(kept, lengths, used, strict=True)
        if not is_used
    ]
    return Usage(
        tuple(itertools.compress(kept, used)),
        tuple(itertools.compress(first_frames, used)),
        tuple(notes),
    )


def diffuse(
    usage: Usage,
    mobile: str,
    *,
    charge: float | None = None,
    trust_eV_A: float | None = None,
    reference: Reference = "framework",
    axes: NDArray[np.float64] | None = None,
    memory_bytes: int = MEMORY_BYTES,
    starmap: Starmap = itertools.starmap,
) -> DiffusionResult:
    """Diffusion of one species, out of core.

    Parameters
    ----------
    usage
        Runs and frames, from :func:`choose_frames`.
    mobile
        Symbol of the mobile element.
    charge
        Charge of a mobile ion [e]; None leaves the conductivity unknown.
    trust_eV_A
        Deviation of the models above which a frame is outside trust [eV/Å].
    reference, axes, memory_bytes, starmap
        See :func:`dasksse.analyse.sample.sample_trajectories`.

    Raises
    ------
    AnalysisError
        See there and :func:`dasksse.analyse.diffusion.diffusion_of`.
    """
    sample = sample_trajectories(
        usage.runs,
        mobile,
        reference=reference_of(usage.runs[0], mobile, reference),
        first_frames=usage.first_frames,
        axes=axes,
        memory_bytes=memory_bytes,
        starmap=starmap,
    )
    return diffusion_of(
        sample,
        species=mobile,
        frame_interval_ps=usage.runs[0].frame_interval_ps,
        volume_A3=usage.volume_A3,
        temperature_K=usage.runs[0].temperature_K,
        charge=charge,
        untrusted_fraction=(
            None if trust_eV_A is None else usage.share_above(DEVIATION, trust_eV_A)
        ),
    )


def framework_msd(
    usage: Usage,
    mobile: str,
    *,
    memory_bytes: int = MEMORY_BYTES,
    starmap: Starmap = itertools.starmap,
) -> dict[str, NDArray[np.float64]]:
    """MSD of each element but the mobile one against the framework [Å²], shape ``(lag,)``.

    Parameters and errors are those of :func:`diffuse`.
    """
    elements = {chemical_symbols[number] for number in usage.runs[0].numbers} - {mobile}
    curves = species_msd(
        usage.runs,
        mobile,
        elements=sorted(elements),
        reference=reference_of(usage.runs[0], mobile, "framework"),
        first_frames=usage.first_frames,
        memory_bytes=memory_bytes,
        starmap=starmap,
    )
    return {element: np.asarray(msd.sum(axis=-1)) for element, msd in curves.items()}


def count_blocks(
    usage: Usage, elements: Sequence[str], *, memory_bytes: int = MEMORY_BYTES
) -> int:
    """Blocks of atoms that an analysis of these elements works through, for progress bars."""
    return sum(
        len(plan.blocks)
        for element in elements
        for plan in plan_runs(usage.runs, element, usage.first_frames, memory_bytes)
    )


def reference_of(run: Trajectory, mobile: str, asked: Reference) -> Reference:
    """Whose centre of mass stands still: nobody's where there is no framework."""
    has_framework = bool(np.any(run.numbers != run.numbers[atoms_of(run, mobile)[0]]))
    return "none" if asked == "framework" and not has_framework else asked


def _check_intervals(runs: Sequence[Trajectory]) -> None:
    """Refuse runs whose lags are not the same times."""
    first = runs[0]
    for run in runs:
        if not np.isclose(run.frame_interval_ps, first.frame_interval_ps, rtol=1e-6):
            msg = (
                f"{run.name} has a frame every {run.frame_interval_ps:g} ps, {first.name} "
                f"every {first.frame_interval_ps:g} ps: analyse them one by one"
            )
            raise AnalysisError(msg)


def _of_one_ensemble(runs: Sequence[Trajectory]) -> tuple[list[Trajectory], list[str]]:
    """Runs of constant cell where there are some: theirs is the D to report."""
    fixed = [run for run in runs if not run.is_npt]
    if not fixed:
        text = "the cell varies: report D from runs of constant volume, at the mean cell"
        return list(runs), [text]
    varying = [run.name for run in runs if run.is_npt]
    return fixed, [f"{name}: left out, its cell varies" for name in varying]


def _first_frame(
    run: Trajectory, mobile: str, equilibration_ps: float | None
) -> tuple[int, str]:
    """First frame to use, and the reason where it was found and not given."""
    if equilibration_ps is not None:
        return int(np.ceil(equilibration_ps / run.frame_interval_ps - 1e-9)), ""
    if run.n_equilibration or run.n_frames < MIN_FRAMES:
        return run.n_equilibration, ""
    atoms = atoms_of(run, mobile)
    paths = follow(run, mobile, reference=reference_of(run, mobile, "framework"), first_frame=0)
    block = ion_blocks(atoms, run.n_frames)[0]
    series = {f"mobility of {mobile}": stretch_mobility(paths.columns(block))}
    for name in ("energy", "temperature"):
        values = run.scalars(name)
        if values is not None:
            series[name] = values
    found = find_equilibration(run.n_frames, series)
    return found.n_frames, found.reason if found.n_frames else ""
