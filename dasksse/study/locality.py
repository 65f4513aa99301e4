"""Forces on an atom whose surroundings are fixed: Fig. 3 of Huang et al. 2021."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dasksse.loop.units import derived_seed, label_sources
from dasksse.report.data import Verdict
from dasksse.report.figures.study_locality import study_locality
from dasksse.report.formats import format_value_error
from dasksse.study.case import repeated, studied_system
from dasksse.study.failure import nothing_found, why_failed
from dasksse.study.locality_frames import by_element
from dasksse.study.material import is_material
from dasksse.study.outcome import Outcome, Row, Table
from dasksse.units import MEV_PER_EV

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from dasksse.config.schema import RunConfig, SystemSection
    from dasksse.records import Json, Unit
    from dasksse.report.data import Level
    from dasksse.study.bench import Bench
    from dasksse.study.case import Case

SUBJECT = "Locality"

LOCAL_SHARE = 0.2
"""Spread over the lower trust level up to which what lies beyond the cutoff does not matter: in
the paper 10 of 120 meV/Å, a twelfth."""

NO_LIMIT = 1e9
"""Frames are not refused for their forces: those that are left would have a smaller spread."""

ZERO_MEV_A = 1e-6
"""Below this a deviation is rounding."""

RADIUS_MARGIN_A = 0.25
"""A radius so near the cutoff stands for it."""

PAPER = {"material": "Li10GeP2S12", "low_meV_A": 5.0, "high_meV_A": 10.0}
"""What the text of the paper says of Fig. 3: "around 5 meV/Å to 10 meV/Å"."""


class Locality:
    """Whether a potential that sees its neighbourhood only can be right."""

    name = "locality"
    title = "Locality"
    question = "How much of the force on an atom comes from beyond the cutoff of the models?"
    source = "Huang et al. 2021, Fig. 3, doi:10.1063/5.0041849 (Li10GeP2S12)"
    caption = (
        "Root-mean-square deviation of the force on an atom while it and all atoms within r "
        "are fixed and the others are displaced at random; mean over the atoms of an element, "
        "bars: their scatter, or the standard error of a single one. The paper finds around 5 "
        "to 10 meV/Å, low for Li and higher for Ge and P, falling with r. It does not say how "
        "far atoms were displaced, and the deviation grows in proportion to that."
    )

    def lacks(self, config: RunConfig) -> str:  # noqa: ARG002 - every configuration allows it
        """Never anything."""
        return ""

    def cases(self, config: RunConfig) -> list[Case]:  # noqa: ARG002 - none whatever it says
        """No MD."""
        return []

    def n_labels(self, config: RunConfig) -> int:
        """Frames of all spheres, if all elements are there and all radii fit the cell."""
        section = config.studies.locality
        if section.forces_from == "models":
            return 0
        spheres = len(config.type_map) * section.atoms_per_element * len(section.radii_A)
        return spheres * section.n_frames

    def conclude(self, bench: Bench) -> Outcome | None:
        """Spread of the forces by element and radius."""
        structure = bench.structure(_system(bench.config))
        if structure is None:
            return None
        drawing = _drawing(bench, structure)
        if not bench.walk.want([drawing]):
            return None
        drawn = bench.walk.result(drawing)
        if drawn is None:
            return nothing_found(SUBJECT, f"No frames: {why_failed(bench, drawing)}")
        return _concluded(bench, structure, drawn)

    def draw(self, values: Mapping[str, Json]) -> Figure:
        """Spread of each element against the radius."""
        return study_locality(values)


def _system(config: RunConfig) -> SystemSection:
    section = config.studies.locality
    system = studied_system(config, section.system)
    return system if section.supercell is None else repeated(system, section.supercell)


def _drawing(bench: Bench, structure: Mapping[str, Json]) -> Unit:
    """Unit that makes the frames."""
    config, section = bench.config, bench.config.studies.locality
    payload = {
        "structure_file": structure["file"],
        "radii_A": list(section.radii_A),
        "atoms_per_element": section.atoms_per_element,
        "n_frames": section.n_frames,
        "rattle_A": section.rattle_A,
        "min_distance_A": config.start.min_distance_A,
        "seed": derived_seed(config.seed, "locality"),
    }
    return bench.unit("locality_frames:draw", payload)


def _forces(bench: Bench, drawn: Mapping[str, Json]) -> Unit | None:
    """Unit that reads the spreads; None while labels are under way."""
    config = bench.config
    if config.studies.locality.forces_from == "models":
        payload = {
            "frames_file": drawn["file"],
            "centres": drawn["centres"],
            "models": list(bench.models),
            "type_map": list(config.type_map),
        }
        return bench.unit("locality_frames:from_models", payload)
    label = config.label.model_copy(update={"virial": False, "max_force_eV_A": NO_LIMIT})
    sources = label_sources(
        config.model_copy(update={"label": label}),
        drawn=drawn,
        indices=range(drawn["n_frames"]),
        system=_system(config).name,
        role="locality",
        generation=-1,
        known={},
    )
    units = [source.unit for source in sources]
    if not bench.walk.want(units):
        return None
    done = [unit for unit in units if bench.walk.result(unit) is not None]
    payload = {
        "centres": drawn["centres"],
        "units": [[unit.key, unit.payload["indices"]] for unit in done],
    }
    return bench.unit("locality_frames:from_labels", payload)


def _concluded(
    bench: Bench, structure: Mapping[str, Json], drawn: Mapping[str, Json]
) -> Outcome | None:
    """Outcome from frames that are there."""
    notes = [f"Left out: {text}." for text in drawn["left_out"]]
    if not drawn["centres"]:
        text = f"No sphere fits the cell, which is {drawn['width_A']:.2f} Å wide."
        return nothing_found(SUBJECT, text, notes)
    unit = _forces(bench, drawn)
    if unit is None or not bench.walk.want([unit]):
        return None
    found = bench.walk.result(unit)
    if found is None:
        return nothing_found(SUBJECT, f"No forces: {why_failed(bench, unit)}", notes)
    return _outcome(bench, structure, drawn, found, notes)


def _outcome(
    bench: Bench,
    structure: Mapping[str, Json],
    drawn: Mapping[str, Json],
    found: Mapping[str, Json],
    notes: list[str],
) -> Outcome:
    section = bench.config.studies.locality
    rows = by_element(found["centres"])
    n_missing = drawn["n_frames"] - sum(centre["n_frames"] for centre in found["centres"])
    if n_missing:
        notes = [*notes, f"{n_missing} of {drawn['n_frames']} frames have no label."]
    if not rows:
        return nothing_found(SUBJECT, "Not one atom has two frames with forces.", notes)
    is_paper = is_material(structure["numbers"], str(PAPER["material"]))
    values = {
        "rows": [_in_meV(row) for row in rows],
        "centres": [_in_meV(centre) for centre in found["centres"]],
        "formula": structure["formula"],
        "n_atoms": structure["n_atoms"],
        "cell_width_A": drawn["width_A"],
        "cutoff_A": float(bench.config.train.descriptor.get("rcut", 6.0)),
        "rattle_A": section.rattle_A,
        "lower_trust_level_meV_A": MEV_PER_EV * bench.levels[0],
        "forces_from": section.forces_from,
        "source": found["source"],
        "functional": found["functional"],
        "is_surrogate": found["is_surrogate"],
        "published": PAPER if is_paper else None,
    }
    return Outcome(
        verdict=_verdict(values), tables=(_table(values),), values=values, notes=tuple(notes)
    )


def _in_meV(row: Mapping[str, Json]) -> dict[str, Any]:
    """The same with its ``*_eV_A`` in ``*_meV_A``."""
    return {
        key.replace("_eV_A", "_meV_A"): value * MEV_PER_EV
        if key.endswith("_eV_A") and value is not None
        else value
        for key, value in row.items()
    }


def _text(row: Mapping[str, Json]) -> str:
    if row["sigma_meV_A"] < ZERO_MEV_A:
        return "0"
    return format_value_error(row["sigma_meV_A"], row["error_meV_A"])


def _table(values: Mapping[str, Json]) -> Table:
    rows = []
    for radius_A in sorted({row["radius_A"] for row in values["rows"]}):
        line: Row = {"r [Å]": f"{radius_A:g}"}
        for element in dict.fromkeys(row["element"] for row in values["rows"]):
            own = [
                _text(row)
                for row in values["rows"]
                if (row["element"], row["radius_A"]) == (element, radius_A)
            ]
            line[f"{element}, σ [meV/Å]"] = own[0] if own else "–"
        if values["published"] is not None:
            low, high = values["published"]["low_meV_A"], values["published"]["high_meV_A"]
            line["paper, all elements [meV/Å]"] = f"around {low:g} to {high:g}"
        rows.append(line)
    return Table("Deviation of the force on the central atom", tuple(rows))


def _verdict(values: Mapping[str, Json]) -> Verdict:
    """Spread at the radius next to the cutoff against the lower trust level."""
    radius_A = min(
        {row["radius_A"] for row in values["rows"]},
        key=lambda r: (abs(r - values["cutoff_A"]), r),
    )
    at = [row for row in values["rows"] if row["radius_A"] == radius_A]
    worst = max(at, key=lambda row: row["sigma_meV_A"])
    limit = values["lower_trust_level_meV_A"]
    share = worst["sigma_meV_A"] / limit
    listed = ", ".join(f"{row['element']} {_text(row)}" for row in at)
    text = (
        f"Displacing all atoms beyond {radius_A:g} Å by {values['rattle_A']:g} Å (standard "
        f"deviation of a component) moves the force on an atom by {listed} meV/Å; the largest "
        f"is {100 * share:.0f} % of the lower trust level ({limit:.0f} meV/Å)."
    )
    level: Level = "trust" if share <= LOCAL_SHARE else "care" if share <= 1.0 else "doubt"
    if abs(radius_A - values["cutoff_A"]) > RADIUS_MARGIN_A:
        level = _at_best_care(level)
        text += f" The cutoff of the models, {values['cutoff_A']:g} Å, was not among the radii."
    return Verdict(*_by_whom(values, level, text))


def _at_best_care(level: Level) -> Level:
    return "care" if level == "trust" else level


def _by_whom(values: Mapping[str, Json], level: Level, text: str) -> tuple[Level, str, str]:
    """Level, subject and text, with what the source of the forces allows to be said."""
    if values["forces_from"] == "models":
        text += (
            f" The forces are those of {values['source']}, which sees nothing beyond twice its "
            "cutoff: this shows the models, not the material."
        )
    elif values["is_surrogate"]:
        text += (
            f" The forces are those of {values['source']}, a surrogate with a range of its "
            "own, not DFT: what is missing in it cannot show."
        )
    else:
        return level, SUBJECT, f"{text} Forces: {values['source']}, {values['functional']}."
    return _at_best_care(level), SUBJECT, text
