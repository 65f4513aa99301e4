"""Measures behind the verdicts: what is resolved, what is outside trust, what still improves.

Limits are conventions of this report, not physics; each names its ground.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.analyse.diffusion_points import BROKEN_LIMIT
from dasksse.report.formats import format_share, is_known
from dasksse.units import MEV_PER_EV

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from dasksse.report.data import (
        GenerationRow,
        Level,
        MeanStd,
        ProductionRow,
        RmseSet,
        RunReport,
    )

UNTRUSTED_LIMIT = 0.05
"""Share of production frames outside trust from which D is in doubt."""
WIDE_ERROR = 0.25
"""Relative error of D from which the run counts as short."""
UNRESOLVED_ERROR = 0.5
"""Relative error of D from which only its order of magnitude is known."""
SHORT_RUN_PS = 100.0
"""Shorter runs miss slow and correlated motion, whatever their statistical error; the time
convergence of doi:10.1063/5.0041849 begins here."""
TEMPERATURE_LIMIT = 0.03
"""Allowed relative difference between mean and asked temperature."""
SMALL_CELL_ATOMS = 400
"""Below this, D at low temperature was 10 to 100 times too high (doi:10.1063/5.0041849)."""
EARNED_SHARE = 0.9
"""Share of accurate frames that must have a true error below the upper trust level."""
JUDGED_SETS: Mapping[RmseSet, str] = {
    "held_out": "frames kept out of training",
    "probe": "the probe",
    "train": "the training set",
}
"""Sets whose force error is judged; the worst one decides, as small sets are small by luck."""
MIN_CHECKS = 5
"""Fewer labelled accurate frames say nothing on the trust level."""
LARGE_FORCE_ERROR_MEV_A = 300.0
"""Force error above which a potential is not to be used, whatever the forces; that of Huang et
al. for LGPS (doi:10.1063/5.0041849) is 82 meV/Å."""
WRONG_FORCE_SHARE = 0.5
"""Force error over RMS force from which a potential is not to be used: it misses a quarter of
the variance of the forces."""
ROUGH_FORCE_SHARE = 0.2
"""Force error over RMS force from which a potential is rough; a good one of a solid has 0.1."""


@dataclass(frozen=True)
class TrustEvidence:
    """Accurate frames that were labelled all the same, and how many had a small true error."""

    n_checked: int
    n_good: int

    @property
    def share(self) -> float:
        """Share of checked frames with a true error below the upper level; NaN if none."""
        return self.n_good / self.n_checked if self.n_checked else math.nan


def trust_evidence(generations: Sequence[GenerationRow]) -> TrustEvidence:
    """Compare the labelled accurate frames of all generations with the upper trust level.

    The claim behind trust levels is "a small deviation means a small error". Frames below the
    lower level test it: the error of their worst atom should stay below the upper level.
    """
    n_checked = n_good = 0
    for row in generations:
        if row.trust_check is None:
            continue
        accurate = row.trust_check.deviation < row.trust_low_eV_A
        errors = row.trust_check.true_error[accurate]
        n_checked += int(np.isfinite(errors).sum())
        n_good += int((errors < row.trust_high_eV_A).sum())
    return TrustEvidence(n_checked, n_good)


def probe_errors(generations: Sequence[GenerationRow]) -> list[tuple[int, MeanStd]]:
    """Force RMSE [meV/Å] on the probe as (mean, std) by generation, where known."""
    errors = ((row.generation, row.error("probe", "force_rmse_meV_A")) for row in generations)
    return [(generation, error) for generation, error in errors if error is not None]


@dataclass(frozen=True)
class ForceError:
    """Force error of the latest models on one set.

    Attributes
    ----------
    name
        Set (see :data:`dasksse.report.data.RMSE_SETS`).
    rmse_meV_A
        Root mean square error of a force component [meV/Å].
    share
        The same over the root mean square of the labelled components; None if unknown.
    """

    name: RmseSet
    rmse_meV_A: float
    share: float | None

    @property
    def text(self) -> str:
        """Error and frames, such as ``90 meV/Å (9 % of the RMS force) on the probe``."""
        share = "" if self.share is None else f" ({100 * self.share:.0f} % of the RMS force)"
        return f"{self.rmse_meV_A:.0f} meV/Å{share} on {JUDGED_SETS[self.name]}"

    @property
    def level(self) -> Level:
        """What the error alone allows to be said of the potential."""
        share = self.share or 0.0
        if self.rmse_meV_A > LARGE_FORCE_ERROR_MEV_A or share > WRONG_FORCE_SHARE:
            return "doubt"
        return "care" if share > ROUGH_FORCE_SHARE else "trust"


def force_errors(report: RunReport) -> list[ForceError]:
    """Force errors of the latest models that have any, frames kept out of training first."""
    for row in reversed(report.generations):
        known = [(name, row.error(name, "force_rmse_meV_A")) for name in JUDGED_SETS]
        errors = [
            ForceError(name, error[0], _share(report, name, error[0]))
            for name, error in known
            if error is not None
        ]
        if errors:
            return errors
    return []


def _share(report: RunReport, name: RmseSet, rmse_meV_A: float) -> float | None:
    parity = report.parity.get(name)
    if parity is None or not parity.force_label_eV_A.any():
        return None
    rms_eV_A = float(np.sqrt(np.mean(parity.force_label_eV_A**2)))
    return rmse_meV_A / (MEV_PER_EV * rms_eV_A)


def relative_error(row: ProductionRow) -> float | None:
    """Error of D over D; None where D or its error is unknown or D is not above 0."""
    value, error = row.diffusion.get("D_m2_s"), row.diffusion.get("D_err_m2_s")
    if not is_known(value) or not is_known(error) or value <= 0:
        return None
    return float(error / value)


def is_diffusive(row: ProductionRow) -> bool:
    """Whether the run reached the diffusive regime, so that D is a value and not a bound."""
    return row.diffusion.get("regime") == "diffusive" and is_known(row.diffusion.get("D_m2_s"))


def statistical_limits(row: ProductionRow) -> Iterator[str]:
    """Why D of a production row is not well resolved; nothing if it is."""
    if not row.diffusion:
        yield row.trouble or "not analysed yet"
        return
    if not is_diffusive(row):
        regime = str(row.diffusion.get("regime") or "unknown regime").replace("_", " ")
        has_bound = is_known(row.diffusion.get("upper_bound_m2_s"))
        yield f"{regime}: short run, {'upper bound only' if has_bound else 'not even a bound'}"
        return
    error = relative_error(row)
    if error is None:
        yield "error of D unknown"
    elif error > UNRESOLVED_ERROR:
        yield f"short run: D not resolved (error {100 * error:.0f} %)"
    elif error > WIDE_ERROR:
        yield f"short run: wide error ({100 * error:.0f} %)"
    elif row.length_ps < SHORT_RUN_PS:
        yield f"short run: {row.length_ps:.0f} ps show no slow motion"


def is_framework_broken(row: ProductionRow) -> bool:
    """Whether too many frames are no longer the crystal; fits leave such a row out."""
    return is_known(row.framework_broken) and row.framework_broken > BROKEN_LIMIT


def model_doubts(row: ProductionRow) -> Iterator[str]:
    """Why the trajectory itself is in doubt, whatever its length; nothing if it is not."""
    if is_known(row.untrusted_fraction) and row.untrusted_fraction > UNTRUSTED_LIMIT:
        yield f"{format_share(row.untrusted_fraction)} of frames outside trust"
    if is_framework_broken(row):
        yield f"framework broken in {format_share(row.framework_broken)} of frames"
    if row.mean_temperature_K is not None and (
        abs(row.mean_temperature_K / row.temperature_K - 1) > TEMPERATURE_LIMIT
    ):
        yield f"mean temperature {row.mean_temperature_K:.0f} K"


def potential_doubts(report: RunReport) -> list[str]:
    """Why the potential is in doubt, whatever it was used for; empty if it is not."""
    is_wrong = any(error.level == "doubt" for error in force_errors(report))
    return ["force error of the potential too large"] if is_wrong else []


def trust_in_words(row: ProductionRow, doubts: Iterable[str] = ()) -> str:
    """Short text for a table cell: ``yes``, or what limits the row.

    Parameters
    ----------
    row
        The row.
    doubts
        Why every row is in doubt.
    """
    limits = [*doubts, *model_doubts(row), *statistical_limits(row)]
    if row.trust_note:
        limits.append(row.trust_note)
    return "; ".join(limits) or "yes"


def resolved_rows(report: RunReport, system: str) -> list[ProductionRow]:
    """Production rows of a system with a diffusive D and a whole framework, by temperature."""
    rows = [
        row
        for row in report.production
        if row.system == system and is_diffusive(row) and not is_framework_broken(row)
    ]
    return sorted(rows, key=lambda row: row.temperature_K)
