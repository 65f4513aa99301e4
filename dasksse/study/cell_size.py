"""D in cells of several sizes: Fig. 7b of Huang et al. 2021, doi:10.1063/5.0041849."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.analyse.size_convergence import CellD, convergence_in_size
from dasksse.report.data import Verdict
from dasksse.report.figures.d_of_temperature import Series, d_of_temperature
from dasksse.study.case import Case, cell_name, repeated, studied_system
from dasksse.study.outcome import Outcome, Row, Table
from dasksse.study.points import d_text, points_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from dasksse.analyse.size_convergence import ConvergenceInSize
    from dasksse.config.schema import RunConfig
    from dasksse.records import Json
    from dasksse.study.bench import Bench

TOLERANCE = 0.2
"""Relative difference of the largest two cells up to which D is taken for converged."""


class CellSize:
    """How large the cell must be for D."""

    name = "cell-size"
    title = "Cell size"
    question = "From which number of atoms on does D no longer depend on the cell?"
    source = "Huang et al. 2021, Fig. 7b, doi:10.1063/5.0041849 (Li10SiP2S12)"
    caption = (
        "D of each cell against temperature, one standard error; arrows: upper bounds. The "
        "paper found 200 atoms 10 to 100 times too fast at low temperature, and 900 and 1600 "
        "atoms within 3e-12 m²/s of each other."
    )

    def lacks(self, config: RunConfig) -> str:  # noqa: ARG002 - every configuration allows it
        """Never anything."""
        return ""

    def cases(self, config: RunConfig) -> list[Case]:
        """One case for each cell, the smallest first."""
        section = config.studies.cell_size
        system = studied_system(config, section.system)
        return [
            Case(
                name=f"size-{system.name}-{cell_name(supercell)}",
                system=repeated(system, supercell),
                temperatures_K=section.temperatures_K,
                length_ps=section.length_ps,
                replicas=section.replicas,
            )
            for supercell in sorted(section.supercells, key=np.prod)
        ]

    def n_labels(self, config: RunConfig) -> int:  # noqa: ARG002 - none whatever it says
        """No single points."""
        return 0

    def conclude(self, bench: Bench) -> Outcome | None:
        """D of every cell, and whether the largest two agree at each temperature."""
        found: list[dict[str, Any]] = []
        is_complete = True
        for case in self.cases(bench.config):
            record = bench.diffusion(case)
            structure = bench.structure(case.system)
            if record is None or structure is None:
                is_complete = False
                continue
            found += points_of(
                record,
                cell=cell_name(case.system.supercell),
                n_atoms=int(structure["n_atoms"]),
            )
        if not is_complete:
            return None
        verdicts = [
            _compared(found, temperature_K)
            for temperature_K in bench.config.studies.cell_size.temperatures_K
        ]
        return _outcome(
            bench.config.mobile_species, found, [one for one in verdicts if one is not None]
        )

    def draw(self, values: Mapping[str, Json]) -> Figure:
        """D of each cell against temperature."""
        points = values["points"]
        sizes = sorted({point["n_atoms"] for point in points})
        series = [
            Series(f"{size} atoms", [p for p in points if p["n_atoms"] == size])
            for size in sizes
        ]
        return d_of_temperature(series, mobile_species=values["mobile_species"])


def _compared(
    points: Sequence[Mapping[str, Json]], temperature_K: float
) -> ConvergenceInSize | None:
    """The largest two cells at a temperature; None where there are not two."""
    cells = [
        CellD(
            point["cell"],
            point["n_atoms"],
            float(point["volume_A3"]) ** (1.0 / 3.0),
            point["D_m2_s"],
            point["D_err_m2_s"],
            point["upper_bound_m2_s"],
        )
        for point in points
        if point["temperature_K"] == temperature_K
    ]
    if len({cell.n_atoms for cell in cells}) < 2:  # noqa: PLR2004 - two to compare
        return None
    return convergence_in_size(cells, temperature_K=temperature_K, tolerance=TOLERANCE)


def _outcome(
    mobile_species: str,
    points: Sequence[Mapping[str, Json]],
    compared: Sequence[ConvergenceInSize],
) -> Outcome:
    rows = []
    for temperature_K in sorted({point["temperature_K"] for point in points}):
        row: Row = {"T [K]": f"{temperature_K:g}"}
        for point in points:
            if point["temperature_K"] == temperature_K:
                row[f"{point['n_atoms']} atoms, D [m²/s]"] = d_text(point, "")
        rows.append(row)
    return Outcome(
        verdict=_verdict(compared),
        tables=(Table("D by number of atoms", tuple(rows)),),
        values={
            "mobile_species": mobile_species,
            "points": list(points),
            "sizes": [one.to_json() for one in compared],
        },
    )


def _verdict(compared: Sequence[ConvergenceInSize]) -> Verdict:
    subject = "Cell size"
    if not compared:
        return Verdict("doubt", subject, "No temperature has a D in two cells.")
    text = " ".join(f"At {one.temperature_K:g} K, {one.text}." for one in compared)
    states = {one.state for one in compared}
    if states == {"agree"}:
        return Verdict("trust", subject, text)
    return Verdict("doubt" if "differ" in states else "care", subject, text)
