"""Which quarantined units can come back without making finished work wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dasksse.loop.schemes import SCHEMES
from dasksse.loop.walk import RunState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from dasksse.config.schema import RunConfig
    from dasksse.loop.books import Books
    from dasksse.loop.schemes import Scheme
    from dasksse.loop.walk import Plan

BUILT_ON = frozenset({"md", "train"})
"""Kinds whose members are fixed when the run goes on without one of them."""

COMPUTED_ANEW = frozenset({"convergence", "diffusion", "evaluate"})
"""Kinds that nothing is built on: they take in what comes back."""


@dataclass(frozen=True)
class Releases:
    """What becomes of the quarantined units that were asked for.

    Attributes
    ----------
    released
        Keys of those that can be tried again.
    kept
        Why the others stay, by key.
    """

    released: list[str]
    kept: dict[str, str]


def choose_releases(
    config: RunConfig,
    digests: Mapping[str, str],
    books: Books,
    keys: Collection[str],
    *,
    scheme: Scheme = SCHEMES["dpgen"],
) -> Releases:
    """Tell units that the plan still has a use for from those it went on without.

    A label joins the next data set and a production run the next analysis. An exploration run
    or a member of an ensemble is of use only as long as nothing was built on the others.

    Parameters
    ----------
    config, digests
        As for a plan.
    books
        What is known of the run.
    keys
        Quarantined units that were asked for.
    scheme
        Makes the plans.
    """

    def plan_with(released: Collection[str]) -> Plan:
        failed = {key: why for key, why in books.failed.items() if key not in released}
        return scheme(config, digests, RunState(books.results, failed, books.decisions))

    now = plan_with(())
    releases = Releases([], {})
    for key in keys:
        kind, generation = books.failed[key]["kind"], books.failed[key]["generation"]
        if key not in now.touched:
            releases.kept[key] = "the configuration has no use for it any more"
        elif kind in BUILT_ON and not _is_wanted(key, now, plan_with((key,)), books):
            releases.kept[key] = f"generation {generation} went on without it"
        else:
            releases.released.append(key)
    return releases


def _is_wanted(key: str, now: Plan, then: Plan, books: Books) -> bool:
    """True when a unit would be done and no finished unit would lose its place for it."""
    dropped = (now.touched - then.touched) & books.results.keys()
    is_harmless = all(books.kinds[other] in COMPUTED_ANEW for other in dropped)
    return is_harmless and any(unit.key == key for unit in then.ready)
