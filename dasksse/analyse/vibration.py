"""Framework: how far its atoms vibrate, and whether they stay where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from ase.data import chemical_symbols

from dasksse.analyse.paths import MEMORY_BYTES, atoms_of, follow, ion_blocks
from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from dasksse.analyse.paths import IonPaths
    from dasksse.records import Trajectory

LEFT_PLACE_A = 1.0
"""An atom whose mean place moves farther than this has left it: vibration does not do that."""
PLATEAU_SLOPE = 0.25
"""Log-log slope of the MSD up to which it is a plateau; diffusion has 1."""
DIFFUSIVE_SLOPE = 0.5
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
    def verdict(self) -> str:
        """What the atoms do, in words."""
        if self.is_bounded:
            return f"{self.symbol} vibrates by {self.amplitude_A:.2f} Å"
        left = f"{100.0 * self.share_left:.3g} % of its atoms left their places"
        what = "diffuses" if self.diffuses else "moves"
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
        return tuple(_element(followed, symbol, memory_bytes) for symbol in framework)

    found = elements(framework)
    steady = tuple(element.symbol for element in found if not element.diffuses)
    if 0 < len(steady) < len(framework):
        found = elements(steady)
    return FrameworkMotion(found, len(runs))


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


def _element(followed: Sequence[IonPaths], symbol: str, memory_bytes: int) -> ElementMotion:
    """Average over the atoms of an element in all runs."""
    variances, shifts, slopes = [], [], []
    for paths in followed:
        atoms = atoms_of(paths.run, symbol)
        lags = paths.n_frames // _SHORT_LAG, paths.n_frames // _LONG_LAG
        msd = np.zeros(2)
        for block in ion_blocks(atoms, paths.n_frames, memory_bytes=memory_bytes):
            columns = paths.columns(block, memory_bytes=memory_bytes)
            variances.append(columns.var(axis=-1).T)
            shifts.append(_shifts(columns))
            msd += [_summed_msd(columns, lag) for lag in lags]
        moves = msd[0] > STILL_A2 * len(atoms)
        growth = np.log(msd[1] / msd[0]) if moves else 0.0
        slopes.append(growth / np.log(lags[1] / lags[0]))
    by_axis = np.concatenate(variances)
    by_atom = by_axis.sum(axis=1)
    amplitude = float(np.sqrt(by_atom.mean()))
    spread = float(by_atom.std(ddof=1) / np.sqrt(len(by_atom))) if len(by_atom) > 1 else np.nan
    shift = np.concatenate(shifts)
    x, y, z = np.sqrt(by_axis.mean(axis=0)).tolist()
    return ElementMotion(
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
