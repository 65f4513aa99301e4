"""What labels have taken so far, for the estimate of those to come."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import yaml

from dasksse.errors import ConfigError, StoreError
from dasksse.process import ranks_of
from dasksse.store.folders import RunFolder
from dasksse.store.journal_reader import JournalReader
from dasksse.store.labels import read_label_facts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dasksse.config.schema import RegistrySection

DFT_EXPONENT = 2.0
"""Power of the number of atoms with which the time of a DFT label is taken to grow: the cube
for the electrons, less one for the k-points, which become fewer as the cell grows."""

MODEL_EXPONENT = 1.0
"""The same for models of DFT and for classical potentials, which look at neighbours only."""


@dataclass(frozen=True)
class LabelRate:
    """Measured time of a label.

    Attributes
    ----------
    mean_s
        Mean time of a label [s] by number of atoms, failed ones included.
    n_labels
        Labels that it is the mean of.
    exponent
        Power of the number of atoms with which it grows.
    cores
        Cores that each of them had.
    run_dir
        Run folder that they are in.
    """

    mean_s: Mapping[int, float]
    n_labels: int
    exponent: float
    cores: int
    run_dir: Path

    def core_seconds(self, n_atoms: int) -> float:
        """Core-seconds of a label, scaled from the measured size that is nearest."""
        nearest = min(self.mean_s, key=lambda n: abs(math.log(n / n_atoms)))
        return self.cores * self.mean_s[nearest] * (n_atoms / nearest) ** self.exponent


def measured_rate(calculator: RegistrySection, run_dir: Path) -> LabelRate | None:
    """Time of the labels of a run, or of another one beside it with the same calculator.

    Parameters
    ----------
    calculator
        Calculator of the configuration.
    run_dir
        Folder of its run; it need not be there.

    Returns
    -------
    LabelRate | None
        None when no run has labels whose time is known.
    """
    beside = sorted(run_dir.parent.iterdir()) if run_dir.parent.is_dir() else []
    for folder in (run_dir, *(path for path in beside if path != run_dir)):
        if _uses(folder, calculator) and (rate := _rate_in(folder)):
            return rate
    return None


def _uses(run_dir: Path, calculator: RegistrySection) -> bool:
    """True for the folder of a run whose labels come from this calculator."""
    from dasksse.config.schema import RegistrySection
    from dasksse.label import resolved_calculator

    try:
        text = RunFolder(run_dir).resolved_config.read_text(encoding="utf-8")
        section = RegistrySection.model_validate(yaml.safe_load(text)["label"]["calculator"])
        return resolved_calculator(section) == resolved_calculator(calculator)
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError, ConfigError):
        return False  # no run, or one of a version that is too old to compare


def _rate_in(run_dir: Path) -> LabelRate | None:
    seconds: dict[int, list[float]] = {}
    is_surrogate = False
    for facts in read_label_facts(run_dir):
        known = facts.seconds[np.isfinite(facts.seconds)]
        if len(known):
            seconds.setdefault(facts.n_atoms, []).extend(known)
            is_surrogate = facts.is_surrogate
    if not seconds:
        return None
    return LabelRate(
        {n_atoms: float(np.mean(values)) for n_atoms, values in seconds.items()},
        sum(map(len, seconds.values())),
        MODEL_EXPONENT if is_surrogate else DFT_EXPONENT,
        _cores_in(run_dir),
        run_dir,
    )


def _cores_in(run_dir: Path) -> int:
    """Cores that the labels of a run had; 1 where its journal does not say."""
    try:
        journal = JournalReader(RunFolder(run_dir).journal)
    except StoreError:
        return 1
    cores = journal.label_cores()
    journal.close()
    return cores


def cores_of(threads: int, prefix: Sequence[str]) -> int:
    """Cores that a program takes which is started with threads and behind a command prefix.

    Parameters
    ----------
    threads
        Threads that a worker may use.
    prefix
        Words before the program: ranks of an MPI launcher count.
    """
    return threads * ranks_of(prefix)
