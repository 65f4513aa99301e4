"""Child process around DeePMD-kit: ``python -m dasksse.train.deepmd_child JOB.json``.

It trains, freezes and compresses, or evaluates models, one after the other in one process, so
that the backend is loaded once. It reads and writes nothing outside its working folder but the
data, the models and the checkpoint that the job names.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.process import die_with_parent
from dasksse.train.backends import BACKENDS, CLAIM_SUFFIX, UNAVAILABLE_EXIT, Backend

if TYPE_CHECKING:
    from collections.abc import Callable

Job = dict[str, Any]

FRAMES_A_SIGN = 100
"""An evaluation gives a sign of life after so many frames."""


def _is_whole_tensorflow(checkpoint: Path) -> bool:
    """Read every tensor (their checksums are verified) and the graph of a checkpoint."""
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from tensorflow import errors, train
    from tensorflow.compat.v1 import MetaGraphDef

    try:
        MetaGraphDef().ParseFromString(Path(f"{checkpoint}.meta").read_bytes())
        reader = train.load_checkpoint(str(checkpoint))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (DecodeError, LookupError, OSError, ValueError, RuntimeError, errors.OpError):
        return False
    return True


def _is_whole_file(checkpoint: Path) -> bool:
    return checkpoint.is_dir() or checkpoint.stat().st_size > 0


_IS_WHOLE: dict[str, Callable[[Path], bool]] = {
    "tensorflow": _is_whole_tensorflow,
    "pytorch": zipfile.is_zipfile,  # its directory stands at the end of the file
}


def _last_whole_checkpoint(job: Job, backend: Backend) -> int | None:
    """Step of the newest checkpoint here that can be read; None when there is none."""
    is_whole = _IS_WHOLE.get(job["backend"], _is_whole_file)
    here = Path.cwd()
    for step in backend.checkpoint_steps(here, name=job["checkpoint_name"]):
        if is_whole(backend.checkpoint(here, step, name=job["checkpoint_name"])):
            return step
        sys.stderr.write(f"checkpoint of step {step} is damaged: left out\n")
    return None


def _start_over(job: Job) -> None:
    """Remove what an earlier attempt left, so that nothing of it is taken for new."""
    for path in (*Path().glob(f"{job['checkpoint_name']}*"), Path("checkpoint")):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    Path(job["curve_name"]).unlink(missing_ok=True)


NEAREST = "train_attr/min_nbor_dist"
"""Node of a TensorFlow model without which it cannot be compressed."""


def _graph(frozen: str) -> Any:  # noqa: ANN401 - TensorFlow has no types
    """Graph of a frozen TensorFlow model."""
    from tensorflow.compat.v1 import GraphDef

    graph = GraphDef()
    graph.ParseFromString(Path(frozen).read_bytes())
    return graph


def _has_nearest(graph: Any) -> bool:  # noqa: ANN401 - TensorFlow has no types
    return any(node.name == NEAREST for node in graph.node)


def _note_nearest(frozen: str, nearest_A: float) -> None:
    """Write the smallest distance of two atoms [Å] into a frozen TensorFlow model."""
    from tensorflow import float64, make_tensor_proto

    graph = _graph(frozen)
    if _has_nearest(graph):
        return
    node = graph.node.add(name=NEAREST, op="Const")
    node.attr["dtype"].type = float64.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(make_tensor_proto(nearest_A, dtype=float64))
    Path(frozen).write_bytes(graph.SerializeToString())


def _compress(frozen: str, compressed: str, backend: Backend) -> None:
    """Tabulate the embedding of a frozen model."""
    from deepmd.main import main as deepmd

    deepmd([backend.flag, "compress", "-i", frozen, "-o", compressed])
    shutil.rmtree("model-compression", ignore_errors=True)  # tables again, often 100 MB


def train(job: Job) -> None:
    """Train (or go on training), freeze and, if asked for, compress."""
    from deepmd.main import main as deepmd

    backend = BACKENDS[job["backend"]]
    done = _last_whole_checkpoint(job, backend) if job["restart"] else None
    start = []
    if job["init_from"]:
        is_frozen = job["init_from"].endswith(backend.model_suffix)
        start = ["--init-frz-model" if is_frozen else "--init-model", job["init_from"]]
    if done is None:
        _start_over(job)
    else:
        checkpoint = backend.checkpoint(Path(), done, name=job["checkpoint_name"])
        start = ["--restart", str(checkpoint)]
    if done is None or done < job["steps"]:
        skip = ["--skip-neighbor-stat"] if job["skip_neighbor_stat"] else []
        train_command = ["train", job["input"], "--output", "input_used.json"]
        deepmd([backend.flag, *train_command, *skip, *start])
    last = backend.checkpoint(Path(), job["steps"], name=job["checkpoint_name"])
    deepmd([backend.flag, "freeze", "-c", str(last), "-o", job["frozen"]])
    if job["nearest_A"] is not None and job["backend"] == "tensorflow":
        _note_nearest(job["frozen"], job["nearest_A"])
    if job["compressed"]:
        _compress(job["frozen"], job["compressed"], backend)


def evaluate(job: Job) -> None:
    """Energies, forces and virials of every data set with every model, to an npz file."""
    from deepmd.infer import DeepPot

    results: dict[str, list[np.ndarray]] = {}
    with np.load(job["data"]) as arrays:
        for path in job["models"]:
            model = DeepPot(path)
            index = {symbol: i for i, symbol in enumerate(model.get_type_map())}
            for number, symbols in enumerate(job["symbols"]):
                unknown = sorted(set(symbols) - set(index))
                if unknown:
                    sys.exit(f"{path} knows {', '.join(index)}, not {', '.join(unknown)}")
                types = [index[symbol] for symbol in symbols]
                positions, cells = arrays[f"positions_{number}"], arrays[f"cells_{number}"]
                parts = []
                for first in range(0, len(positions), FRAMES_A_SIGN):
                    some = slice(first, first + FRAMES_A_SIGN)
                    parts.append(model.eval(positions[some], cells[some], types)[:3])
                    sys.stderr.write(f"{path}: data set {number}, frame {first}\n")
                energy, force, virial = map(np.concatenate, zip(*parts, strict=True))
                results.setdefault(f"energies_{number}", []).append(energy.reshape(-1))
                results.setdefault(f"forces_{number}", []).append(force)
                results.setdefault(f"virials_{number}", []).append(virial.reshape(-1, 3, 3))
    arrays_out: dict[str, Any] = {name: np.stack(parts) for name, parts in results.items()}
    np.savez(job["predictions"], **arrays_out)


def describe(job: Job) -> None:
    """Elements that a model knows, in the order of its types, and its network, to JSON."""
    from deepmd.infer import DeepPot

    model = DeepPot(job["model"])
    about = {"type_map": model.get_type_map(), "model": model.get_model_def_script()}
    Path(job["output"]).write_text(json.dumps(about))


def compress(job: Job) -> None:
    """Compress a frozen model."""
    if job["backends"] == ["tensorflow"] and not _has_nearest(_graph(job["model"])):
        sys.exit(
            f"{job['model']} was frozen without the distance of the nearest neighbours and "
            "cannot be compressed; train it again, or set `train.compress: false`"
        )
    _compress(job["model"], job["compressed"], BACKENDS[job["backends"][0]])


TASKS: dict[str, Callable[[Job], None]] = {
    "train": train,
    "evaluate": evaluate,
    "describe": describe,
    "compress": compress,
}


def _takes(job_file: Path) -> bool:
    """Take a job; False when another copy, started by ``mpirun`` or its like, has it."""
    try:
        job_file.with_suffix(CLAIM_SUFFIX).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def main(job_file: Path) -> None:
    """Load the backends a job needs, then do it."""
    if not _takes(job_file):
        return
    job = json.loads(job_file.read_text())
    for name in job["backends"]:
        try:
            importlib.import_module(BACKENDS[name].entry_point)
        except (ImportError, RuntimeError, OSError) as error:
            sys.stderr.write(f"the {name} backend cannot be loaded: {error}\n")
            sys.exit(UNAVAILABLE_EXIT)
    TASKS[job["task"]](job)


if __name__ == "__main__":
    die_with_parent()
    main(Path(sys.argv[1]))
