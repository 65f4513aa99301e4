"""The stage that puts a training set together: filters and the guard against mixed labels."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pretender import Pretender, toy

from dasksse.errors import ConfigError
from dasksse.loop.publish import Publisher
from dasksse.loop.stages.training import dataset
from dasksse.loop.walk import Plan
from dasksse.records import Frames, Labels, UnitContext
from dasksse.store.folders import RunFolder
from dasksse.store.layout import open_store

if TYPE_CHECKING:
    from pathlib import Path

SIDE_A = 6.0
N_FRAMES = 24
CRYSTAL = np.array([[0.0, 0.0, 0.0], [3.0, 3.0, 3.0]])


def labels_of(seed: int, n_frames: int = N_FRAMES) -> Labels:
    rng = np.random.default_rng(seed)
    frames = Frames(
        np.array([3, 17]),
        CRYSTAL + rng.normal(scale=0.05, size=(n_frames, 2, 3)),
        np.tile(SIDE_A * np.eye(3), (n_frames, 1, 1)),
    )
    return Labels(
        frames,
        rng.uniform(-0.1, 0.1, size=n_frames),
        rng.normal(size=(n_frames, 2, 3)),
        np.full((n_frames, 3, 3), np.nan),
        "code",
        "PBE",
        is_surrogate=False,
    )


class Bench:
    """A run folder with finished label units, and the stage."""

    def __init__(self, run_dir: Path) -> None:
        self.folder = RunFolder(run_dir)
        self.context = UnitContext(run_dir, run_dir / "work/dataset/new.part", lambda *_: None)
        self.context.workdir.mkdir(parents=True)
        Frames(np.array([3, 17]), CRYSTAL[None], SIDE_A * np.eye(3)[None]).save(
            run_dir / "salt.npz"
        )
        self.sources: list[list[str]] = []

    def add(self, labels: Labels) -> str:
        key = f"{len(self.sources):016x}"
        final = self.folder.unit("label", key)
        final.mkdir(parents=True)
        labels.save(final / "labels.npz")
        self.sources.append(["label", key, "salt"])
        return key

    def dataset(
        self, *, mixing: str = "refuse", sampled: Any = None, **rules: Any
    ) -> dict[str, Any]:
        payload = {
            "sources": self.sources,
            "mixing": mixing,
            "filters": None
            if sampled is None
            else {
                "section": rules,
                "structures": {"salt": "salt.npz"},
                "mobile_species": "Li",
                "framework": None,
                "sampled": sampled,
            },
            "type_map": ["Li", "Cl"],
            "held_out_share": 0.0,
            "rcut_A": 3.0,
            "given_sel": [4, 4],
            "previous_sel": None,
            "seed": 1,
        }
        return dataset(payload, self.context)

    def rejected(self) -> dict[str, dict[str, str]]:
        text = (self.context.workdir / "rejected.json").read_text(encoding="utf-8")
        return dict(json.loads(text))

    def trained_energies(self) -> set[float]:
        files = (self.context.workdir / "train").rglob("energy.npy")
        return {float(e) for file in files for e in np.load(file)}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def outlier(seed: int, at: int, energy: float) -> Labels:
    labels = labels_of(seed)
    labels.energies[at] = energy
    return labels


def test_outliers_are_kept_out_and_recorded_with_their_reason(bench: Bench) -> None:
    labels = outlier(1, 4, 50.0)
    key = bench.add(labels)

    record = bench.dataset(sampled={key: [600.0] * N_FRAMES}, energy_iqr=2.0)

    assert record["n_train"] == N_FRAMES - 1
    assert record["rejected"] == {"energy_iqr": 1}
    assert record["rejected_file"] == "work/dataset/new/rejected.json"
    ((frame_key, reason),) = bench.rejected()["salt"].items()
    assert frame_key == labels.frames.content_keys()[4]
    assert reason.startswith("energy_iqr: energy of 25.0000 eV/atom is outside")
    assert 50.0 not in bench.trained_energies()


def test_temperatures_of_one_unit_may_differ_from_frame_to_frame(bench: Bench) -> None:
    labels = labels_of(1)
    labels.energies[::6] += 30.0  # every sixth frame is hot
    key = bench.add(labels)
    rules = {"energy_iqr": 5.0, "min_frames": 4}

    known = [[900.0, *[300.0] * 5][i % 6] for i in range(N_FRAMES)]
    by_temperature = bench.dataset(sampled={key: known}, **rules)
    together = bench.dataset(sampled={key: None}, **rules)

    assert by_temperature["rejected"] == {}
    assert together["rejected"] == {"energy_iqr": N_FRAMES // 6}


def test_labels_that_no_md_gave_are_not_judged_by_a_distribution(bench: Bench) -> None:
    bench.add(outlier(1, 4, 50.0))

    record = bench.dataset(sampled={}, energy_iqr=2.0)

    assert record["rejected"] == {}
    assert 50.0 in bench.trained_energies()


def test_temperatures_stay_with_their_frames_when_a_label_failed(bench: Bench) -> None:
    labels = labels_of(1)
    labels.energies[0] = np.nan
    labels.energies[1] += 30.0  # the only hot one
    key = bench.add(labels)

    temperatures = [300.0, 900.0, *[300.0] * (N_FRAMES - 2)]
    record = bench.dataset(sampled={key: temperatures}, energy_iqr=2.0, min_frames=20)

    assert record["rejected"] == {}
    assert any("salt at 900 K: 1 frames, 20 are needed" in note for note in record["notes"])


def test_frames_are_compared_with_the_structure_of_their_system(bench: Bench) -> None:
    labels = labels_of(1)
    labels.frames.cells[2] *= 1.1
    bench.add(labels)

    record = bench.dataset(sampled={}, volume_ratio=[0.9, 1.2], max_bond_change=0.2)

    assert record["rejected"] == {"volume_ratio": 1}
    assert record["notes"] == [
        "max_bond_change did nothing for salt: its structure has no rigid unit such as PS4"
    ]


def test_without_filters_every_good_label_is_learned_from(bench: Bench) -> None:
    bench.add(outlier(1, 4, 50.0))

    record = bench.dataset()

    assert record["n_train"] == N_FRAMES
    assert record["rejected"] == {}
    assert bench.rejected() == {}


def test_filters_that_leave_nothing_stop_the_run_and_say_why(bench: Bench) -> None:
    bench.add(labels_of(1))

    with pytest.raises(ConfigError, match=r"refused all of them, min_distance_A 24; the first"):
        bench.dataset(sampled={}, min_distance_A=5.9)


def test_mixed_labels_stop_the_run_and_leave_the_labels(bench: Bench) -> None:
    bench.add(labels_of(1))
    bench.add(replace(labels_of(2), functional="PBEsol"))

    with pytest.raises(ConfigError, match=r"label\.mixing"):
        bench.dataset()

    assert len(list(bench.folder.root.rglob("labels.npz"))) == 2


def test_labels_are_aligned_before_they_are_filtered(bench: Bench) -> None:
    truth = labels_of(1)
    shifted = replace(truth, energies=truth.energies + 400.0, source="other code")
    keys = [bench.add(shifted), bench.add(truth.take(range(3)))]

    sampled = {keys[0]: [600.0] * N_FRAMES, keys[1]: [600.0] * 3}
    record = bench.dataset(mixing="align", sampled=sampled, energy_iqr=2.0, min_frames=20)

    assert record["n_train"] == N_FRAMES
    assert record["rejected"] == {}
    assert "from 3 frames in common" in record["notes"][0]
    assert sorted(bench.trained_energies()) == pytest.approx(sorted(truth.energies))


def test_the_driver_marks_rejected_labels_in_the_store(bench: Bench) -> None:
    labels = outlier(1, 4, 50.0)
    key = bench.add(labels)
    record = bench.dataset(sampled={key: [600.0] * N_FRAMES}, energy_iqr=2.0)
    bench.context.workdir.rename(bench.context.workdir.with_suffix(""))

    plan = Plan(
        labels=[("label", key, "salt", "candidate", 0)], rejected=record["rejected_file"]
    )
    Publisher(bench.folder, toy()).publish(plan)

    stored = open_store(bench.folder.root, mode="r")["labels/salt"]
    assert np.flatnonzero(stored["status"][:]).tolist() == [4]
    assert stored["status"].attrs["table"][stored["status"][4]] == "rejected"
    assert stored["energy"][4] == 50.0


# --- what the plan hands to the stage --------------------------------------------------------


class WithTemperatures(Pretender):
    """Selections name the temperature of each pick, as real ones do."""

    def _select(self, unit: Any) -> dict[str, Any]:
        record = super()._select(unit)
        n = len(record["frame_keys"])
        return {**record, "temperatures_K": [300.0 + 100.0 * i for i in range(n)]}


def second_dataset(**changes: Any) -> Any:
    pretender = WithTemperatures(toy(label__batch_size=2, **changes), accurate=[0.2])
    pretender.run()
    return pretender.kinds("dataset")[1].payload


def test_the_plan_passes_the_temperatures_of_md_frames_and_no_others() -> None:
    payload = second_dataset(label__filters={"energy_iqr": 2.0})

    sampled = payload["filters"]["sampled"]
    keys = [key for _, key, _ in payload["sources"]]
    assert list(sampled.values()) == [[300.0, 400.0], [500.0, 600.0], [700.0]]
    assert set(sampled) == set(keys[-3:])
    assert payload["filters"]["structures"].keys() == {"salt"}


def test_filters_that_are_off_leave_the_key_of_a_dataset_to_its_sources() -> None:
    assert second_dataset()["filters"] is None
