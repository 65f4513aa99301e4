"""What studies take, before anything starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dasksse.loop.estimate import md_core_s_per_step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.config.schema import RunConfig
    from dasksse.study.case import Case
    from dasksse.study.outcome import StudyKind


def case_core_s(case: Case, config: RunConfig, n_atoms: int) -> float:
    """Rough core-seconds of the MD of a case.

    Parameters
    ----------
    case
        The case.
    config
        The run's configuration.
    n_atoms
        Atoms of its system as the configuration has it.
    """
    repeats = np.prod(case.system.supercell) / np.prod(
        config.system(case.system.name).supercell
    )
    atoms = float(n_atoms * repeats)
    interval = case.section(config).frame_interval_steps
    return case.n_steps(config) * md_core_s_per_step(config, atoms, interval)


def studies_core_s(
    kinds: Sequence[StudyKind],
    config: RunConfig,
    n_atoms: Mapping[str, int],
    *,
    core_s_per_label: float | None,
) -> dict[str, float]:
    """Rough core-seconds of each study; runs that studies share count for the first.

    Parameters
    ----------
    kinds
        The studies.
    config
        The run's configuration.
    n_atoms
        Atoms of each system, by name.
    core_s_per_label
        Of a single point; None where that is not known, and they count as nothing.
    """
    counted: set[str] = set()
    costs = {}
    for kind in kinds:
        cases = [case for case in kind.cases(config) if case.name not in counted]
        counted.update(case.name for case in cases)
        core_s = sum(case_core_s(case, config, n_atoms[case.system.name]) for case in cases)
        costs[kind.name] = core_s + kind.n_labels(config) * (core_s_per_label or 0.0)
    return costs
