"""What selection is worth: learning runs that label with a teacher, three ways to choose.

    python examples/03-replay/replay.py            # README.md says what it takes
    python examples/03-replay/replay.py --quick    # a toy salt with a teacher of its own

The same command continues after an interruption; every run is a folder of `dasksse run`.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from replay_figure import draw, summarise, table

from dasksse.config.load import combine, read_files
from dasksse.config.schema import RegistrySection
from dasksse.label import label_frames, load_calculator
from dasksse.process import read_log_tail
from dasksse.records import Frames, Labels, Workplace
from dasksse.report.figures.style import save_figure
from dasksse.store.folders import RunFolder, write_json
from dasksse.store.trajectories import read_runs
from dasksse.train import evaluate_report

HERE = Path(__file__).resolve().parent
STRATEGIES: dict[str, dict[str, str]] = {
    "trust": {"among": "candidates", "diversity": "farthest_point"},
    "diverse": {"among": "all", "diversity": "farthest_point"},
    "random": {"among": "all", "diversity": "random"},
    "deviation": {"among": "candidates", "diversity": "deviation"},
}
COMPARED = ["trust", "diverse", "random"]
NO_LEARNING: dict[str, Any] = {"explore": {"schedule": []}, "probe": {"n_frames": 0}}
DRAWS: dict[str, Any] = {"training": {"training_data": {"auto_prob": "prob_uniform"}}}
"""Labels with and without a virial are systems of their own: the teacher's get half of the
draws, and not the few per cent that they are among start labels without virial."""
AT_WORK: list[subprocess.Popen[bytes]] = []

Config = dict[str, Any]


def read_base(path: Path) -> Config:
    """The base configuration, with paths that hold from any folder."""
    config = combine(read_files(path))
    for system in config["systems"]:
        system["structure"] = str(path.parent / system["structure"])
    stores = config["start"].get("label_stores", [])
    config["start"]["label_stores"] = [str(path.parent / name) for name in stores]
    settings = config["label"]["calculator"].get("settings", {})
    if "models" in settings:
        settings["models"] = [str(path.parent / name) for name in settings["models"]]
    return config


def run(config: Config, root: Path, name: str) -> Path:
    """Start or continue a run; its folder."""
    path = root / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**config, "name": name}, sort_keys=False))
    command = [sys.executable, "-m", "dasksse.run", str(path), "--dir", str(root / name)]
    print(f"{name}: at work, see {root / name}.log", flush=True)
    with (root / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603
        AT_WORK.append(process)
        code = process.wait()
    if code:
        end = read_log_tail(root / f"{name}.log", lines=5)
        sys.exit(f"{name}: ended with exit code {code}\n{end}")
    return root / name


def end_runs(number: int, _frame: object) -> None:
    """End the runs with this program; the same command goes on with them."""
    for process in AT_WORK:
        process.terminate()
    sys.exit(128 + number)


def with_teacher(config: Config, root: Path) -> Config:
    """Labels from a teacher; where the base names none, one learns from its labels first."""
    if config["label"]["calculator"]["kind"] == "deepmd":
        return config
    folder = run({**config, **NO_LEARNING, "production": None}, root, "teacher")
    models = sorted(map(str, (folder / "models" / "000").iterdir()))
    calculator = {"kind": "deepmd", "settings": {"models": models}}
    return {**config, "label": {**config["label"], "calculator": calculator}}


def test_labels(config: Config, root: Path) -> Labels:
    """Frames of MD with the teacher, drawn and labelled once."""
    file = root / "test.npz"
    if file.is_file():
        return Labels.load(file)
    calculator = config["label"]["calculator"]
    models = calculator["settings"]["models"][:2]
    train = {"steps": 0, "ensemble_size": 2, "initial_models": models}
    alone = {**NO_LEARNING, "select": {}, "start": {"n_frames": 0}, "train": train}
    folder = run({**config, **alone}, root, "test")
    runs, _ = read_runs(folder, f"production/{config['systems'][0]['name']}")
    parts = [r.frames.take(np.flatnonzero(~r.is_equilibration)) for r in runs]
    frames = Frames(
        parts[0].numbers,
        np.concatenate([part.positions for part in parts]),
        np.concatenate([part.cells for part in parts]),
    )
    labels = label_frames(frames, load_calculator(RegistrySection.model_validate(calculator)))
    labels.save(file)
    return labels


def train_first(config: Config, root: Path, seed: int) -> Path:
    """The training on the start labels, the same for all strategies of a seed."""
    return run(
        {**config, **NO_LEARNING, "seed": seed, "production": None}, root, f"first-{seed}"
    )


def learn(config: Config, root: Path, strategy: str, seed: int) -> Path:
    """One learning run, from the models of the first training."""
    models = sorted(map(str, (root / f"first-{seed}" / "models" / "000").iterdir()))
    train = {"steps": 0, "initial_models": models, "deepmd": DRAWS}
    changes = {
        "seed": seed,
        "train": {**config["train"], **train},
        "select": {**config["select"], **STRATEGIES[strategy], "accurate_checks": 0},
        "probe": {"n_frames": 0},
        "production": None,
    }
    return run({**config, **changes}, root, f"{strategy}-{seed}")


def units_of(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """Kind and record of each finished unit of a run."""
    run_folder = RunFolder(folder)
    return [(kind, run_folder.unit_result(kind, key)) for kind, key in run_folder.done_units()]


def points(
    folder: Path, first: Path, test: Labels, type_map: list[str]
) -> list[dict[str, Any]]:
    """Error of the ensemble of each generation, with what it had cost until then."""
    begun, units = units_of(first), units_of(folder)
    first_s = sum(unit["cpu_s"] for kind, unit in begun if kind != "evaluate")
    generations = sorted((folder / "models").iterdir())
    models = {path.name: sorted(path.glob("*")) for path in generations}
    report = evaluate_report(
        [model for some in models.values() for model in some],
        [("test", test)],
        type_map=type_map,
        workdir=folder.with_suffix(".test"),
        workplace=Workplace(),
    )
    errors = defaultdict(list)
    for entry in report["models"]:
        errors[Path(entry["path"]).parent.name].append(entry["force_rmse_meV_A"])
    sizes = {
        unit["generation"]: unit["value"]["n_train"] + unit["value"]["n_held_out"]
        for kind, unit in begun + units
        if kind == "dataset"
    }
    rows, n_labels = [], sizes[0]
    for generation in map(int, models):
        n_labels = sizes.get(generation, n_labels)  # nothing new, not trained again
        rows.append(
            {
                "generation": generation,
                "n_labels": n_labels - sizes[0],
                "force_rmse_meV_A": float(np.mean(errors[f"{generation:03d}"])),
                "core_s": first_s
                + sum(u["cpu_s"] for k, u in units if _is_before(k, u, generation)),
            }
        )
    return rows


def _is_before(kind: str, unit: dict[str, Any], generation: int) -> bool:
    """Whether the ensemble of a generation rests on a unit that the first training lacks."""
    if kind == "evaluate" or unit["generation"] in {None, -1}:
        return False
    at = int(unit["generation"])
    return at < generation or (at == generation and kind in {"dataset", "train"})


def main() -> None:
    """Run everything that is not done yet, then evaluate and draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--base", type=Path, help="base configuration")
    parser.add_argument("--quick", action="store_true", help="toy size")
    parser.add_argument("--dir", type=Path, help="folder of all runs")
    parser.add_argument("--seeds", type=int, nargs="+", help="one run per strategy and seed")
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=COMPARED)
    parser.add_argument("--jobs", type=int, default=1, help="runs at once")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, end_runs)
    name = "quick" if asked.quick else "base"
    root = (asked.dir or Path("runs") / f"replay-{name}").absolute()
    root.mkdir(parents=True, exist_ok=True)
    config = with_teacher(read_base((asked.base or HERE / f"{name}.yaml").resolve()), root)
    test = test_labels(config, root)
    seeds = asked.seeds or ([1, 2] if asked.quick else [1, 2, 3])
    asks = [(strategy, seed) for seed in seeds for strategy in asked.strategies]
    with ThreadPoolExecutor(asked.jobs) as pool:
        firsts = list(pool.map(lambda seed: train_first(config, root, seed), seeds))
        folders = list(pool.map(lambda ask: learn(config, root, *ask), asks))
    first_of = dict(zip(seeds, firsts, strict=True))
    rows = [
        {"strategy": strategy, "seed": seed, **row}
        for (strategy, seed), folder in zip(asks, folders, strict=True)
        for row in points(folder, first_of[seed], test, config["type_map"])
    ]
    summary = summarise(rows)
    about = {"teacher": test.source, "n_test_frames": len(test)}
    about["test_force_rms_meV_A"] = float(1000 * np.sqrt(np.mean(test.forces**2)))
    write_json(root / "replay.json", {**about, "summary": summary, "points": rows})
    for suffix in (".png", ".svg"):
        save_figure(draw(summary), root / f"replay{suffix}")
    print(table(summary))
    print(f"figure and numbers: {root}/replay.png, replay.svg, replay.json")


if __name__ == "__main__":
    main()
