"""How diffusion of stored runs is shown, and its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

from dasksse.report.data import ProductionRow
from dasksse.report.formats import UNKNOWN, format_value_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from dasksse.analyse.diffusion_result import DiffusionResult
    from dasksse.analyse.transport import Usage
    from dasksse.analyse.vibration import FrameworkMotion
    from dasksse.cli.stored_runs import RunSet
    from dasksse.records import Json

AXES = 100.0
"""Percent of one."""
M2_PER_CM2 = 1e-4


@dataclass(frozen=True)
class Row:
    """Diffusion of one system at one temperature.

    Attributes
    ----------
    one
        System, temperature and pressure, and where in the store they are.
    usage
        Runs and frames that were used.
    result
        Diffusion.
    species_msd
        MSD of the other elements [Å²], shape ``(lag,)``; empty when not asked for.
    framework
        Whether the other elements stay at their places; None when nobody looked.
    melted
        Elements of the framework that have melted; None if that is not known.
    """

    one: RunSet
    usage: Usage
    result: DiffusionResult
    species_msd: Mapping[str, NDArray[np.float64]]
    framework: FrameworkMotion | None
    melted: tuple[str, ...] | None

    @property
    def system(self) -> str:
        """System, with its pressure where the store has several."""
        return f"{self.one.system}{self.one.at_pressure}"

    @property
    def n_atoms(self) -> int:
        """Atoms in the cell."""
        return len(self.usage.runs[0].numbers)

    def to_json(self) -> dict[str, Json]:
        """Keys of ``dasksse diffusion --json``."""
        return {
            **self.result.to_json(),
            "group": self.one.group,
            "system": self.one.system,
            "pressure_GPa": self.one.pressure_GPa,
            "n_atoms": self.n_atoms,
            "volume_A3": self.usage.volume_A3,
            "length_ps": self.usage.length_ps,
            "is_npt": self.usage.runs[0].is_npt,
            "mean_temperature_K": self.usage.mean_of("temperature"),
            "framework_broken": self._broken(),
            "framework_melted": None if self.melted is None else list(self.melted),
            "framework_bounded": self.framework and self.framework.is_bounded,
            "amplitude_A": self.framework
            and {element.symbol: element.amplitude_A for element in self.framework.elements},
            "notes": self.notes,
        }

    @property
    def notes(self) -> list[str]:
        """What was left out, and what D must not be trusted without."""
        if not self.melted:
            return list(self.usage.notes)
        text = (
            f"the framework has melted ({', '.join(self.melted)}): this is no D of a solid, "
            "leave it out of an Arrhenius fit"
        )
        return [*self.usage.notes, text]

    def to_production(self) -> ProductionRow:
        """What figures of reports draw."""
        result = self.result
        return ProductionRow(
            system=self.system,
            temperature_K=result.temperature_K or 0.0,
            n_runs=result.n_runs,
            n_atoms=self.n_atoms,
            length_ps=self.usage.length_ps,
            equilibration_ps=self.usage.first_frames[0] * self.usage.runs[0].frame_interval_ps,
            diffusion=result.to_json(),
            lag_ps=result.lag_ps,
            msd_A2=result.msd_A2,
            msd_err_A2=result.msd_err_A2,
            species_msd=self.species_msd,
            untrusted_fraction=result.untrusted_fraction,
        )

    def _broken(self) -> float | None:
        """Share of frames with a broken framework."""
        intact = self.usage.mean_of("framework_intact")
        return None if intact is None else 1.0 - intact


def print_results(console: Console, rows: Sequence[Row]) -> None:
    """Table of D, one line a system and temperature, and below it what limits them."""
    table = Table(box=None, pad_edge=False)
    table.add_column("system")
    titles = ("T K", "D m²/s", "95 %", "D cm²/s", "Haven", "σ mS/cm", "runs", "ps", "regime")
    for title in titles:
        table.add_column(title, justify="left" if title == "regime" else "right")
    for row in rows:
        table.add_row(row.system, *_cells(row))
    console.print(table)
    for row in rows:
        for line in _remarks(row):
            console.print(line, markup=False)


def _cells(row: Row) -> list[str]:
    result = row.result
    at = UNKNOWN if result.temperature_K is None else f"{result.temperature_K:g}"
    runs = [str(result.n_runs), f"{row.usage.length_ps:.4g}"]
    if result.D_m2_s is None:
        bound = result.upper_bound_m2_s
        below = UNKNOWN if bound is None else f"< {bound:.2g}"
        return [at, below, "", "", "", "", *runs, result.regime.replace("_", " ")]
    return [
        at,
        format_value_error(result.D_m2_s, result.D_err_m2_s),
        _range(result.D_low95_m2_s, result.D_high95_m2_s),
        f"{result.D_m2_s / M2_PER_CM2:.2e}",
        _or_unknown(result.haven_ratio, result.haven_ratio_err),
        _or_unknown(result.sigma_mS_cm, result.sigma_err_mS_cm),
        *runs,
        result.regime,
    ]


def _or_unknown(value: float | None, error: float | None) -> str:
    return UNKNOWN if value is None else format_value_error(value, error)


def _range(low: float | None, high: float | None) -> str:
    return UNKNOWN if low is None or high is None else f"{low:.2e} to {high:.2e}"


def _remarks(row: Row) -> list[str]:
    """What a number of the table must not be trusted without."""
    result = row.result
    at = "" if result.temperature_K is None else f" at {result.temperature_K:g} K"
    about = f"{row.system}{at}"
    window = "{:.3g} to {:.3g} ps".format(*result.fit_window_ps)
    lines = []
    if result.regime == "diffusive":
        by_axis = ", ".join(
            format_value_error(value, error)
            for value, error in zip(
                result.D_xyz_m2_s or (), result.D_xyz_err_m2_s or (), strict=True
            )
        )
        lines.append(
            f"{about}: fitted over {window} (log-log slope {result.log_slope:.2f}), "
            f"about {result.effective_jumps:.0f} jumps; D by axis {by_axis} m²/s"
        )
    else:
        lines.append(
            f"{about}: not yet linear up to {window} (log-log slope {result.log_slope:.2f}): "
            "only an upper bound (95 %) is known; run longer or hotter"
        )
    if result.temperature_K is None:
        lines.append(f"{about}: no temperature is known, so no conductivity")
    if result.untrusted_fraction:
        share = AXES * result.untrusted_fraction
        lines.append(f"{about}: {share:.1f} % of frames are outside the trust of the models")
    if row.framework is not None:
        lines.append(f"{about}: {row.framework.verdict}")
    return lines + [f"{about}: {note}" for note in row.notes]
