"""Figures of a report: one module each, listed here in the order they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dasksse.report.converged_d import rows_by_length, size_comparisons
from dasksse.report.figures.arrhenius import arrhenius
from dasksse.report.figures.convergence_in_time import convergence_in_time
from dasksse.report.figures.deviations import deviations
from dasksse.report.figures.learning import learning
from dasksse.report.figures.msd import msd
from dasksse.report.figures.parity import parity
from dasksse.report.figures.progress import progress
from dasksse.report.figures.shares import shares
from dasksse.report.figures.style import save_figure
from dasksse.report.figures.trust_check import trust_check

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from dasksse.report.data import RunReport

__all__ = [
    "FIGURES",
    "FigureEntry",
    "arrhenius",
    "convergence_in_time",
    "deviations",
    "learning",
    "msd",
    "parity",
    "progress",
    "save_figure",
    "shares",
    "trust_check",
]


@dataclass(frozen=True)
class FigureEntry:
    """A figure of the page: its file name, section, title, caption and how to draw it.

    ``draw`` raises :class:`~dasksse.errors.AnalysisError` while its data are not there.
    """

    name: str
    section: str
    title: str
    caption: str
    draw: Callable[[RunReport], Figure]


FIGURES: tuple[FigureEntry, ...] = (
    FigureEntry(
        "arrhenius",
        "diffusion",
        "D against temperature",
        "Points: diffusive runs with one standard error. Full line: fit; dashed line and "
        "star: extrapolation with its interval. Arrows: upper bounds of runs too short to"
        " diffuse.",
        lambda report: arrhenius(
            production=report.production,
            fits=report.arrhenius,
            mobile_species=report.mobile_species,
        ),
    ),
    FigureEntry(
        "msd",
        "diffusion",
        "Mean-squared displacement",
        "Thick line with band: mobile species with its error. Grey: lags used for D. A "
        "diffusing species runs parallel to the dashed line; the framework stays flat.",
        lambda report: msd(
            production=report.production,
            mobile_species=report.mobile_species,
            elements=report.type_map,
        ),
    ),
    FigureEntry(
        "convergence",
        "diffusion",
        "D against length",
        "First part of the runs, with one standard error. Dots: windows side by side. Band: "
        "tolerance about D of the whole. Star: length that should do, with its interval; "
        "arrow to the right: at least so long. Sizes of the cell have panels of their own.",
        lambda report: convergence_in_time(
            found=[
                (f"{row.system} at {row.temperature_K:g} K", one)
                for row, one in rows_by_length(report)
            ],
            sizes=[one.found for one in size_comparisons(report)],
        ),
    ),
    FigureEntry(
        "shares",
        "learning",
        "What the exploration met",
        "Share of planned frames on which the models agree (accurate), differ enough to "
        "be worth a label (candidate), or differ too much or were never written (failed).",
        lambda report: shares(generations=report.generations),
    ),
    FigureEntry(
        "deviations",
        "learning",
        "Deviation by temperature",
        "Distribution over frames of the largest disagreement on a force; each ridge is "
        "scaled to its own peak, values beyond the axis are in the outermost bins. "
        "Dashed: trust levels.",
        lambda report: deviations(generations=report.generations),
    ),
    FigureEntry(
        "progress",
        "learning",
        "Progress on frames never trained on",
        "Left: force error of each generation's models, bars are the spread of the "
        "ensemble. New labels are judged before training on them. Right: mean deviation "
        "on the fixed probe.",
        lambda report: progress(generations=report.generations),
    ),
    FigureEntry(
        "trust_check",
        "accuracy",
        "Trust level against true error",
        "Each point is a newly labelled frame. Accurate frames that were labelled as a "
        "check belong in the shaded box: small deviation and small true error. Dashed: "
        "trust levels.",
        lambda report: trust_check(generations=report.generations),
    ),
    FigureEntry(
        "parity",
        "accuracy",
        "Predictions against labels",
        "Final ensemble. Energies are given about the mean label; forces by component, "
        "coloured by element.",
        lambda report: parity(parity=report.parity, elements=report.type_map),
    ),
    FigureEntry(
        "learning",
        "accuracy",
        "Learning curves",
        "Force error on training batches as logged during training, generations in a row.",
        lambda report: learning(generations=report.generations),
    ),
)
