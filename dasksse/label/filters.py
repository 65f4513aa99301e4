"""Filters of labels: which frames are kept out of training, and why.

The rules are those of Marcolongo et al. (arXiv:1910.10090) with guards on volume and on molten
frames. Rules on a single frame come first; the distributions of energies and forces are then
taken over the frames they leave. The labels themselves stay as they are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dasksse.label.filter_rules import FRAME_RULES, NEEDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from dasksse.config.schema import FiltersSection
    from dasksse.label.filter_rules import Reference
    from dasksse.records import Labels


@dataclass(frozen=True)
class LabelPart:
    """Labels of one system that come from one place.

    Attributes
    ----------
    system
        Name of the system.
    labels
        Good labels.
    temperatures_K
        Temperature of the MD that each frame is from, shape ``(frame,)``; NaN where it is not
        known.
    is_sampled
        True for frames of MD. False for perturbed crystals and steps of a relaxation: they
        follow no thermal distribution, so that no outlier of one can be told.
    """

    system: str
    labels: Labels
    temperatures_K: NDArray[np.float64]
    is_sampled: bool

    def take(self, index: Sequence[int] | NDArray[np.int64]) -> LabelPart:
        """Frames at the given indices, in that order."""
        chosen = np.asarray(index, dtype=int)
        temperatures = self.temperatures_K[chosen]
        return LabelPart(self.system, self.labels.take(chosen), temperatures, self.is_sampled)


@dataclass(frozen=True)
class Rejected:
    """A label that is kept out of training.

    Attributes
    ----------
    system
        Name of the system.
    frame_key
        Content key of the frame.
    rule
        Key of ``label.filters`` that refused it; the first one if there are several.
    reason
        What was found and what is allowed.
    """

    system: str
    frame_key: str
    rule: str
    reason: str


@dataclass(frozen=True)
class Filtered:
    """Outcome of the filters.

    Attributes
    ----------
    kept
        Parts without the refused frames; empty ones left out.
    rejected
        What was refused, in order.
    notes
        Where a rule that is on could not act, and why.
    """

    kept: tuple[LabelPart, ...]
    rejected: tuple[Rejected, ...]
    notes: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Refused frames by rule."""
        return dict(Counter(one.rule for one in self.rejected))


def filter_labels(
    parts: Sequence[LabelPart],
    section: FiltersSection,
    references: Mapping[str, Reference],
) -> Filtered:
    """Part labels that may be learned from and labels that may not.

    Parameters
    ----------
    parts
        Labels, all that are at hand: distributions are taken over all of them, each within
        one system, temperature, source and functional.
    section
        Rules and their limits.
    references
        Structure of each system, by name. Rules that need one leave labels alone that have
        none, or one of other atoms.
    """
    reasons: list[dict[int, tuple[str, str]]] = [{} for _ in parts]
    notes: list[str] = []
    for part, found in zip(parts, reasons, strict=True):
        reference = references.get(part.system)
        for name, rule in FRAME_RULES.items():
            limit = getattr(section, name)
            if limit is None:
                continue
            lacking = _lacking(part, reference, rule.needs)
            if lacking:
                notes.append(f"{name} did nothing for {part.system}: {lacking}")
                continue
            for frame, text in rule.refuse(part.labels.frames, limit, reference):
                found.setdefault(frame, (name, text))
    notes += _refuse_outliers(parts, section, reasons)
    rejected = []
    kept = []
    for part, found in zip(parts, reasons, strict=True):
        if found:
            keys = part.labels.frames.content_keys()
            rejected += [Rejected(part.system, keys[i], *found[i]) for i in sorted(found)]
        rest = [i for i in range(len(part.labels)) if i not in found]
        if rest:
            kept.append(part.take(rest))
    return Filtered(tuple(kept), tuple(rejected), tuple(dict.fromkeys(notes)))


def _lacking(part: LabelPart, reference: Reference | None, needs: str) -> str:
    """What a rule lacks to act; empty when it has all."""
    if not needs:
        return ""
    if reference is None:
        return "its structure is not known"
    if not np.array_equal(reference.frame.numbers, part.labels.frames.numbers):
        return "its structure has other atoms than these labels, or another order of them"
    if not len(getattr(reference, needs)):
        return f"its structure has no {NEEDS[needs]}"
    return ""


# --- rules on distributions ------------------------------------------------------------------


def _energies(labels: Labels) -> NDArray[np.float64]:
    """Energy per atom [eV], shape ``(frame, 1)``."""
    return labels.energies[:, None] / labels.frames.n_atoms


def _force_components(labels: Labels) -> NDArray[np.float64]:
    """Every force component [eV/Å], shape ``(frame, 3 atom)``."""
    return labels.forces.reshape(len(labels), -1)


class DistributionRule(NamedTuple):
    """Values of which none may be far from the median of the group, and how to name one."""

    values: Callable[[Labels], NDArray[np.float64]]
    noun: str
    decimals: int
    unit: str


DISTRIBUTION_RULES: dict[str, DistributionRule] = {
    "energy_iqr": DistributionRule(_energies, "energy", 4, "eV/atom"),
    "force_iqr": DistributionRule(_force_components, "force component", 2, "eV/Å"),
}
"""By key of ``label.filters``, in the order in which they are asked."""

Places = list[tuple[int, int]]
"""Part and frame of some labels."""


def _refuse_outliers(
    parts: Sequence[LabelPart],
    section: FiltersSection,
    found: Sequence[dict[int, tuple[str, str]]],
) -> list[str]:
    """Add outliers to what was found; where that could not be done, as notes."""
    rules = {name: rule for name, rule in DISTRIBUTION_RULES.items() if getattr(section, name)}
    notes = []
    for group, places in _groups(parts, found).items() if rules else ():
        where = _group_name(*group[:2])
        if len(places) < section.min_frames:
            notes.append(
                f"{' and '.join(rules)} did nothing for {where}: {len(places)} frames, "
                f"{section.min_frames} are needed"
            )
            continue
        for name, rule in rules.items():
            texts = _outliers(parts, places, rule, getattr(section, name))
            for (part, frame), text in texts.items():
                found[part].setdefault(
                    frame, (name, f"{text} of {len(places)} frames, {where}")
                )
    return notes


def _groups(
    parts: Sequence[LabelPart], found: Sequence[Mapping[int, Any]]
) -> dict[tuple[Any, ...], Places]:
    """Frames of MD not refused so far, by what their energies depend on."""
    groups: dict[tuple[Any, ...], Places] = defaultdict(list)
    for number, part in enumerate(parts):
        labels = part.labels
        kind = (labels.frames.numbers.tobytes(), labels.source, labels.functional)
        for frame, temperature in enumerate(part.temperatures_K if part.is_sampled else ()):
            if frame not in found[number]:
                known = None if np.isnan(temperature) else float(temperature)
                groups[part.system, known, *kind].append((number, frame))
    return groups


def _group_name(system: str, temperature_K: float | None) -> str:
    if temperature_K is None:
        return f"{system} at temperatures not known"
    return f"{system} at {temperature_K:g} K"


def _outliers(
    parts: Sequence[LabelPart], places: Places, rule: DistributionRule, factor: float
) -> dict[tuple[int, int], str]:
    """Frames with a value outside median +- factor x interquartile range of all."""
    values = {number: rule.values(parts[number].labels) for number, _ in places}
    chosen = np.stack([values[number][frame] for number, frame in places])
    lower, median, upper = np.percentile(chosen, [25, 50, 75])
    reach = factor * (upper - lower)
    low, high = (f"{limit:.{rule.decimals}f}" for limit in (median - reach, median + reach))
    far = np.abs(chosen - median).argmax(axis=1)
    extremes = chosen[np.arange(len(chosen)), far]
    return {
        place: f"{rule.noun} of {value:.{rule.decimals}f} {rule.unit} is outside {low} to "
        f"{high}, median +- {factor:g} interquartile ranges"
        for place, value in zip(places, extremes, strict=True)
        if abs(value - median) > reach
    }
