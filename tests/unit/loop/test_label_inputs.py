"""Labels that exist already: checked before a run, kept with it, learned from at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml
from fake_runs import drive
from pretender import DIGESTS, Pretender, toy

from dasksse.config.load import LoadedConfig, load_config
from dasksse.config.schema import RunConfig
from dasksse.engine.serial_runner import SerialRunner
from dasksse.errors import ConfigError, RunFolderError
from dasksse.label import load_calculator
from dasksse.loop.label_inputs import check_label_stores, imported_labels, known_labels
from dasksse.loop.prepare import digests_in, open_run_folder
from dasksse.loop.schemes import plan_dpgen
from dasksse.loop.units import label_sources
from dasksse.records import Frames, Labels
from dasksse.records.formula import reduced_formula
from dasksse.store.folders import RunFolder
from dasksse.store.label_reader import read_stored_labels
from dasksse.store.labels import LabelBatch, append_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dasksse.loop.walk import Plan, RunState
    from dasksse.records import Unit

TOY = Path(__file__).parents[3] / "configs" / "toy.yaml"
TOY_SOURCE = "toy screened-Coulomb model"
TOY_FUNCTIONAL = "none (classical)"
IMPORTED = {"imported/000.Li4Cl4": "a" * 16, "imported/001.LiCl": "b" * 16}


def write_store(
    store: Path,
    *,
    seed: int = 0,
    elements: tuple[int, ...] = (3, 3, 17, 17),
    source: str = TOY_SOURCE,
    functional: str = TOY_FUNCTIONAL,
    is_surrogate: bool = True,
) -> Path:
    rng = np.random.default_rng(seed)
    n_atoms = len(elements)
    frames = Frames(
        np.array(elements),
        rng.uniform(0.0, 5.0, size=(6, n_atoms, 3)),
        np.tile(5.0 * np.eye(3), (6, 1, 1)),
    )
    labels = Labels(
        frames,
        rng.normal(size=6),
        rng.normal(size=(6, n_atoms, 3)),
        np.full((6, 3, 3), np.nan),
        source,
        functional,
        is_surrogate=is_surrogate,
        seconds=np.ones(6),
    )
    append_labels(store, "system", [LabelBatch(f"{seed:016x}", labels, -1, "imported")])
    return store


def load(folder: Path, *stores: str, **changes: object) -> LoadedConfig:
    values = yaml.safe_load(TOY.read_text())
    values["systems"][0]["structure"] = str(TOY.parent / values["systems"][0]["structure"])
    values["start"]["label_stores"] = list(stores)
    for path, value in changes.items():
        section, _, key = path.partition("__")
        values[section] = values[section] | {key: value} if key else value
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(values))
    return load_config(config)


# --- checks ----------------------------------------------------------------------------------


def test_labels_of_the_runs_own_calculator_are_welcome(tmp_path: Path) -> None:
    write_store(tmp_path / "labels.zarr")
    loaded = load(tmp_path, "labels.zarr")
    calculator = load_calculator(loaded.config.label.calculator)

    check_label_stores(loaded)

    assert (calculator.source, calculator.functional) == (TOY_SOURCE, TOY_FUNCTIONAL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"elements": (3, 35)}, r"labels\.zarr has labels of Br; allowed: Li, Cl"),
        ({"functional": "unknown"}, r"the functional of the labels from .* is not known"),
    ],
)
def test_labels_that_a_run_cannot_learn_from_are_refused(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    write_store(tmp_path / "labels.zarr", **change)  # type: ignore[arg-type]

    with pytest.raises(ConfigError, match=rf"config\.yaml:start\.label_stores.*{message}"):
        check_label_stores(load(tmp_path, "labels.zarr"))


def test_missing_elements_of_all_stores_are_told_with_the_type_map_to_write(
    tmp_path: Path,
) -> None:
    write_store(tmp_path / "salt.zarr")
    write_store(tmp_path / "lgps.zarr", elements=(3, 32, 15, 16), seed=1)
    write_store(tmp_path / "lsnps.zarr", elements=(3, 50, 15, 16), seed=2)

    with pytest.raises(ConfigError) as refused:
        check_label_stores(load(tmp_path, "salt.zarr", "lgps.zarr", "lsnps.zarr"))

    message = str(refused.value)
    assert "lgps.zarr has labels of Ge, P, S; lsnps.zarr has labels of P, S, Sn" in message
    assert "salt.zarr" not in message
    assert "write `type_map: [Li, Cl, Ge, P, S, Sn]`" in message


def test_stores_of_several_materials_merge_under_one_type_map(tmp_path: Path) -> None:
    metals = {"lgps": 32, "lsips": 14, "lsnps": 50}
    for seed, (name, metal) in enumerate(metals.items()):
        atoms = (3,) * 10 + (metal, 15, 15) + (16,) * 12
        write_store(tmp_path / f"{name}.zarr", elements=atoms, seed=seed)
    stores = [f"{name}.zarr" for name in metals]
    loaded = load(tmp_path, *stores, type_map=["Li", "Cl", "Si", "Ge", "Sn", "P", "S"])
    check_label_stores(loaded)

    folder, _ = open_run_folder(loaded, tmp_path / "run")

    kept = sorted((folder.root / "imported").glob("*.npz"))
    order = loaded.config.type_map
    names = {reduced_formula(path.name.split(".")[1], order) for path in kept}
    assert names == {"Li10SiP2S12", "Li10GeP2S12", "Li10SnP2S12"}
    numbers = {int(z) for path in kept for z in Labels.load(path).frames.numbers}
    assert numbers == {3, 14, 15, 16, 32, 50}


def test_a_store_that_is_not_there_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"label_stores\.0 .*none\.zarr: no store is there"):
        check_label_stores(load(tmp_path, "none.zarr"))

    write_store(tmp_path / "run")
    (tmp_path / "run" / "data.zarr" / "labels").rename(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=r"run/data\.zarr holds no labels"):
        check_label_stores(load(tmp_path, "run/data.zarr"))


def test_labels_of_different_origin_are_refused_before_anything_runs(tmp_path: Path) -> None:
    write_store(tmp_path / "a.zarr")
    write_store(tmp_path / "b.zarr", source="another", seed=1)

    with pytest.raises(ConfigError, match=r"6 frames of another, functional none"):
        check_label_stores(load(tmp_path, "a.zarr", "b.zarr"))
    mixing = yaml.safe_load(TOY.read_text())["label"] | {"mixing": "as_is"}
    check_label_stores(load(tmp_path, "a.zarr", "b.zarr", label=mixing))


@pytest.mark.parametrize(
    ("calculator", "message"),
    [
        ({"kind": "sevennet"}, None),  # a surrogate's labels, perhaps of the same model
        (
            {
                "kind": "python",
                "settings": {"factory": "a:b", "functional": "PBE", "is_surrogate": False},
            },
            "new labels: python, functional PBE",
        ),
    ],
)
def test_labels_unlike_those_the_run_will_compute_are_refused(
    calculator: dict[str, object], message: str | None, tmp_path: Path
) -> None:
    write_store(tmp_path / "labels.zarr")
    loaded = load(tmp_path, "labels.zarr", label__calculator=calculator)

    if message is None:
        check_label_stores(loaded)
    else:
        with pytest.raises(ConfigError, match=message):
            check_label_stores(loaded)


def test_dft_labels_are_not_those_of_a_surrogate(tmp_path: Path) -> None:
    write_store(tmp_path / "labels.zarr", is_surrogate=False, functional="PBE")
    loaded = load(tmp_path, "labels.zarr", label__calculator={"kind": "sevennet"})

    with pytest.raises(ConfigError, match="new labels: sevennet, a surrogate"):
        check_label_stores(loaded)


def test_labels_of_a_dft_engine_must_have_its_settings(tmp_path: Path) -> None:
    vasp = {"kind": "vasp", "settings": {"encut_eV": 400.0}}
    loaded = load(tmp_path, "labels.zarr", label__calculator=vasp)
    source = load_calculator(loaded.config.label.calculator).source
    write_store(tmp_path / "labels.zarr", is_surrogate=False, functional="PBE", source="VASP")

    with pytest.raises(ConfigError, match=r"new labels: VASP PBE, ENCUT 400 eV"):
        check_label_stores(loaded)
    write_store(tmp_path / "same.zarr", is_surrogate=False, functional="PBE", source=source)
    check_label_stores(load(tmp_path, "same.zarr", label__calculator=vasp))


def test_no_start_set_needs_labels_to_begin_with(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"start\.n_frames.* 0 leaves nothing to learn from"):
        load(tmp_path, start__n_frames=0)


# --- the run's own copy ----------------------------------------------------------------------


def test_the_labels_are_kept_with_the_run_each_frame_once(tmp_path: Path) -> None:
    write_store(tmp_path / "a.zarr")
    write_store(tmp_path / "b.zarr")
    write_store(tmp_path / "b.zarr", seed=1)

    folder, _ = open_run_folder(load(tmp_path, "a.zarr", "b.zarr"), tmp_path / "run")

    digests = {
        name: digest
        for name, digest in digests_in(
            folder, load(tmp_path, "a.zarr", "b.zarr").config
        ).items()
        if name.startswith("imported/")
    }
    assert sorted(digests) == ["imported/000.Li2Cl2", "imported/001.Li2Cl2"]
    kept = [Labels.load(folder.root / f"{name}.npz") for name in sorted(digests)]
    assert [len(labels) for labels in kept] == [6, 6]


def test_a_store_that_got_more_labels_since_belongs_to_another_run(tmp_path: Path) -> None:
    write_store(tmp_path / "labels.zarr")
    loaded = load(tmp_path, "labels.zarr")
    open_run_folder(loaded, tmp_path / "run")
    open_run_folder(loaded, tmp_path / "run")

    write_store(tmp_path / "labels.zarr", seed=1)

    with pytest.raises(RunFolderError, match=r"start\.label_stores: labels\.zarr has other"):
        open_run_folder(loaded, tmp_path / "run")


def test_a_driver_killed_while_it_copied_labels_can_start_again(tmp_path: Path) -> None:
    write_store(tmp_path / "labels.zarr")
    loaded = load(tmp_path, "labels.zarr")
    half = tmp_path / "run" / "imported.tmp"
    half.mkdir(parents=True)
    (half / "000.rest.npz").write_bytes(b"half")

    folder, _ = open_run_folder(loaded, tmp_path / "run")

    assert [path.name for path in sorted((folder.root / "imported").iterdir())] == [
        "000.Li2Cl2.npz",
        "index.json",
    ]


# --- plan ------------------------------------------------------------------------------------


def with_stores(**changes: object) -> RunConfig:
    start = {**toy().start.model_dump(mode="json"), "label_stores": ["a.zarr"], **changes}
    return toy(start=start)


def test_imported_labels_are_learned_from_in_every_generation() -> None:
    pretender = Pretender(with_stores(), accurate=[0.2], digests=DIGESTS | IMPORTED)

    plan = pretender.run()

    imported = {unit.key for unit in pretender.kinds("imported")}
    assert len(imported) == 2
    for dataset in pretender.kinds("dataset"):
        sources = [tuple(source) for source in dataset.payload["sources"]]
        found = [(kind, system) for kind, key, system in sources if key in imported]
        assert found == [("imported", "imported-Li4Cl4"), ("imported", "imported-LiCl")]
        assert sources[:2] == [s for s in sources if s[0] == "imported"]  # the oldest labels
    published = [entry for entry in plan.labels if entry[0] == "imported"]
    assert [(system, role, generation) for *_, system, role, generation in published] == [
        ("imported-Li4Cl4", "imported", -1),
        ("imported-LiCl", "imported", -1),
    ]


def test_with_labels_to_begin_with_no_start_set_is_needed() -> None:
    pretender = Pretender(with_stores(n_frames=0), accurate=[0.2], digests=DIGESTS | IMPORTED)

    plan = pretender.run()

    assert plan.is_finished
    assert pretender.kinds("start") == []
    assert {unit.payload["file"] for unit in pretender.kinds("imported")} == {
        "imported/000.Li4Cl4.npz",
        "imported/001.LiCl.npz",
    }


def test_selection_is_told_of_imported_labels_and_of_systems_with_the_same_atoms() -> None:
    values = with_stores().model_dump(mode="json")
    values["systems"] += [{**values["systems"][0], "name": name} for name in ("like", "large")]
    values["start"]["systems"] = ["salt", "like", "large"]
    digests = DIGESTS | {"like": "1" * 16, "large": "2" * 16} | IMPORTED
    pretender = Pretender(RunConfig.model_validate(values), accurate=[0.2], digests=digests)
    atoms = {"salt": [3, 17], "like": [17, 3], "large": [3, 3, 17, 17]}
    pretender._structure = lambda unit: {  # type: ignore[method-assign]
        "file": "system.npz",
        "numbers": atoms[unit.payload["section"]["name"]],
    }

    pretender.run()

    told = {system for _, _, system in pretender.kinds("select")[0].payload["labelled"]}
    assert told == {"salt", "like", "imported-Li4Cl4", "imported-LiCl"}


def test_training_waits_for_imported_labels_whatever_share_of_the_others_is_in() -> None:
    config = with_stores().model_copy(update={"label": toy(label__wait_share=0.1).label})
    pretender = Pretender(config, accurate=[0.2], digests=DIGESTS | IMPORTED)
    plan = pretender.plan()

    while any(unit.kind != "imported" for unit in plan.ready):
        pretender.finish(next(unit for unit in plan.ready if unit.kind != "imported"))
        plan = pretender.plan()

    assert {unit.kind for unit in plan.ready} == {"imported"}
    assert pretender.kinds("dataset") == []


def test_filters_know_nothing_of_the_structure_of_imported_labels() -> None:
    values = with_stores().model_dump(mode="json")
    values["label"]["filters"] = {"min_distance_A": 0.5}
    config = RunConfig.model_validate(values)
    pretender = Pretender(config, accurate=[0.2], digests=DIGESTS | IMPORTED)

    pretender.run()

    [first, *_] = pretender.kinds("dataset")
    imported = {unit.key for unit in pretender.kinds("imported")}
    assert set(first.payload["filters"]["structures"]) == {"salt"}
    assert not imported & set(first.payload["filters"]["sampled"])


def test_other_labels_make_other_units() -> None:
    first = imported_labels({"imported/000.LiCl": "a" * 16})
    second = imported_labels({"imported/000.LiCl": "c" * 16})

    assert first[0].unit.key != second[0].unit.key
    assert imported_labels(DIGESTS) == []


def test_a_batch_is_told_where_labels_of_its_frames_are_and_keeps_its_key() -> None:
    config = toy(label__batch_size=2)
    drawn = {"file": "frames.npz", "frame_keys": ["a", "b", "c", "d"]}
    results = {
        "1": {"labelled": ["b", "x"], "labels_file": "work/imported/1/labels.npz"},
        "2": {"labelled": ["a", "b"], "labels_file": "work/label/2/labels.npz"},
        "3": {"text": "no labels"},
    }

    def units(known: Mapping[str, list[str]]) -> list[Unit]:
        sources = label_sources(
            config,
            drawn=drawn,
            indices=range(4),
            system="salt",
            role="start",
            generation=-1,
            known=known,
        )
        return [source.unit for source in sources]

    told = units(known_labels(results))

    assert [unit.payload["known"] for unit in told] == [
        ["work/imported/1/labels.npz", "work/label/2/labels.npz"],
        [],
    ]
    assert [unit.key for unit in told] == [unit.key for unit in units({})]


def test_frames_labelled_before_are_known_to_later_batches_of_the_run() -> None:
    pretender = Pretender(toy(), accurate=[0.2])
    pretender.until("label")
    [first, *_] = pretender.plan().ready
    pretender.finish(first)
    frame_key = pretender.kinds("start")[0].key + "0"
    pretender.results[first.key] |= {
        "labelled": [frame_key],
        "labels_file": f"work/label/{first.key}/labels.npz",
    }
    record = pretender.results[pretender.kinds("start")[0].key]
    record["frame_keys"] = [
        *record["frame_keys"][:-1],
        frame_key,
    ]  # the last is the first again

    told = [unit.payload["known"] for unit in pretender.plan().ready]

    assert [files for files in told if files] == [[f"work/label/{first.key}/labels.npz"]]


def test_a_relaxation_is_told_of_imported_labels_and_keeps_its_key() -> None:
    relax = {"max_steps": 5, "max_force_eV_A": 0.05, "cell": False}
    plain = Pretender(toy(start__relax=relax), accurate=[0.2])
    told = Pretender(with_stores(relax=relax), accurate=[0.2], digests=DIGESTS | IMPORTED)

    [first], [second] = plain.until("relax").ready, told.until("relax").ready

    assert first.key == second.key
    assert first.payload["known"] == []
    assert second.payload["known"] == [f"{name}.npz" for name in IMPORTED]


def test_a_run_takes_the_labels_into_its_store_and_its_training_set(tmp_path: Path) -> None:
    write_store(tmp_path / "labels.zarr")
    loaded = load(tmp_path, "labels.zarr", start__n_frames=4, train__held_out_share=0.0)

    def up_to_training(config: RunConfig, digests: Mapping[str, str], state: RunState) -> Plan:
        plan = plan_dpgen(config, digests, state)
        plan.ready = [unit for unit in plan.ready if unit.kind != "train"]
        plan.is_finished = not plan.ready
        return plan

    run_dir = tmp_path / "run"
    drive(run_dir, up_to_training, lambda: SerialRunner(run_dir), config=loaded.path)

    stored = dict(read_stored_labels(run_dir))
    [(_, given)] = read_stored_labels(tmp_path / "labels.zarr")
    assert {system: len(labels) for system, labels in stored.items()} == {
        "imported-Li2Cl2": 6,
        "salt": 4,
    }
    np.testing.assert_array_equal(stored["imported-Li2Cl2"].forces, given.forces)
    assert np.isnan(stored["imported-Li2Cl2"].seconds).all()  # no cost of this run
    folder = RunFolder(run_dir)
    [(_, key)] = [unit for unit in folder.done_units() if unit[0] == "dataset"]
    assert folder.unit_result("dataset", key)["value"]["n_train"] == 10
