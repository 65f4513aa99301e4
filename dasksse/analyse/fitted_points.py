"""Points of one system with their fit: sizes, bounds, broken frameworks and transitions."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from dasksse.analyse.arrhenius import fit_arrhenius
from dasksse.analyse.arrhenius_result import ArrheniusResult
from dasksse.analyse.size_extrapolation import extrapolate_points
from dasksse.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.analyse.diffusion_points import DiffusionPoint
    from dasksse.analyse.size_extrapolation import SizeExtrapolation
    from dasksse.analyse.temperature_laws import Form
    from dasksse.records import Json

SUSPICIOUS_D_M2_S = 1.0e-7
"""Above D of any solid or liquid; such values are usually in cm²/s."""


@dataclass(frozen=True)
class FittedPoints:
    """One system: its points, the fit, and what it rests on.

    Attributes
    ----------
    name
        Of the system or species; may be empty.
    points
        All points, those left out with the reason.
    fit
        The fit; None if there cannot be one.
    trouble
        Why there is no fit; empty if there is one.
    sizes
        Size extrapolations by temperature [K]; empty unless asked for.
    """

    name: str
    points: Sequence[DiffusionPoint]
    fit: ArrheniusResult | None
    trouble: str
    sizes: Mapping[float, SizeExtrapolation]

    def to_json(self) -> dict[str, Json]:
        """Everything, ready for :func:`json.dumps`; values of a missing fit are None."""
        names = (f.name for f in fields(ArrheniusResult) if f.name != "law")
        values = dict.fromkeys(names) if self.fit is None else self.fit.to_json()
        return {
            **values,
            "name": self.name,
            "trouble": self.trouble,
            "points": [point.to_json() for point in self.points],
            "sizes": [{"temperature_K": T, **fit.to_json()} for T, fit in self.sizes.items()],
        }


def fit_points(
    points: Sequence[DiffusionPoint],
    *,
    name: str = "",
    at_K: float = 300.0,
    form: Form = "line",
    squared_charge_density_A3: float | None = None,
    is_size_extrapolated: bool = False,
    transitions_K: Sequence[float] = (),
) -> FittedPoints:
    """Fit the points that are not left out; say what prevents it or needs care.

    Parameters
    ----------
    points
        Values and bounds; see :func:`dasksse.analyse.diffusion_points.leave_out`.
    name
        Of the system or species.
    at_K
        Temperature to extrapolate to [K].
    form
        ``line``, ``two-segment`` or ``vtf``.
    squared_charge_density_A3
        Squared charge of the carriers times their density [e²/Å³], for the conductivity.
    is_size_extrapolated
        Replace the sizes of each temperature by an infinite one first.
    transitions_K
        Known transitions [K].
    """
    marked = list(points)
    sizes: dict[float, SizeExtrapolation] = {}
    try:
        if is_size_extrapolated:
            marked, sizes = extrapolate_points(points)
        used = [point for point in marked if not point.left_out]
        fit = fit_arrhenius(
            [point.temperature_K for point in used],
            [point.D_m2_s for point in used],
            [point.D_err_m2_s for point in used],
            upper_bound_m2_s=[point.upper_bound_m2_s for point in used],
            at_K=at_K,
            charge=None if squared_charge_density_A3 is None else 1.0,
            carrier_density_A3=squared_charge_density_A3,
            form=form,
        )
    except AnalysisError as error:
        return FittedPoints(name, marked, None, str(error), sizes)
    notes = (*fit.notes, *_cares(used, at_K, transitions_K))
    return FittedPoints(name, marked, replace(fit, notes=notes), "", sizes)


def _cares(
    points: Sequence[DiffusionPoint], at_K: float, transitions_K: Sequence[float]
) -> list[str]:
    """What to be careful about in the points themselves."""
    notes = []
    largest = max(point.D_m2_s or 0.0 for point in points)
    if largest > SUSPICIOUS_D_M2_S:
        notes.append(
            f"the largest D, {largest:.1e} m²/s, is more than solids or liquids have: is it in "
            "cm²/s?"
        )
    if len({(p.length_A, p.n_atoms) for p in points}) > 1:
        notes.append("cells of several sizes are in one fit; see --size-extrapolation")
    temperatures = [point.temperature_K for point in points]
    for transition_K in transitions_K:
        if min(temperatures) < transition_K < max(temperatures):
            notes.append(
                f"points lie on both sides of the transition at {transition_K:g} K: fit the "
                "sides by themselves with --min-K and --max-K, or with --form two-segment"
            )
        elif min(*temperatures, at_K) < transition_K < max(*temperatures, at_K):
            notes.append(
                f"the extrapolation to {at_K:g} K crosses the transition at {transition_K:g} K "
                "and says nothing beyond it"
            )
    return notes
