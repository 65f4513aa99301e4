"""Framework: how far its atoms vibrate, and whether they stay where they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from dasksse.analyse.paths import MEMORY_BYTES, atoms_of, follow, ion_blocks
from dasksse.analyse.turning_units import turn_reaches
from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from dasksse.analyse.paths import IonPaths
    from dasksse.analyse.transport import Usage
    from dasksse.records import Trajectory

LEFT_PLACE_A = 1.0
"""An atom whose mean place moves farther than this has left it: vibration does not do that."""
PLATEAU_SLOPE = 0.25
"""Log-log slope of the MSD up to which it is a plateau; diffusion has 1."""
DIFFUSIVE_SLOPE = 0.5
MELTED_SHARE = 0.05
"""An element has melted when more of its atoms went farther than turns can carry them. In a
frame of a hot crystal some 0.5 % of atoms are just now beyond the length of their bonds."""
ENOUGH_ATOMS = 64
"""Atoms of each element that tell whether it has melted."""
STILL_A2 = 1e-6
"""MSD of atoms that do not move but for rounding."""
LEAST_FRAMES = 30
_PARTS = 3
_SHORT_LAG, _LONG_LAG = 20, 3
"""The slope of the MSD is taken between the 20th part and the third of a run."""


@dataclass(frozen=True)
class ElementMotion:
    """Atoms of one framework element.

    Attributes
    ----------
    symbol, n_atoms
        Element, and its atoms in one run.
    amplitude_A, amplitude_err_A
        Root-mean-square displacement from the mean place [Å] and its standard error from the
        scatter of atoms.
    amplitude_xyz_A
        The same along x, y and z.
    shift_A, largest_shift_A
        Distance between mean places in the first and the last third of a run [Å]:
        root-mean-square over atoms and runs, and largest.
    share_left
        Share of atoms that shift by more than 1 Å.
    msd_slope
        Log-log slope of the MSD at long lags: 0 for atoms that stay, 1 for diffusion.
    share_beyond
        Share of atoms that shift by 1 Å more than a turn of their unit, such as PS4, can carry
        them; looked for where :attr:`diffuses` only, else 0.
    """

    symbol: str
    n_atoms: int
    amplitude_A: float
    amplitude_err_A: float
    amplitude_xyz_A: tuple[float, float, float]
    shift_A: float
    largest_shift_A: float
    share_left: float
    msd_slope: float
    share_beyond: float = 0.0

    @property
    def b_factor_A2(self) -> float:
        """``8 π² <u²> / 3`` [Å²]."""
        return 8.0 / 3.0 * np.pi**2 * self.amplitude_A**2

    @property
    def is_bounded(self) -> bool:
        """Every atom stays, and the MSD has a plateau."""
        return self.share_left == 0.0 and self.msd_slope < PLATEAU_SLOPE

    @property
    def diffuses(self) -> bool:
        """Atoms leave their places and the MSD grows on."""
        return self.share_left > 0.0 and self.msd_slope > DIFFUSIVE_SLOPE

    @property
    def has_melted(self) -> bool:
        """Atoms diffuse, and not within units that turn."""
        return self.diffuses and self.share_beyond > MELTED_SHARE

    @property
    def verdict(self) -> str:
        """What the atoms do, in words."""
        if self.is_bounded:
            return f"{self.symbol} vibrates by {self.amplitude_A:.2f} Å"
        left = f"{100.0 * self.share_left:.3g} % of its atoms left their places"
        what = "diffuses" if self.diffuses else "moves"
        if self.diffuses and not self.has_melted:
            what = "moves, no farther than its units turn"
        return f"{self.symbol} {what}: {left}, MSD grows as t^{self.msd_slope:.2f}"


@dataclass(frozen=True)
class FrameworkMotion:
    """All elements but the mobile one.

    Attributes
    ----------
    elements
        One entry for each.
    n_runs
        Runs.
    """

    elements: tuple[ElementMotion, ...]
    n_runs: int

    @property
    def is_bounded(self) -> bool:
        """No element leaves its places."""
        return all(element.is_bounded for element in self.elements)

    @property
    def melted(self) -> tuple[str, ...]:
        """Elements that have melted; empty if the framework is whole."""
        return tuple(element.symbol for element in self.elements if element.has_melted)

    @property
    def verdict(self) -> str:
        """One sentence on the framework."""
        ranked = sorted(self.elements, key=lambda element: element.is_bounded)
        state = "bounded" if self.is_bounded else "not bounded"
        return f"framework {state}: {'; '.join(element.verdict for element in ranked)}"

    def __getitem__(self, symbol: str) -> ElementMotion:
        """Entry of an element."""
        return next(element for element in self.elements if element.symbol == symbol)


def framework_motion(
    runs: Sequence[Trajectory],
    mobile: str,
    *,
    first_frames: Sequence[int] | None = None,
    memory_bytes: int = MEMORY_BYTES,
    enough_atoms: int | None = None,
) -> FrameworkMotion:
    """Vibration, creep and diffusion of the framework.

    Parameters
    ----------
    runs
        Runs of the same system at the same temperature.
    mobile
        Symbol of the element that may move.
    first_frames
        Frames of each run before this one are left out; planned equilibration if None.
    memory_bytes
        Memory for the work on one block of atoms.
    enough_atoms
        Look at about this many atoms of each element in each run only; at all if None.

    Raises
    ------
    AnalysisError
        If there is no run, no framework or fewer than 30 frames are left, or what
        :func:`dasksse.analyse.paths.follow` refuses.

    Notes
    -----
    The framework's centre of mass stands still, and a variable cell is mapped to its mean, so
    that neither adds to the amplitude. Where elements diffuse, the centre of the others stands
    still, as those would seem to move with the ones that melt. In a short run the mean place
    follows slow vibrations, and the amplitude comes out too small; where atoms leave their
    places it holds that too.

    Atoms of a unit that turns, such as S of PS4, change places among themselves and never come
    farther than the unit is wide. Units are atoms that are bonded in the first frame.
    """
    if not runs:
        msg = "no run to follow the framework in"
        raise AnalysisError(msg)
    symbols = [chemical_symbols[number] for number in np.unique(runs[0].numbers)]
    framework = tuple(symbol for symbol in symbols if symbol != mobile)
    if not framework:
        msg = f"{runs[0].name}: all atoms are {mobile}, there is no framework"
        raise AnalysisError(msg)
    starts = [None] * len(runs) if first_frames is None else list(first_frames)

    def elements(standing: tuple[str, ...]) -> tuple[ElementMotion, ...]:
        followed = [
            _follow(run, mobile, standing, first)
            for run, first in zip(runs, starts, strict=True)
        ]
        reaches = cache(lambda: [_reaches(paths, mobile) for paths in followed])
        return tuple(
            _element(followed, symbol, reaches, memory_bytes, enough_atoms)
            for symbol in framework
        )

    found = elements(framework)
    steady = tuple(element.symbol for element in found if not element.diffuses)
    if 0 < len(steady) < len(framework):
        found = elements(steady)
    return FrameworkMotion(found, len(runs))


def melted_elements(
    usage: Usage, mobile: str, *, memory_bytes: int = MEMORY_BYTES
) -> tuple[str, ...] | None:
    """Elements of the framework that have melted, from some atoms of each.

    Parameters
    ----------
    usage
        Runs and frames, from :func:`dasksse.analyse.transport.choose_frames`.
    mobile
        Symbol of the mobile element.
    memory_bytes
        Memory for the work on one block of atoms.

    Returns
    -------
    tuple of str, or None
        Symbols; empty if the framework is whole. None where it is not known: there is none, or
        a run has fewer than 30 frames.
    """
    if not can_be_followed(usage, mobile):
        return None
    return framework_motion(
        usage.runs,
        mobile,
        first_frames=usage.first_frames,
        memory_bytes=memory_bytes,
        enough_atoms=ENOUGH_ATOMS,
    ).melted


def can_be_followed(usage: Usage, mobile: str) -> bool:
    """Whether there is a framework, and every run has the 30 frames to follow it in."""
    lengths = (
        run.n_frames - first for run, first in zip(usage.runs, usage.first_frames, strict=True)
    )
    has_framework = bool(np.any(usage.runs[0].numbers != atomic_numbers[mobile]))
    return has_framework and min(lengths) >= LEAST_FRAMES


def _follow(
    run: Trajectory, mobile: str, standing: tuple[str, ...], first_frame: int | None
) -> IonPaths:
    paths = follow(run, mobile, reference=standing, first_frame=first_frame)
    if paths.n_frames < LEAST_FRAMES:
        msg = (
            f"{run.name}: {paths.n_frames} frames are left, and the motion of the framework "
            f"needs at least {LEAST_FRAMES}: run longer or discard less"
        )
        raise AnalysisError(msg)
    return paths


def _reaches(paths: IonPaths, mobile: str) -> NDArray[np.float64]:
    """How far turns can carry each atom of a run [Å], shape ``(atom,)``; 0 if mobile."""
    run, first = paths.run, slice(paths.first_frame, paths.first_frame + 1)
    numbers = run.numbers
    still = numbers != atomic_numbers[mobile]
    reaches = np.zeros(len(numbers))
    reaches[still] = turn_reaches(
        numbers[still], run.positions(frames=first)[0, still], run.cells(first)[0]
    )
    return reaches


def _element(
    followed: Sequence[IonPaths],
    symbol: str,
    reaches: Callable[[], list[NDArray[np.float64]]],
    memory_bytes: int,
    enough_atoms: int | None,
) -> ElementMotion:
    """Average over the atoms of an element in all runs."""
    variances, shifts, slopes, seen = [], [], [], []
    for paths in followed:
        atoms = atoms_of(paths.run, symbol)
        blocks = ion_blocks(atoms, paths.n_frames, memory_bytes=memory_bytes)
        if enough_atoms is not None:
            blocks = blocks[:: max(len(atoms) // enough_atoms, 1)]
        seen.append(np.concatenate(blocks))
        lags = paths.n_frames // _SHORT_LAG, paths.n_frames // _LONG_LAG
        msd = np.zeros(2)
        for block in blocks:
            columns = paths.columns(block, memory_bytes=memory_bytes)
            variances.append(columns.var(axis=-1).T)
            shifts.append(_shifts(columns))
            msd += [_summed_msd(columns, lag) for lag in lags]
        moves = msd[0] > STILL_A2 * len(seen[-1])
        growth = np.log(msd[1] / msd[0]) if moves else 0.0
        slopes.append(growth / np.log(lags[1] / lags[0]))
    by_axis = np.concatenate(variances)
    by_atom = by_axis.sum(axis=1)
    amplitude = float(np.sqrt(by_atom.mean()))
    spread = float(by_atom.std(ddof=1) / np.sqrt(len(by_atom))) if len(by_atom) > 1 else np.nan
    shift = np.concatenate(shifts)
    x, y, z = np.sqrt(by_axis.mean(axis=0)).tolist()
    motion = ElementMotion(
        symbol=symbol,
        n_atoms=len(atoms_of(followed[0].run, symbol)),
        amplitude_A=amplitude,
        amplitude_err_A=0.5 * spread / amplitude if amplitude > 0.0 else 0.0,
        amplitude_xyz_A=(x, y, z),
        shift_A=float(np.sqrt(np.mean(shift**2))),
        largest_shift_A=float(shift.max()),
        share_left=float(np.mean(shift > LEFT_PLACE_A)),
        msd_slope=float(np.mean(slopes)),
    )
    if not motion.diffuses:
        return motion
    carried = np.concatenate([r[atoms] for r, atoms in zip(reaches(), seen, strict=True)])
    return replace(motion, share_beyond=float(np.mean(shift > LEFT_PLACE_A + carried)))


def _shifts(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance between mean places in the first and the last third [Å], shape ``(atom,)``."""
    n_part = columns.shape[-1] // _PARTS
    moved = columns[..., -n_part:].mean(axis=-1) - columns[..., :n_part].mean(axis=-1)
    return np.asarray(np.linalg.norm(moved, axis=0))


def _summed_msd(columns: NDArray[np.float64], lag: int) -> float:
    """Sum over atoms of the mean-squared displacement over a lag [Å²]."""
    total = 0.0
    for path in columns:
        step = path[:, lag:] - path[:, :-lag]
        total += float(np.vdot(step, step)) / step.shape[1]
    return total
