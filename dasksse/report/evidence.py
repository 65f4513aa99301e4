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

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dasksse.report.data import GenerationRow, MeanStd, ProductionRow, RunReport

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
MIN_CHECKS = 5
"""Fewer labelled accurate frames say nothing on the trust level."""


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
        yield "not analysed yet"
        return
    if not is_diffusive(row):
        regime = str(row.diffusion.get("regime") or "unknown regime").replace("_", " ")
        yield f"{regime}: short run, upper bound only"
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


def model_doubts(row: ProductionRow) -> Iterator[str]:
    """Why the trajectory itself is in doubt, whatever its length; nothing if it is not."""
    if is_known(row.untrusted_fraction) and row.untrusted_fraction > UNTRUSTED_LIMIT:
        yield f"{format_share(row.untrusted_fraction)} of frames outside trust"
    if is_known(row.framework_broken) and row.framework_broken > BROKEN_LIMIT:
        yield f"framework broken in {format_share(row.framework_broken)} of frames"
    if row.mean_temperature_K is not None and (
        abs(row.mean_temperature_K / row.temperature_K - 1) > TEMPERATURE_LIMIT
    ):
        yield f"mean temperature {row.mean_temperature_K:.0f} K"


def trust_in_words(row: ProductionRow) -> str:
    """Short text for a table cell: ``yes``, or what limits the row."""
    limits = [*model_doubts(row), *statistical_limits(row)]
    if row.trust_note:
        limits.append(row.trust_note)
    return "; ".join(limits) or "yes"


def resolved_rows(report: RunReport, system: str) -> list[ProductionRow]:
    """Production rows of a system with a diffusive D, by temperature."""
    rows = [row for row in report.production if row.system == system and is_diffusive(row)]
    return sorted(rows, key=lambda row: row.temperature_K)
