"""Arrhenius fits as JSON values: the form to go by, and its curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.units import BOLTZMANN_EV_K

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from dasksse.records import Json


def chosen_form(fit: Mapping[str, Json]) -> Mapping[str, Any]:
    """The line where one line does; else the form with the smallest Akaike criterion.

    Parameters
    ----------
    fit
        As :meth:`dasksse.analyse.arrhenius_result.ArrheniusResult.to_json` gives it.
    """
    if fit["one_line_ok"] is not False:
        return fit
    known = [form for form in fit["alternatives"].values() if form["aic"] is not None]
    return min([fit, *known], key=lambda form: float(form["aic"]))


def D_of_form(form: Mapping[str, Any], T_K: NDArray[np.float64]) -> NDArray[np.float64]:
    """D [m²/s] of one form at temperatures [K]."""
    values = form["parameters"]
    inverse = 1.0 / (BOLTZMANN_EV_K * T_K)
    if form["form"] == "two-segment":
        from_kink = 1.0 / (BOLTZMANN_EV_K * values["kink_K"]) - inverse
        slope = np.where(from_kink > 0.0, values["Ea_hot_eV"], values["Ea_cold_eV"])
        return np.asarray(np.exp(values["ln_D_at_kink"] + slope * from_kink))
    if form["form"] == "vtf":
        return np.asarray(np.exp(values["ln_D0"] - values["B_K"] / (T_K - values["T0_K"])))
    return np.asarray(np.exp(values["ln_D0"] - values["Ea_eV"] * inverse))
