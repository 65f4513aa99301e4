"""The store of a run is made when there is something to put into it."""

from __future__ import annotations

from pathlib import Path

from dasksse.config.load import load_config
from dasksse.loop.publish import Publisher
from dasksse.loop.walk import Plan
from dasksse.store.allocation import TrajectoryGroup
from dasksse.store.folders import RunFolder
from dasksse.store.layout import STORE_NAME, open_store

TOY = Path(__file__).parents[3] / "configs" / "toy.yaml"
GROUP = TrajectoryGroup(
    path="explore/000/salt",
    numbers=(3, 17),
    type_map=("Li", "Cl"),
    temperatures_K=(300.0,),
    pressures_GPa=(0.0,),
    replicas=(0,),
    seeds=(1,),
    n_frames=4,
    frame_interval_ps=0.02,
    equilibration_ps=0.0,
)


def publisher(run_dir: Path) -> Publisher:
    return Publisher(RunFolder(run_dir), load_config(TOY).config)


def test_a_plan_without_data_makes_no_store(tmp_path: Path) -> None:
    publisher(tmp_path).publish(Plan())

    assert list(tmp_path.iterdir()) == []


def test_the_first_data_make_a_store_that_says_whose_it_is(tmp_path: Path) -> None:
    made = publisher(tmp_path)

    made.publish(Plan())
    made.publish(Plan(groups=[GROUP]))

    store = open_store(tmp_path, mode="r")
    assert GROUP.path in store
    assert store.attrs["run"] == "toy"
    assert store.attrs["mobile_species"] == "Li"
    assert "dasksse" in store.attrs["versions"]


def test_another_session_says_with_what_it_works(tmp_path: Path) -> None:
    publisher(tmp_path).publish(Plan(groups=[GROUP]))
    open_store(tmp_path).attrs["versions"] = {"dasksse": "0.0"}

    publisher(tmp_path).publish(Plan(groups=[GROUP]))

    assert open_store(tmp_path, mode="r").attrs["versions"] != {"dasksse": "0.0"}
    assert (tmp_path / STORE_NAME / "zarr.json").is_file()
