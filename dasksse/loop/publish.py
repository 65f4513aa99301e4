"""What the driver alone writes: allocations, commits, labels and models of finished work."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from typing import TYPE_CHECKING

from dasksse.records import Labels, content_key
from dasksse.store.allocation import allocate
from dasksse.store.folders import read_json
from dasksse.store.labels import LabelBatch, append_labels, mark_rejected, stored_units
from dasksse.store.layout import open_store
from dasksse.store.provenance import package_versions
from dasksse.store.sealing import drop_consolidated
from dasksse.store.trajectories import commit_runs

if TYPE_CHECKING:
    from pathlib import Path

    from dasksse.config.schema import RunConfig
    from dasksse.loop.walk import Plan
    from dasksse.store.folders import RunFolder


class Publisher:
    """Brings the store in line with a plan; repeats are free and safe."""

    def __init__(self, folder: RunFolder, config: RunConfig) -> None:
        self._folder = folder
        self._config = config
        self._is_open = False
        self._allocated: set[str] = set()
        self._committed: dict[str, dict[int, tuple[str, int]]] = {}
        self._labels: set[str] = set()
        self._systems: set[str] = set()
        self._models: dict[int, list[str]] = {}
        self._rejected = ""

    def publish(self, plan: Plan) -> list[tuple[str, str]]:
        """Write what the plan says is done and is not in the store yet.

        Returns
        -------
        list[tuple[str, str]]
            Group and key of finished MD units whose frames are no longer in the store.
        """
        lost: list[tuple[str, str]] = []
        if not self._is_open and (plan.groups or plan.labels):
            self._open()
        for group in plan.groups:
            if group.path not in self._allocated:
                allocate(self._folder.root, group)
                self._allocated.add(group.path)
        for path, finished in plan.commits.items():
            if self._committed.get(path) != finished:
                lost += [(path, key) for key in commit_runs(self._folder.root, path, finished)]
                self._committed[path] = finished
        self._publish_labels(plan)
        if plan.rejected != self._rejected:
            rejected = read_json(self._folder.root / plan.rejected)
            for system in self._systems:
                mark_rejected(self._folder.root, system, rejected.get(system, {}))
            self._rejected = plan.rejected
        for generation, models in plan.models.items():
            if self._models.get(generation) != models:
                self._publish_models(generation, models)
                self._models[generation] = models
        return lost

    def _open(self) -> None:
        """Make the store where there is none, and say whose it is; studies need none."""
        config = self._config
        open_store(self._folder.root).attrs.update(
            {
                "run": config.name,
                "seed": config.seed,
                "config_hash": content_key(config),
                "mobile_species": config.mobile_species,
                "versions": package_versions(),
            }
        )
        drop_consolidated(self._folder.root)
        self._is_open = True

    def _publish_labels(self, plan: Plan) -> None:
        for system in {entry[2] for entry in plan.labels} - self._systems:
            self._systems.add(system)
            self._labels |= stored_units(self._folder.root, system)
        new = [entry for entry in plan.labels if entry[1] not in self._labels]
        batches: dict[str, list[LabelBatch]] = defaultdict(list)
        for kind, key, system, role, generation in new:
            labels = Labels.load(self._folder.unit(kind, key) / "labels.npz")
            batches[system].append(LabelBatch(key, labels, generation, role))
        for system, group in batches.items():
            append_labels(self._folder.root, system, group)
        self._labels.update(entry[1] for entry in new)

    def _publish_models(self, generation: int, models: list[str]) -> None:
        """Give the models of a generation a readable place; links where the disk can."""
        target = self._folder.root / "models" / f"{generation:03d}"
        target.mkdir(parents=True, exist_ok=True)
        for index, model in enumerate(models):
            source = self._folder.root / model
            _link(source, target / f"model_{index}{source.suffix}")


def _link(source: Path, target: Path) -> None:
    if target.exists():
        if target.samefile(source):
            return
        target.unlink()
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
