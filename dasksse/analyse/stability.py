"""Whether D of one generation of models agrees with that of the one before."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.analyse.member_spread import Spread, member_spread
from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.records import Json

LEAST_TEMPERATURES = 3
"""Fewer say nothing about an activation energy that D itself does not say."""


@dataclass(frozen=True)
class TemperatureD:
    """D at one temperature, from runs that different models drove.

    Attributes
    ----------
    temperature_K
        Temperature [K].
    D_m2_s, D_err_m2_s
        Of each model with a resolved D, and its sampling error [m²/s], shape ``(model,)``.
    n_models
        Models that were asked.
    """

    temperature_K: float
    D_m2_s: tuple[float, ...]
    D_err_m2_s: tuple[float, ...]
    n_models: int

    @property
    def spread(self) -> Spread | None:
        """Mean ln D and spread of the models; None unless every model has a D, or with one."""
        if len(self.D_m2_s) < max(2, self.n_models):
            return None
        return member_spread(self.D_m2_s, self.D_err_m2_s)


@dataclass(frozen=True)
class DiffusionOfGeneration:
    """D of one generation at each temperature."""

    generation: int
    temperatures: tuple[TemperatureD, ...]

    @property
    def Ea_eV(self) -> tuple[float, float] | None:
        """Activation energy and its error [eV], from the means of the models."""
        known = [(t.temperature_K, s) for t in self.temperatures if (s := t.spread) is not None]
        if len(known) < LEAST_TEMPERATURES:
            return None
        x = np.array([-1.0 / (BOLTZMANN_EV_K * temperature) for temperature, _ in known])
        y = np.array([spread.mean for _, spread in known])
        weights = np.array([spread.mean_err**-2 for _, spread in known])
        x -= np.average(x, weights=weights)
        inverse = 1.0 / float(np.sum(weights * x**2))
        return float(np.sum(weights * x * y)) * inverse, math.sqrt(inverse)


def diffusion_of_generation(
    generation: int,
    records: Sequence[Mapping[str, Json]],
    temperatures_K: Sequence[float],
) -> DiffusionOfGeneration:
    """D of a generation from what the diffusion stage found for each of its models.

    Parameters
    ----------
    generation
        Number of the generation.
    records
        With ``points``, one record for each model. Points without a D, and those with a melted
        framework, count as not resolved.
    temperatures_K
        Temperatures [K].
    """
    return DiffusionOfGeneration(
        generation, tuple(_at_temperature(records, float(T)) for T in temperatures_K)
    )


def _at_temperature(
    records: Sequence[Mapping[str, Json]], temperature_K: float
) -> TemperatureD:
    points = [
        point
        for record in records
        for point in record["points"]
        if point["temperature_K"] == temperature_K
        and point["D_m2_s"] is not None
        and not point.get("framework_melted")
    ]
    return TemperatureD(
        temperature_K,
        tuple(float(point["D_m2_s"]) for point in points),
        tuple(float(point["D_err_m2_s"]) for point in points),
        len(records),
    )


@dataclass(frozen=True)
class Stability:
    """Whether D is stable, and why in a sentence."""

    is_stable: bool
    text: str


def compare_generations(
    before: DiffusionOfGeneration | None,
    now: DiffusionOfGeneration,
    *,
    tolerance: float,
    Ea_tolerance_eV: float,
) -> Stability:
    """Judge whether D and Ea of two generations of models agree.

    Parameters
    ----------
    before, now
        Of two generations in a row; None for the first one.
    tolerance
        Allowed change of ln D, error of that change, and spread of the models.
    Ea_tolerance_eV
        Allowed change of the activation energy [eV]; it counts where three temperatures or
        more have a D in both.

    Notes
    -----
    The spread of the models has their sampling errors taken off. A change that is not known
    well enough is not called stable: longer runs are needed then, and the text says so. That D
    is stable does not say that it is right: the labels decide that.
    """
    doubts = [text for t in now.temperatures if (text := _doubt(t, tolerance))]
    if before is None:
        doubts.append("there is no generation before")
    else:
        earlier = {t.temperature_K: t for t in before.temperatures}
        for t in now.temperatures:
            doubts += _change(earlier.get(t.temperature_K), t, tolerance)
        doubts += _Ea_change(before, now, Ea_tolerance_eV)
    if doubts:
        return Stability(is_stable=False, text=f"D is not stable: {'; '.join(doubts)}")
    listed = ", ".join(f"{t.temperature_K:g}" for t in now.temperatures)
    return Stability(
        is_stable=True,
        text=f"D at {listed} K is stable within {100 * tolerance:.0f} %, between generations "
        "and across the models",
    )


def _doubt(t: TemperatureD, tolerance: float) -> str:
    """What speaks against one temperature by itself."""
    spread = t.spread
    if spread is None:
        return (
            f"at {t.temperature_K:g} K {len(t.D_m2_s)} of {t.n_models} models have a resolved D"
        )
    if spread.models > tolerance:
        return f"at {t.temperature_K:g} K the models differ by {100 * spread.models:.0f} %"
    return ""


def _change(before: TemperatureD | None, now: TemperatureD, tolerance: float) -> list[str]:
    """What speaks against one temperature beside the generation before."""
    old, new = None if before is None else before.spread, now.spread
    if new is None:
        return []
    at = f"at {now.temperature_K:g} K"
    if old is None:
        return [f"{at} the generation before has no resolved D"]
    change, error = new.mean - old.mean, math.hypot(old.mean_err, new.mean_err)
    if abs(change) > tolerance:
        return [f"{at} it changed by {100 * math.expm1(change):+.0f} ± {100 * error:.0f} %"]
    if error > tolerance:
        return [f"{at} its change is known to ± {100 * error:.0f} % only"]
    return []


def _Ea_change(
    before: DiffusionOfGeneration, now: DiffusionOfGeneration, tolerance_eV: float
) -> list[str]:
    old, new = before.Ea_eV, now.Ea_eV
    if old is None or new is None or abs(new[0] - old[0]) <= tolerance_eV:
        return []
    error = math.hypot(old[1], new[1])
    return [f"Ea changed by {new[0] - old[0]:+.3f} ± {error:.3f} eV"]
