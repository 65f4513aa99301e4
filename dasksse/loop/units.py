"""Units that make structures, labels and models: payloads, keys and amounts of work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dasksse.config.descriptors import has_shared_places
from dasksse.loop.walk import make_unit
from dasksse.records import Json, Unit, content_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dasksse.config.schema import RunConfig


def derived_seed(*parts: Json) -> int:
    """A seed below 2^31 that follows from the run's seed and a purpose."""
    return int(content_key("seed", *parts)[:8], 16) % (2**31 - 2) + 1


@dataclass(frozen=True)
class LabelSource:
    """A finished or wanted unit that yields labels.

    Attributes
    ----------
    unit
        The unit.
    system
        System the frames belong to.
    role
        ``start``, ``relax``, ``candidate``, ``check``, ``probe`` or ``imported``.
    generation
        Generation that asked for it.
    temperatures_K
        Temperature of the MD that each of its frames is from; None where that is not known.
    """

    unit: Unit
    system: str
    role: str
    generation: int
    temperatures_K: tuple[float, ...] | None = None

    @property
    def reference(self) -> list[str]:
        """Kind, key and system, as payloads carry them."""
        return [self.unit.kind, self.unit.key, self.system]


def structure_unit(config: RunConfig, name: str, digest: str) -> Unit:
    """Build one system: read, order, supercell, check."""
    section = config.system(name).model_dump(mode="json")
    payload = {
        "section": section,
        "digest": digest,
        "type_map": list(config.type_map),
        "mobile_species": config.mobile_species,
    }
    return make_unit("structure", "REDUCE", "structures:build", payload)


def relax_unit(
    config: RunConfig, name: str, structure: Unit, *, known: Sequence[str] = ()
) -> Unit:
    """Relax the crystal with the labeller; configurations in known files are not computed."""
    relax = config.start.relax
    payload = {
        "structure": structure.key,
        "system": name,
        "relax": None if relax is None else relax.model_dump(mode="json"),
        "label": _label_settings(config),
    }
    steps = 0 if relax is None else relax.max_steps
    return make_unit(
        "relax",
        "LABEL",
        "structures:relax",
        {**payload, "known": list(known)},
        amount=steps,
        amount_name="labels",
        identity=payload,
    )


def start_unit(config: RunConfig, name: str, structure_file: str, n_frames: int) -> Unit:
    """Perturbed copies of a crystal."""
    start = config.start
    payload = {
        "structure_file": structure_file,
        "n_frames": n_frames,
        "rattle_A": list(start.rattle_A),
        "strain": start.strain,
        "min_distance_A": start.min_distance_A,
        "seed": derived_seed(config.seed, "start", name),
    }
    return make_unit("start", "REDUCE", "structures:start_set", payload)


def start_unit_for(structure_file: str) -> Unit:
    """A cheap real unit for a structure in a run folder: `dasksse doctor` sends it around."""
    payload = {
        "structure_file": structure_file,
        "n_frames": 2,
        "rattle_A": [0.01, 0.02],
        "strain": 0.01,
        "min_distance_A": 0.5,
        "seed": 1,
    }
    return make_unit("start", "REDUCE", "structures:start_set", payload)


def _label_settings(config: RunConfig) -> dict[str, Json]:
    return {
        "calculator": config.label.calculator.model_dump(mode="json"),
        "virial": config.label.virial,
        "max_force_eV_A": config.label.max_force_eV_A,
        "max_net_force_eV_A": config.label.max_net_force_eV_A,
    }


def label_sources(
    config: RunConfig,
    *,
    drawn: Mapping[str, Json],
    indices: Sequence[int],
    system: str,
    role: str,
    generation: int,
    known: Mapping[str, Sequence[str]],
) -> list[LabelSource]:
    """Label frames of the file that a unit made, batch by batch.

    The key rests on the frames' content: a frame chosen again, by other trust levels or in
    another order, is not labelled again as long as its batch is the same (always, for batches
    of one). In another batch it is not either once it is done: the batch is told which files
    of the run, by ``known``, hold labels of its frames. Its calculator decides in the worker
    whether they are its own, and the key does not depend on them: whatever is known when a
    run is resumed, it asks for the same units.

    Parameters
    ----------
    known
        Files of the run that hold the label of a frame, by the frame's content key.
    """
    from dasksse.label import label_costs

    size = config.label.batch_size or label_costs(config.label.calculator).batch_size
    sampled_K = drawn.get("temperatures_K")
    sources = []
    for first in range(0, len(indices), size):
        batch = [int(i) for i in indices[first : first + size]]
        settings = _label_settings(config)
        frame_keys = [drawn["frame_keys"][i] for i in batch]
        unit = make_unit(
            "label",
            "LABEL",
            "labels:label",
            {
                "frames_file": drawn["file"],
                "indices": batch,
                **settings,
                "known": sorted({file for key in frame_keys for file in known.get(key, ())}),
            },
            generation=generation,
            amount=len(batch),
            amount_name="labels",
            identity={"frames": frame_keys, **settings},
        )
        temperatures = tuple(float(sampled_K[i]) for i in batch) if sampled_K else None
        sources.append(LabelSource(unit, system, role, generation, temperatures))
    return sources


_NOT_SAMPLED = {"start", "relax", "imported"}
"""Roles of labels that no MD gave, or MD of which nothing is known."""


def _filters(
    config: RunConfig, sources: Sequence[LabelSource], structures: Mapping[str, str]
) -> dict[str, Json] | None:
    """What the filters of labels need to know; None when all are off."""
    section = config.label.filters
    if not section.is_on:
        return None
    framework = config.explore.framework
    return {
        "section": section.model_dump(mode="json"),
        "structures": {
            source.system: structures[source.system]
            for source in sources
            if source.system in structures  # imported labels have no structure of the run
        },
        "mobile_species": config.mobile_species,
        "framework": framework and [unit.model_dump(mode="json") for unit in framework],
        "sampled": {
            source.unit.key: source.temperatures_K and list(source.temperatures_K)
            for source in sources
            if source.role not in _NOT_SAMPLED
        },
    }


def dataset_unit(
    config: RunConfig,
    generation: int,
    sources: Sequence[LabelSource],
    *,
    structures: Mapping[str, str],
    previous_sel: Sequence[int] | None,
) -> Unit:
    """Training data of one generation; structures are files, by system."""
    descriptor = config.train.descriptor
    payload: dict[str, Json] = {
        "sources": [source.reference for source in sources],
        "mixing": config.label.mixing,
        "filters": _filters(config, sources, structures),
        "type_map": list(config.type_map),
        "held_out_share": config.train.held_out_share,
        "rcut_A": float(descriptor.get("rcut", 6.0)),
        "given_sel": descriptor.get("sel"),
        "previous_sel": None if previous_sel is None else list(previous_sel),
        "seed": config.seed,
    }
    if has_shared_places(descriptor):
        payload["shared_sel"] = True
    return make_unit("dataset", "REDUCE", "training:dataset", payload, generation=generation)


_NOT_OF_ONE_TRAINING = {
    "ensemble_size",
    "initial_models",
    "steps",
    "steps_warm",
    "held_out_share",
}
"""Keys of the section that the payload of a training has in another form, or has no need of."""


def train_units(
    config: RunConfig,
    generation: int,
    dataset: Unit,
    *,
    initial: Sequence[Mapping[str, Json]] | None,
    steps: int,
) -> list[Unit]:
    """One training per member; from scratch when there is nothing to start from."""
    section = config.train.model_dump(
        mode="json", exclude=_NOT_OF_ONE_TRAINING, exclude_none=True
    )
    units = []
    for member in range(config.train.ensemble_size):
        init = None
        if initial is not None:
            init = str(initial[member % len(initial)]["checkpoint"])
        payload = {
            "dataset": dataset.key,
            "section": section,
            "type_map": list(config.type_map),
            "steps": steps,
            "init_from": init,
            "seed": derived_seed(config.seed, "train", member, generation),
        }
        units.append(
            make_unit(
                "train",
                "TRAIN",
                "training:train",
                payload,
                generation=generation,
                amount=steps,
                amount_name="training steps",
            )
        )
    return units


def evaluate_unit(
    config: RunConfig,
    generation: int,
    *,
    models: Sequence[str],
    dataset: Unit | None,
    sources: Mapping[str, Sequence[Sequence[str]]],
    max_frames: int | None = None,
) -> Unit:
    """Errors of an ensemble on the given labels, and on training and held-out ones.

    Parameters
    ----------
    max_frames
        Frames of each set of the given labels at most, evenly drawn; all when None.
    """
    payload: dict[str, Json] = {
        "models": list(models),
        "dataset": None if dataset is None else dataset.key,
        "sources": {name: [list(s) for s in part] for name, part in sources.items()},
        "type_map": list(config.type_map),
    }
    if max_frames is not None:
        payload["max_frames"] = max_frames
    return make_unit("evaluate", "REDUCE", "training:evaluate", payload, generation=generation)
