"""Runs and points of D(T) that can be compared, and what is to be said of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dasksse.analyse.diffusion_points import BROKEN_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dasksse.records import Json, Trajectory


def broke_off(run: Trajectory, n_planned: int) -> str:
    """That a run has fewer frames than were planned, with both lengths; empty if it has all."""
    if run.n_frames >= n_planned:
        return ""
    reached_ps, planned_ps = (
        n * run.frame_interval_ps for n in (run.n_frames - 1, n_planned - 1)
    )
    return f"broke off after {reached_ps:.4g} of {planned_ps:.4g} ps"


def has_whole_framework(point: Mapping[str, Json]) -> bool:
    """Whether the framework held: D of a molten crystal is another quantity."""
    return not point["framework_melted"] and (point["framework_broken"] or 0.0) <= BROKEN_LIMIT


def usable(points: Iterable[Mapping[str, Json]]) -> list[Mapping[str, Json]]:
    """Points with a D, its error, and a whole framework."""
    return [
        point
        for point in points
        if point["D_m2_s"] and point["D_err_m2_s"] and has_whole_framework(point)
    ]


def point_notes(
    points: Iterable[Mapping[str, Json]],
    *,
    untrusted_share: float,
    name: Callable[[Mapping[str, Json]], str],
) -> list[str]:
    """Sentences on points that are not compared, or that the potential does not know.

    Parameters
    ----------
    points
        Of :func:`dasksse.study.points.points_of`.
    untrusted_share
        Share of frames above the upper trust level from which on that is said.
    name
        What a point is of, such as ``PBEsol at 600 K``.
    """
    notes = []
    for point in points:
        if not has_whole_framework(point):
            melted = ", ".join(point["framework_melted"] or ()) or "bonds broken"
            notes.append(f"{name(point)} is left out: the framework did not hold ({melted}).")
        share = point["untrusted_fraction"] or 0.0
        if share > untrusted_share:
            notes.append(
                f"{name(point)}: {100 * share:.1f} % of frames are above the upper trust level "
                "and outside what the potential knows."
            )
    return notes
