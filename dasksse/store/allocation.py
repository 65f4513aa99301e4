"""Room for MD runs in the store: groups that the driver makes, lets grow and sets aside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.store.continued import CONTINUED_IN, CONTINUED_KEY, CONTINUES
from dasksse.store.encoding import elements_of
from dasksse.store.layout import (
    DEFAULT_PRECISION_A,
    STORE_NAME,
    ArraySpec,
    checksum_spec,
    create_array,
    frame_specs,
    mark_version,
    open_store,
    require_group,
    scalar_names,
    scalar_spec,
)

if TYPE_CHECKING:
    from pathlib import Path

    import zarr
    from numpy.typing import NDArray


@dataclass(frozen=True)
class TrajectoryGroup:
    """What the driver must know to pre-allocate the runs of one system.

    Attributes
    ----------
    path
        Group in the store, such as ``explore/000/lgps``.
    numbers
        Atomic numbers, shape ``(atom,)``.
    type_map
        Elements of the model, in order.
    temperatures_K, pressures_GPa, replicas, seeds
        One value per run.
    n_frames
        Frames each run is planned to have.
    frame_interval_ps
        Time between frames [ps].
    equilibration_ps
        Frames before this time are equilibration.
    models
        Model files that drive the runs, from the run folder, the first one leading.
    precision_A
        Positions are rounded to multiples of this [Å]; 0 for no rounding. A group that is
        there keeps the precision it was made with.
    continues
        Group whose runs these go on with, in the same order; empty for runs from the start.
    first_frame
        Number of the first frame, counted from the start of the first of those runs.
    """

    path: str
    numbers: tuple[int, ...]
    type_map: tuple[str, ...]
    temperatures_K: tuple[float, ...]
    pressures_GPa: tuple[float, ...]
    replicas: tuple[int, ...]
    seeds: tuple[int, ...]
    n_frames: int
    frame_interval_ps: float
    equilibration_ps: float
    models: tuple[str, ...] = ()
    precision_A: float = DEFAULT_PRECISION_A
    continues: str = ""
    first_frame: int = 0

    @property
    def n_runs(self) -> int:
        """Number of runs."""
        return len(self.temperatures_K)


def _array_specs(spec: TrajectoryGroup) -> dict[str, ArraySpec]:
    shape = (spec.n_runs, spec.n_frames)
    verdicts = {"table": ["accurate", "candidate", "failed"], "units": "1"}
    unit = {"long_name": "unit that wrote the run"}
    return {
        **frame_specs(
            shape,
            n_atoms=len(spec.numbers),
            n_elements=len(set(spec.numbers)),
            precision_A=spec.precision_A,
        ),
        "scalars": scalar_spec(shape, scalar_names(spec.type_map)),
        "verdict": ArraySpec(("run", "frame"), shape, "i1", verdicts),
        "reason": ArraySpec(("run", "frame"), shape, "i1", {"units": "1"}),
        "unit_key": ArraySpec(("run",), (spec.n_runs,), "u8", unit),
        "checksum": checksum_spec(spec.n_runs),
        **({CONTINUED_KEY: _continued_spec(spec.n_runs)} if spec.continues else {}),
    }


def _continued_spec(n_runs: int) -> ArraySpec:
    facts = {"units": "1", "long_name": "unit that wrote what the run goes on from"}
    return ArraySpec(("run",), (n_runs,), "u8", facts)


def _coordinates(spec: TrajectoryGroup) -> dict[str, tuple[str, str, NDArray[Any], str]]:
    times = (spec.first_frame + np.arange(spec.n_frames)) * spec.frame_interval_ps
    quantities = np.arange(len(scalar_names(spec.type_map)))
    return {
        "temperature_K": ("run", "f8", np.asarray(spec.temperatures_K), "K"),
        "pressure_GPa": ("run", "f8", np.asarray(spec.pressures_GPa), "GPa"),
        "replica": ("run", "i4", np.asarray(spec.replicas), "1"),
        "seed": ("run", "i8", np.asarray(spec.seeds), "1"),
        "time_ps": ("frame", "f8", times, "ps"),
        "is_equilibration": (
            "frame",
            "i1",
            (times < spec.equilibration_ps - 1e-9).astype("i1"),
            "1",
        ),
        "atomic_number": ("atom", "i2", np.asarray(spec.numbers), "1"),
        "element": ("element", "i2", elements_of(np.asarray(spec.numbers)), "1"),
        "quantity": ("quantity", "i4", quantities, "1"),
    }


def valid_spec(n_runs: int) -> ArraySpec:
    """How many frames of each run are data."""
    attributes = {"units": "1", "long_name": "frames that are data; the rest is padding"}
    return ArraySpec(("run",), (n_runs,), "i4", attributes, per_run=False)


def allocate(run_dir: Path, spec: TrajectoryGroup) -> None:
    """Create the group of a system with room for all its runs, or let it grow.

    Only the driver calls this. A group of other frames (another length or interval) is set
    aside under a name that says so, and taken back when those settings return. A group whose
    last piece, ``n_valid``, is missing was being made when the driver died and is made again.
    """
    root = open_store(run_dir)
    _set_aside(run_dir, root, spec)
    group = require_group(root, spec.path)
    if "n_valid" not in group:
        mark_version(root, group)
    is_first_layout = "layout_version" not in group.attrs
    for name, array in _array_specs(spec).items():
        if name not in group:
            if not (is_first_layout and name in {"centres", "checksum"}):
                create_array(group, name, array)
        elif group[name].shape[0] < spec.n_runs:
            group[name].resize((spec.n_runs, *group[name].shape[1:]))
    n_runs = int(group["positions"].shape[0])
    coordinates = _coordinates(spec)
    if is_first_layout:
        del coordinates["element"]
    for name, (dim, dtype, values, units) in coordinates.items():
        _write_coordinate(group, name, dim, dtype, values, units, n_runs)
    secondary = " ".join(name for name in coordinates if name not in {"quantity", "element"})
    _describe(root, group, spec, secondary)
    if "n_valid" not in group:
        create_array(group, "n_valid", valid_spec(n_runs))[:] = 0
    elif group["n_valid"].shape[0] < n_runs:
        group["n_valid"].resize((n_runs,))
        group["n_valid"][:] = np.maximum(group["n_valid"][:], 0)


def _describe(
    root: zarr.Group, group: zarr.Group, spec: TrajectoryGroup, coordinates: str
) -> None:
    """Write the attributes of a group, and tell the one that it continues."""
    group.attrs.update(
        {
            "coordinates": coordinates,
            "type_map": list(spec.type_map),
            "models": list(spec.models),
            "frame_interval_ps": spec.frame_interval_ps,
        }
    )
    if spec.continues:
        group.attrs[CONTINUES] = spec.continues
        root[spec.continues].attrs[CONTINUED_IN] = spec.path


def _write_coordinate(
    group: zarr.Group,
    name: str,
    dim: str,
    dtype: str,
    values: NDArray[Any],
    units: str,
    n_runs: int,
) -> None:
    """Write a coordinate; runs that are no longer asked for keep theirs."""
    length = max(n_runs, len(values)) if dim == "run" else len(values)
    if name not in group:
        spec = ArraySpec((dim,), (length,), dtype, {"units": units}, per_run=False)
        create_array(group, name, spec)
    array = group[name]
    if array.shape[0] < length:
        array.resize((length,))
    current = np.array(array[:])
    if not np.array_equal(current[: len(values)], values):
        current[: len(values)] = values
        array[:] = current


def _set_aside(run_dir: Path, root: zarr.Group, spec: TrajectoryGroup) -> None:
    """Exchange a group of other frames for the one, if any, that fits."""
    if spec.path not in root or "n_valid" not in root[spec.path]:
        return
    group = root[spec.path]
    n_frames = int(group["positions"].shape[1])
    times = group["time_ps"][:]
    interval = float(times[1] - times[0]) if len(times) > 1 else spec.frame_interval_ps
    if n_frames == spec.n_frames and abs(interval - spec.frame_interval_ps) < 1e-9:  # noqa: PLR2004
        return
    place = run_dir / STORE_NAME / spec.path
    place.rename(place.with_name(_name_aside(spec.path, n_frames, interval)))
    kept = place.with_name(_name_aside(spec.path, spec.n_frames, spec.frame_interval_ps))
    if kept.is_dir():
        kept.rename(place)


def _name_aside(path: str, n_frames: int, interval_ps: float) -> str:
    return f"{path.rpartition('/')[2]}.{n_frames}x{interval_ps:g}ps"


def is_set_aside(path: str) -> bool:
    """True for the name of a group whose frames the settings of the run ask for no more."""
    return re.search(r"\.\d+x[\d.e+-]+ps$", path) is not None
