"""The example that asks what selection is worth, at toy size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from dasksse.records import Labels

pytestmark = [pytest.mark.lammps, pytest.mark.deepmd, pytest.mark.slow]

EXAMPLE = Path(__file__).parents[2] / "examples" / "03-replay"


def replay(folder: Path, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "replay.py"), "--quick", "--dir", str(folder), *options],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    logs = "".join(path.read_text()[-2000:] for path in folder.glob("*.log"))
    assert done.returncode == 0, done.stderr + logs
    return done.stdout


def test_the_comparison_goes_from_a_teacher_to_a_figure(tmp_path: Path) -> None:
    # one strategy and one seed: every process of an engine costs seconds to start
    replay(tmp_path, "--seeds", "1", "--strategies", "diverse")

    found = json.loads((tmp_path / "replay.json").read_text())
    test = Labels.load(tmp_path / "test.npz")
    selected = values(tmp_path / "diverse-1", "select")
    learned = Labels.load(
        tmp_path / "diverse-1" / values(tmp_path / "diverse-1", "label", 0)[0]["labels_file"]
    )

    assert (tmp_path / "replay.png").stat().st_size > 0
    assert (tmp_path / "replay.svg").stat().st_size > 0
    assert found["teacher"] == test.source == learned.source
    assert found["n_test_frames"] == len(test) == 2 * 9
    assert [row["n_labels"] for row in found["points"]] == [0, 4]
    assert all(row["force_rmse_meV_A"] > 0 for row in found["points"])
    assert found["points"][1]["core_s"] > found["points"][0]["core_s"] > 0
    assert [record["n_picks"] for record in selected] == [4]
    assert len(values(tmp_path / "first-1", "train")) == 2  # the strategy trains later only
    assert len(values(tmp_path / "diverse-1", "train", 1)) == 2
    assert not values(tmp_path / "diverse-1", "train", 0)
    [data] = values(tmp_path / "diverse-1", "dataset")
    assert data["n_train"] + data["n_held_out"] == 16 + 4  # start labels stay in
    assert not set(test.frames.content_keys()) & set(learned.frames.content_keys())


def test_strategies_differ_in_the_selection_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    import replay as example

    monkeypatch.setattr(example, "run", lambda config, root, name: (config, root / name))
    base = example.read_base(EXAMPLE / "base.yaml")
    models = [tmp_path / "first-5" / "models" / "000" / f"model_{i}.pb" for i in range(3)]
    models[0].parent.mkdir(parents=True)
    for path in models:
        path.touch()

    first = example.train_first(base, tmp_path, 5)[0]
    configs = {name: example.learn(base, tmp_path, name, 5)[0] for name in example.STRATEGIES}

    picked = {name: config.pop("select") for name, config in configs.items()}
    assert all(config == configs["trust"] for config in configs.values())
    assert configs["trust"]["train"] == {
        **first["train"],
        "steps": 0,
        "initial_models": [str(path) for path in models],
        "deepmd": {"training": {"training_data": {"auto_prob": "prob_uniform"}}},
    }
    assert (first["seed"], first["start"], first["explore"]) == (
        configs["trust"]["seed"],
        configs["trust"]["start"],
        {"schedule": []},
    )
    assert {part["max_labels"] for part in picked.values()} == {24}
    assert {name: (part["among"], part["diversity"]) for name, part in picked.items()} == {
        "trust": ("candidates", "farthest_point"),
        "diverse": ("all", "farthest_point"),
        "random": ("all", "random"),
        "deviation": ("candidates", "deviation"),
    }


def test_the_summary_has_the_mean_and_the_range_over_seeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    import replay_figure as figure

    points = [
        {
            "strategy": strategy,
            "seed": seed,
            "generation": generation,
            "n_labels": 30 * generation,
            "force_rmse_meV_A": 100.0 - 10 * generation + seed,
            "core_s": 50.0 * (1 + generation),
        }
        for strategy in ("trust", "random")
        for seed in (1, 2, 6)
        for generation in (0, 1)
    ]

    summary = figure.summarise(points)
    axes = figure.draw(summary).axes

    row = summary["random"][1]
    assert (row["n_runs"], row["n_labels"], row["core_s"]) == (3, 30, 100)
    assert (row["lowest_meV_A"], row["force_rmse_meV_A"], row["highest_meV_A"]) == (91, 93, 96)
    assert [line.get_label() for line in axes[0].lines] == ["trust", "random"]
    np.testing.assert_array_equal(axes[1].lines[1].get_xydata(), [[50, 103], [100, 93]])
    assert len(figure.table(summary).splitlines()) == 1 + 4


def test_the_base_is_complete_but_for_teacher_and_start_labels() -> None:
    values_ = yaml.safe_load((EXAMPLE / "base.yaml").read_text())

    from dasksse.config.load import load_config
    from dasksse.structures.build import build_system

    loaded = load_config(EXAMPLE / "base.yaml")
    built = build_system(
        loaded.config.systems[0],
        type_map=loaded.config.type_map,
        base_dir=loaded.base_dir,
        mobile_species="Li",
    )

    assert len(built.atoms) == 50
    assert loaded.config.label.calculator.settings == values_["label"]["calculator"]["settings"]
    assert loaded.config.label.mixing == "as_is"


def values(folder: Path, kind: str, generation: int | None = None) -> list[Any]:
    """Records of the finished units of a kind."""
    records = [json.loads(p.read_text()) for p in folder.glob(f"work/{kind}/*/result.json")]
    return [record["value"] for record in records if generation in {None, record["generation"]}]
