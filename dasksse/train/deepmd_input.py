"""The DeePMD-kit training input: from a configuration section to one dictionary."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.config.descriptors import has_shared_places, has_type_embedding
from dasksse.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dasksse.config.schema import TrainSection

CHECKPOINT_NAME = "model.ckpt"
CURVE_NAME = "lcurve.out"
_DECAYS = 200
"""Drops of the learning rate in one training: every 2000 of 400 000 steps (Huang et al. 2021,
doi:10.1063/5.0041849), so a training of any length sees the whole schedule."""
_CURVE_ROWS = 50
_CHECKPOINTS_KEPT = 2
_VALIDATION_BATCHES = 4
_LOSS = {
    "type": "ener",
    "start_pref_e": 0.02,
    "limit_pref_e": 1.0,
    "start_pref_f": 1000.0,
    "limit_pref_f": 1.0,
}
_VIRIAL_LOSS = {"start_pref_v": 0.01, "limit_pref_v": 1.0}


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Copy of a nested dictionary with another one laid over it, key by key.

    Parameters
    ----------
    base
        Left unchanged.
    changes
        Dictionaries are merged; any other value replaces the one below it.
    """
    result = deepcopy(dict(base))
    for key, value in changes.items():
        below = result.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            result[key] = merged(below, value)
        else:
            result[key] = deepcopy(value)
    return result


def display_interval(steps: int, checkpoint_every_steps: int) -> int:
    """Steps between rows of the learning curve.

    DeePMD-kit writes a checkpoint only at a step where it writes a row too, so this divides
    the checkpoint interval.

    Parameters
    ----------
    steps
        Length of the training.
    checkpoint_every_steps
        Interval of checkpoints, at least 1.
    """
    wanted = max(1, min(steps // _CURVE_ROWS, 1000))
    divisors = (n for n in range(wanted, 0, -1) if checkpoint_every_steps % n == 0)
    return next(divisors)


def _model(
    section: TrainSection, *, type_map: Sequence[str], sel: Sequence[int], seeds: list[int]
) -> dict[str, Any]:
    places = sel[0] if has_shared_places(section.descriptor) else list(sel)
    descriptor = {"sel": places, "precision": section.precision, **section.descriptor}
    fitting = {"type": "ener", "precision": section.precision, **section.fitting_net}
    model: dict[str, Any] = {
        "type_map": list(type_map),
        "descriptor": deepcopy(descriptor) | {"seed": seeds[0]},
        "fitting_net": deepcopy(fitting) | {"seed": seeds[1]},
    }
    embedding = section.type_embedding
    if embedding is None and has_type_embedding(section.descriptor, backend=section.backend):
        embedding = {}  # DeePMD-kit's own would have no seed
    if embedding is not None:
        given = {"precision": section.precision, **embedding}
        model["type_embedding"] = deepcopy(given) | {"seed": seeds[2]}
    return model


def _training(
    section: TrainSection,
    *,
    systems: Sequence[Path],
    validation: Sequence[Path],
    steps: int,
    seed: int,
) -> dict[str, Any]:
    every = section.checkpoint_every_steps
    training: dict[str, Any] = {
        "training_data": {
            "systems": [str(path) for path in systems],
            "batch_size": section.batch_size,
        },
        "numb_steps": steps,
        "seed": seed,
        "disp_file": CURVE_NAME,
        "disp_freq": display_interval(steps, every),
        "save_freq": every,
        "save_ckpt": CHECKPOINT_NAME,
        "max_ckpt_keep": _CHECKPOINTS_KEPT,
    }
    if validation:
        training["validation_data"] = {
            "systems": [str(path) for path in validation],
            "batch_size": 1,
            "numb_btch": _VALIDATION_BATCHES,
        }
    return training


def training_input(  # noqa: PLR0913 - every fact a training depends on, by keyword
    section: TrainSection,
    *,
    type_map: Sequence[str],
    systems: Sequence[Path],
    validation: Sequence[Path],
    sel: Sequence[int],
    steps: int,
    seed: int,
    warm: bool,
    has_virial: bool,
) -> dict[str, Any]:
    """Whole input of one training, as DeePMD-kit 3 reads it.

    Parameters
    ----------
    section
        The configuration; ``loss`` is merged over the default loss, ``deepmd`` over all.
    type_map
        Elements in the order of the model's types.
    systems, validation
        Folders of npy systems to train on and to watch the error on (may be empty).
    sel
        Places for neighbours of each type, or one number where all types share them; a ``sel``
        in ``section.descriptor`` wins.
    steps
        Length of this training, above 0.
    seed
        Seed of the member; every network and the order of the data get seeds derived from it.
    warm
        True when it starts from the parameters of an earlier training.
    has_virial
        True when any frame carries a virial; else its loss is off.

    Returns
    -------
    dict
        JSON values only.

    Raises
    ------
    ConfigError
        When there is nothing to train on.
    """
    if not systems:
        msg = "no labelled frame to train on: every label was refused or none was asked for"
        raise ConfigError(msg)
    seeds = [int(n) for n in np.random.SeedSequence(seed).generate_state(4) >> 1]
    start = section.learning_rate_warm if warm else section.learning_rate
    generated = {
        "model": _model(section, type_map=type_map, sel=sel, seeds=[*seeds[:2], seeds[3]]),
        "learning_rate": {
            "type": "exp",
            "start_lr": start,
            "stop_lr": min(section.learning_rate_stop, start),
            "decay_steps": max(1, steps // _DECAYS),
        },
        "loss": merged(_LOSS | (_VIRIAL_LOSS if has_virial else {}), section.loss),
        "training": _training(
            section, systems=systems, validation=validation, steps=steps, seed=seeds[2]
        ),
    }
    return merged(generated, section.deepmd)
