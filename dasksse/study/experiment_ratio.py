"""Simulated over measured D at each measured temperature, with the combined error."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal

from dasksse.report.error_budget import SCORE_95
from dasksse.study.temperature_law import SAME_K, D_at, sigma_per_D

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.analyse.experiment import ExperimentPoint
    from dasksse.records import Json
    from dasksse.study.temperature_law import DAt

State = Literal["agrees", "faster", "slower", "undecided"]


@dataclass(frozen=True, kw_only=True)
class ExperimentRatio:
    """One measurement beside the simulation of one crystal.

    Attributes
    ----------
    branch
        Crystal.
    source
        Of the measurement; may be empty.
    temperature_K
        Temperature [K].
    from_conductivity
        Whether a conductivity was measured: ``D_measured_m2_s`` is the charge D then.
    D_measured_m2_s, D_measured_err_m2_s
        Measured D and its standard error [m²/s]; None where none is given.
    quantity
        What it is compared with: ``collective`` D where a conductivity was measured and a
        collective D is known, else ``tracer`` D.
    how
        Where D is from, see :class:`dasksse.study.temperature_law.DAt`.
    D_m2_s
        Simulated D [m²/s]; None for a bound or where nothing is known.
    ratio, ratio_low95, ratio_high95
        Simulated over measured, and the 95 % interval by the errors that are known. Of a bound
        only the upper end is.
    state
        ``faster`` or ``slower`` beyond the interval, ``agrees`` within it, else ``undecided``.
    sigma_measured_mS_cm, sigma_tracer_mS_cm, sigma_collective_mS_cm
        Conductivities [mS/cm] by Nernst-Einstein with the density of the simulated cell; that
        of the measured or tracer D holds for ions that move independently.
    """

    branch: str
    source: str
    temperature_K: float
    from_conductivity: bool
    D_measured_m2_s: float
    D_measured_err_m2_s: float | None
    quantity: Literal["tracer", "collective"]
    how: str
    D_m2_s: float | None
    ratio: float | None
    ratio_low95: float | None
    ratio_high95: float | None
    state: State
    sigma_measured_mS_cm: float | None
    sigma_tracer_mS_cm: float | None
    sigma_collective_mS_cm: float | None

    def to_json(self) -> dict[str, Json]:
        """Every value, ready for :func:`json.dumps`."""
        return asdict(self)


def ratio_to_experiment(
    measured: ExperimentPoint,
    points: Sequence[Mapping[str, Json]],
    *,
    branch: str,
    squared_charge_density_A3: float | None,
    other_errors: Sequence[float] = (),
) -> ExperimentRatio:
    """Compare a crystal with one measurement.

    Parameters
    ----------
    measured
        The measurement.
    points
        D(T) of the crystal.
    branch
        Its name.
    squared_charge_density_A3
        For conductivities [e²/Å³]; None leaves them unknown.
    other_errors
        Errors of the simulated D besides sampling, relative to it.
    """
    at_K = measured.temperature_K
    tracer = D_at(points, at_K)
    collective = _collective(points, tracer)
    used = collective if measured.from_conductivity and collective is not None else tracer
    ratio, low, high = _ratio(measured, used, other_errors)

    def sigma(one: DAt | ExperimentPoint | None) -> float | None:
        if one is None or one.D_m2_s is None or squared_charge_density_A3 is None:
            return None
        return one.D_m2_s * sigma_per_D(squared_charge_density_A3, at_K)

    return ExperimentRatio(
        branch=branch,
        source=measured.source,
        temperature_K=at_K,
        from_conductivity=measured.from_conductivity,
        D_measured_m2_s=measured.D_m2_s,
        D_measured_err_m2_s=measured.D_err_m2_s,
        quantity="tracer" if used is tracer else "collective",
        how=used.how,
        D_m2_s=used.D_m2_s,
        ratio=ratio,
        ratio_low95=low,
        ratio_high95=high,
        state=_state(ratio, low, high),
        sigma_measured_mS_cm=sigma(measured),
        sigma_tracer_mS_cm=sigma(tracer),
        sigma_collective_mS_cm=sigma(collective),
    )


def _collective(points: Sequence[Mapping[str, Json]], tracer: DAt) -> DAt | None:
    """Collective D where the tracer D was simulated; None where it is not known."""
    if tracer.how != "simulated":
        return None
    for point in points:
        D, error = point["D_collective_m2_s"], point["D_collective_err_m2_s"]
        is_here = abs(point["temperature_K"] - tracer.temperature_K) <= SAME_K
        if is_here and D is not None and error is not None:
            return replace(
                tracer, D_m2_s=D, D_low95_m2_s=None, D_high95_m2_s=None, ln_err=error / D
            )
    return None


def _ratio(
    measured: ExperimentPoint, D: DAt, other_errors: Sequence[float]
) -> tuple[float | None, float | None, float | None]:
    """Ratio and its 95 % interval; of a bound only the upper end."""
    if not D.D_m2_s:
        bound = D.D_high95_m2_s
        return None, None, None if bound is None else bound / measured.D_m2_s
    ratio = D.D_m2_s / measured.D_m2_s
    if D.ln_err is None:
        return ratio, None, None
    of_measured = (measured.D_err_m2_s or 0.0) / measured.D_m2_s
    factor = math.exp(SCORE_95 * math.hypot(D.ln_err, of_measured, *other_errors))
    return ratio, ratio / factor, ratio * factor


def _state(ratio: float | None, low: float | None, high: float | None) -> State:
    if high is not None and high < 1.0:
        return "slower"
    if low is not None and low > 1.0:
        return "faster"
    return "undecided" if ratio is None or low is None else "agrees"
