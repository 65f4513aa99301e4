"""What a run will take: labels by measured time where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dasksse.config.load import load_config, resolved_yaml
from dasksse.config.schema import RegistrySection, RunConfig
from dasksse.label import label_costs
from dasksse.loop.estimate import estimate_run
from dasksse.loop.label_rate import LabelRate, cores_of, measured_rate
from dasksse.records import Frames, Labels
from dasksse.store.folders import RunFolder
from dasksse.store.journal import Journal, UnitRow
from dasksse.store.labels import LabelBatch, append_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

TOY = Path(__file__).parents[3] / "configs" / "toy.yaml"
N_LABELS = 24 + 2 * (6 + 2) + 6
"""Start set, two generations of candidates and checks, probe."""


def toy(**label: Any) -> RunConfig:
    values = load_config(TOY).config.model_dump(mode="json")
    return RunConfig.model_validate({**values, "label": {**values["label"], **label}})


def run_with_labels(
    run_dir: Path, seconds: Sequence[float], *, n_atoms: int = 8, surrogate: bool = False
) -> Path:
    """A run folder of the toy configuration with labels that took so long."""
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / "config.resolved.yaml").write_text(resolved_yaml(toy()))
    n = len(seconds)
    labels = Labels(
        Frames(np.full(n_atoms, 3), np.zeros((n, n_atoms, 3)), np.tile(np.eye(3), (n, 1, 1))),
        np.zeros(n),
        np.zeros((n, n_atoms, 3)),
        np.zeros((n, 3, 3)),
        "code 1.0",
        "PBE",
        surrogate,
        seconds=np.array(seconds, dtype=float),
    )
    append_labels(run_dir, f"s{n_atoms}", [LabelBatch(f"{n_atoms:016x}", labels, 0, "start")])
    return run_dir


def with_cores(run_dir: Path, cores: int) -> None:
    """Say in the run's journal how many cores its labels had."""
    journal = Journal(RunFolder(run_dir).journal)
    record = {"n": 1, "n_good": 1, "reasons": [], "cores": cores}
    journal.write(units=[UnitRow("label", "a" * 16, 0, "done", 1, 1, 1.0, 1.0, record)])
    journal.close()


def test_without_a_measurement_labels_cost_what_is_known_of_their_kind() -> None:
    config = toy()
    seconds = label_costs(config.label.calculator).seconds_per_frame(8)

    estimate = estimate_run(config, {"salt": 8})

    assert estimate.amounts["label"] == N_LABELS
    assert seconds is not None
    assert estimate.core_s["label"] == pytest.approx(N_LABELS * seconds)


def test_nothing_is_said_of_a_calculator_of_the_users_own() -> None:
    own = toy(calculator={"kind": "python:ase.calculators.emt.EMT"})

    estimate = estimate_run(own, {"salt": 8})

    assert estimate.core_s["label"] is None
    assert estimate.core_hours is None
    assert estimate.seconds_each("label") is None


def test_measured_labels_decide_and_cores_share_the_work(tmp_path: Path) -> None:
    rate = LabelRate({8: 100.0}, 5, 2.0, cores=4, run_dir=tmp_path)

    estimate = estimate_run(toy(), {"salt": 16}, label_rate=rate, label_cores=16)

    assert estimate.core_s["label"] == pytest.approx(N_LABELS * 4 * 100.0 * 2**2)
    assert estimate.seconds_each("label") == pytest.approx(100.0)


def test_a_rate_is_scaled_from_the_nearest_size_that_was_measured(tmp_path: Path) -> None:
    rate = LabelRate({50: 10.0, 400: 500.0}, 9, 2.0, cores=1, run_dir=tmp_path)

    assert rate.core_seconds(50) == 10.0
    assert rate.core_seconds(100) == pytest.approx(40.0)
    assert rate.core_seconds(200) == pytest.approx(125.0)
    assert rate.core_seconds(800) == pytest.approx(2000.0)


@pytest.mark.parametrize(("surrogate", "exponent"), [(False, 2.0), (True, 1.0)])
def test_labels_of_the_run_are_measured_by_size_and_kind(
    tmp_path: Path, surrogate: bool, exponent: float
) -> None:
    run_dir = run_with_labels(tmp_path / "run", [1.0, 3.0, np.nan], surrogate=surrogate)
    run_with_labels(run_dir, [9.0], n_atoms=20, surrogate=surrogate)
    with_cores(run_dir, 4)

    rate = measured_rate(toy().label.calculator, run_dir)

    assert rate == LabelRate({8: 2.0, 20: 9.0}, 3, exponent, 4, run_dir)


def test_a_run_beside_it_serves_when_its_calculator_is_the_same(tmp_path: Path) -> None:
    run_with_labels(tmp_path / "trial", [2.0])
    (tmp_path / "notes.txt").touch()
    other = RegistrySection(kind="toy", settings={"rc_A": 7.0})
    # the same settings, one of them spelt out though it is the default
    same = toy().label.calculator
    spelt_out = RegistrySection(kind="toy", settings={**same.settings, "rc_A": 6.0})

    rate = measured_rate(spelt_out, tmp_path / "production")

    assert rate is not None
    assert rate.run_dir == tmp_path / "trial"
    assert rate.cores == 1
    assert measured_rate(other, tmp_path / "production") is None
    assert measured_rate(same, tmp_path / "elsewhere" / "production") is None


def test_labels_of_unknown_time_measure_nothing(tmp_path: Path) -> None:
    run_dir = run_with_labels(tmp_path / "run", [np.nan, np.nan])

    assert measured_rate(toy().label.calculator, run_dir) is None


@pytest.mark.parametrize(
    ("threads", "prefix", "cores"),
    [
        (1, (), 1),
        (8, (), 8),
        (1, ("srun", "-n", "64"), 64),
        (4, ("srun", "-n", "16"), 64),
        (1, ("mpirun", "-np", "4"), 4),
        (1, ("srun", "--ntasks=16", "--cpu-bind=none"), 16),
        (2, ("numactl", "--interleave=all"), 2),
        (1, ("nice", "-n", "19"), 1),
        (1, ("nice", "-n", "19", "/opt/mpi/bin/mpiexec.hydra", "-n", "4"), 4),
        (1, ("srun", "-N", "2", "-n32"), 32),
    ],
)
def test_cores_follow_from_threads_and_ranks(
    threads: int, prefix: tuple[str, ...], cores: int
) -> None:
    assert cores_of(threads, prefix) == cores


def test_rounded_positions_take_a_sixth_of_the_disk_of_lossless_ones() -> None:
    config = toy()
    lossless = config.store.model_copy(update={"precision_A": "lossless"})
    n_frames, n_atoms = 2 * 2 * 20 + 2 * 40, 8  # exploration, production
    labels = 60 * n_atoms * N_LABELS

    rounded = estimate_run(config, {"salt": n_atoms})
    exact = estimate_run(config.model_copy(update={"store": lossless}), {"salt": n_atoms})

    assert rounded.disk_bytes == pytest.approx(4 * n_atoms * n_frames + labels)
    assert exact.disk_bytes == pytest.approx(24 * n_atoms * n_frames + labels)


def test_estimates_add_up_over_the_schedule() -> None:
    config = toy()
    shorter = config.stop.model_copy(update={"max_generations": 1})

    two = estimate_run(config, {"salt": 8})
    one = estimate_run(config.model_copy(update={"stop": shorter}), {"salt": 8})

    assert two.amounts["md"] == 2 * one.amounts["md"] == 2 * 2 * 200
    assert two.amounts["label"] - one.amounts["label"] == 8 + 6  # its own, and the probe's
    assert two.core_hours == pytest.approx(sum(v or 0.0 for v in two.core_s.values()) / 3600)
