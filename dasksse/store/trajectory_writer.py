"""Trajectories from elsewhere into a store: streamed, whole shards, visible when complete."""

from __future__ import annotations

import re
import shutil
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from dasksse.errors import StoreError
from dasksse.store.encoding import RunDigest, element_centres, elements_of, encode_positions
from dasksse.store.layout import (
    DEFAULT_PRECISION_A,
    LAYOUT_VERSION,
    checksum_spec,
    create_array,
    frame_specs,
    open_store,
    scalar_spec,
)
from dasksse.store.shard_stream import ShardStream
from dasksse.store.writer_commit import (
    RunFacts,
    check_fits,
    commit,
    stage_group,
    write_coordinates,
    write_lock,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    import zarr
    from numpy.typing import ArrayLike, NDArray

    from dasksse.records import Json

_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*")
_NOT_FOR_IMPORTS = {"labels", "explore"}


class TrajectoryWriter:
    """Write one MD run of unknown length into a store, in pieces.

    The run is written to ``STORE.part`` and moved into the store when the ``with`` block ends
    without an error; until then the store is as it was, and after an error the pieces are
    dropped. A group that exists gets one more run (same atoms, interval and precision). Memory
    is bounded by one shard (64 MB of positions).

    Parameters
    ----------
    store
        The store, ``*.zarr``; made when it is not there.
    group
        Group in the store, such as ``production/lgps``.
    numbers
        Atomic numbers, shape ``(atom,)``, in the order of the positions. The store sorts atoms
        by element and keeps their place in ``source_index``.
    frame_interval_ps
        Time between frames [ps].
    temperature_K, pressure_GPa
        Target temperature [K] and pressure [GPa]; None where they are not known.
    precision_A
        Positions are rounded to multiples of this [Å]; 0 keeps them as they are.
    attributes
        What to remember of this run, as JSON: source file, how it was unwrapped, notes.

    Attributes
    ----------
    left_behind
        Whether an import that was killed had left its pieces, which are dropped.

    Raises
    ------
    StoreError
        When the arguments cannot be stored, or the group holds other atoms, another interval,
        precision or layout, or a later version of dasksse wrote the store.
    RunFolderError
        On entering, when the store is that of a learning run or another import writes to it.

    Examples
    --------
    >>> with TrajectoryWriter(store, group="production/lgps", numbers=numbers,
    ...                       frame_interval_ps=0.1, temperature_K=600.0) as writer:
    ...     for positions, cells in pieces:
    ...         writer.add(positions, cells)
    """

    def __init__(
        self,
        store: Path,
        *,
        group: str,
        numbers: ArrayLike,
        frame_interval_ps: float,
        temperature_K: float | None = None,
        pressure_GPa: float | None = None,
        precision_A: float = DEFAULT_PRECISION_A,
        attributes: Mapping[str, Json] | None = None,
    ) -> None:
        self._store = store
        self._path = group.strip("/")
        self._frame_interval_ps = frame_interval_ps
        targets = {"temperature_K": temperature_K, "pressure_GPa": pressure_GPa}
        self._targets = {n: np.nan if v is None else v for n, v in targets.items()}
        self._precision_A = precision_A
        self._attributes = dict(attributes or {})
        given = np.asarray(numbers, dtype=np.int64)
        self._check_arguments(given)
        self._order = np.argsort(given, kind="stable")
        self._is_sorted = bool((np.diff(self._order) > 0).all())
        self._numbers = given[self._order]
        self._part = store.with_name(f"{store.name}.part")
        self.left_behind = False
        self._exits = ExitStack()
        self._run = self._replica = 0
        self._streams: dict[str, ShardStream] = {}
        self._scalar_names: list[str] | None = None
        self._digest = RunDigest(self._numbers)

    def _check_arguments(self, numbers: NDArray[np.int64]) -> None:
        if self._store.suffix != ".zarr":
            msg = f"{self._store}: the name of a store ends in .zarr"
            raise StoreError(msg)
        if not _GROUP.fullmatch(self._path) or self._path.split("/")[0] in _NOT_FOR_IMPORTS:
            msg = (
                f"group {self._path!r}: allowed are names of letters, digits, dots and hyphens "
                "parted by /, not below labels or explore; such as production/lgps"
            )
            raise StoreError(msg)
        if numbers.ndim != 1 or not len(numbers) or numbers.min() < 1:
            msg = "numbers: needed is one atomic number, 1 or more, for each atom"
            raise StoreError(msg)
        if not 0.0 < self._frame_interval_ps < np.inf:
            msg = f"frame_interval_ps: found {self._frame_interval_ps}, needed a time above 0"
            raise StoreError(msg)
        if not 0.0 <= self._precision_A < 1.0:
            msg = f"precision_A: found {self._precision_A}, allowed are 0 (lossless) to 1 Å"
            raise StoreError(msg)

    def __enter__(self) -> Self:
        """Keep other writers out and make the staging folder."""
        with ExitStack() as exits:
            exits.enter_context(write_lock(self._store))
            exits.callback(shutil.rmtree, self._part, ignore_errors=True)
            self.left_behind = self._part.exists()
            if self._store.exists():
                self._join(open_store(self._store, mode="r"))
            self._group = stage_group(self._part, self._store, self._path)
            self._exits = exits.pop_all()
        return self

    def _join(self, root: zarr.Group) -> None:
        """Become the next run of a group that is there."""
        if self._path not in root or "n_valid" not in root[self._path]:
            return
        group = root[self._path]
        place = f"{self._store}/{self._path}"
        wanted = {
            "layout version": LAYOUT_VERSION,
            "number of atoms": len(self._numbers),
            "precision [Å]": self._precision_A,
            "frame interval [ps]": self._frame_interval_ps,
        }
        check_fits(group, wanted, place)
        for name, ours in (
            ("atomic_number", self._numbers),
            ("source_index", self._order),
        ):
            if name not in group or not np.array_equal(group[name][:], ours):
                msg = (
                    f"{place}: its runs have other atoms, or in another order; give another "
                    "group"
                )
                raise StoreError(msg)
        self._run = group["n_valid"].shape[0]
        same = [
            np.isclose(group[name][: self._run], value, equal_nan=True)
            for name, value in self._targets.items()
        ]
        self._replica = int(np.all(same, axis=0).sum())
        has_scalars = "scalars" in group
        self._scalar_names = list(group["scalars"].attrs["table"]) if has_scalars else []

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Move the run into the store; after an error drop it."""
        with self._exits:
            if error is None:
                self._finish()

    @property
    def n_frames(self) -> int:
        """Frames added so far."""
        return self._streams["positions"].n_frames if self._streams else 0

    @property
    def scalar_names(self) -> list[str] | None:
        """Numbers that each frame of the group has; None before the first frame of all."""
        return self._scalar_names

    def add(
        self,
        positions: NDArray[np.floating],
        cells: NDArray[np.floating],
        scalars: Mapping[str, NDArray[np.floating]] | None = None,
    ) -> None:
        """Append frames.

        Parameters
        ----------
        positions
            Unwrapped positions [Å], shape ``(frame, atom, xyz)``, in pieces of any size; with a
            variable cell unwrapped fractions times the cell of the same frame.
        cells
            Cell vectors as rows [Å], shape ``(frame, lattice, xyz)``.
        scalars
            Numbers of each frame by name, each of shape ``(frame,)``: ``temperature`` [K],
            ``pressure`` [GPa], ``energy`` [eV] or what the file has. Names are those of the
            first frames of the group; what is missing later is NaN.

        Raises
        ------
        StoreError
            When a position is not finite or too far away for the precision, the shapes do not
            fit, or a scalar is new.
        """
        n_atoms = len(self._numbers)
        for name, array, shape in (
            ("positions", positions, (len(positions), n_atoms, 3)),
            ("cells", cells, (len(positions), 3, 3)),
        ):
            if array.shape != shape:
                msg = f"{name}: found shape {array.shape}, needed {shape}"
                raise StoreError(msg)
        ordered = positions if self._is_sorted else np.take(positions, self._order, axis=1)
        values = {"positions": ordered, "cell": cells}
        values["centres"] = element_centres(ordered, self._numbers)
        columns = self._columns(scalars or {}, len(positions))
        if columns is not None:
            values["scalars"] = columns
        if not self._streams:
            self._open_streams(positions.dtype)
        for name, stream in self._streams.items():
            stream.add(values[name], partial(self._digest.update, name))

    def _columns(
        self, scalars: Mapping[str, NDArray[np.floating]], n_frames: int
    ) -> NDArray[np.float64] | None:
        """Scalars as columns; NaN where these frames lack one of the group."""
        if self._scalar_names is None:
            self._scalar_names = list(scalars)
        if new := sorted(set(scalars) - set(self._scalar_names)):
            msg = (
                f"{self._store}/{self._path}: scalars {new} are new; earlier frames have "
                f"{self._scalar_names}; leave them out, or give another group"
            )
            raise StoreError(msg)
        if not self._scalar_names:
            return None
        unknown = np.full(n_frames, np.nan)
        return np.stack([scalars.get(name, unknown) for name in self._scalar_names], axis=1)

    def _open_streams(self, dtype: np.dtype[Any]) -> None:
        """One stream for each array; the first frames say of what kind the numbers are."""
        shape = (self._run + 1, 1)
        specs = frame_specs(
            shape,
            n_atoms=len(self._numbers),
            n_elements=len(elements_of(self._numbers)),
            precision_A=self._precision_A,
            lossless_dtype="f4" if dtype == np.float32 else "f8",
            grows=True,
        )
        if self._scalar_names:
            specs["scalars"] = scalar_spec(shape, self._scalar_names, grows=True)
        there = self._group.get("positions")
        wanted = np.dtype(specs["positions"].dtype)
        if there is not None and there.dtype.itemsize < wanted.itemsize:
            msg = (
                f"{self._store}/{self._path}: its positions are {there.dtype}, which would "
                "round those of the new run; give another group"
            )
            raise StoreError(msg)
        self._streams = {
            name: ShardStream(
                self._group,
                name,
                self._run,
                spec=spec,
                encode=self._encode_positions if name == "positions" else _copy,
            )
            for name, spec in specs.items()
        }

    def _encode_positions(
        self, values: NDArray[Any], out: NDArray[Any], first_frame: int
    ) -> None:
        encode_positions(
            values,
            precision_A=self._precision_A,
            out=out,
            first_frame=first_frame,
            atoms=self._order,
        )

    def annotate(self, attributes: Mapping[str, Json]) -> None:
        """Add to what is remembered of the run: facts known only after the last frame."""
        self._attributes.update(attributes)

    def _finish(self) -> None:
        """Write what waits, then move all into the store."""
        if not self.n_frames:
            msg = f"{self._store}/{self._path}: no frame was added; the store is as it was"
            raise StoreError(msg)
        for stream in self._streams.values():
            stream.flush()
        facts = RunFacts(
            path=self._path,
            run=self._run,
            n_frames=self.n_frames,
            frame_interval_ps=self._frame_interval_ps,
            **self._targets,
            replica=self._replica,
            attributes=self._attributes,
        )
        n_runs = self._run + 1
        if "checksum" in self._group:
            self._group["checksum"].resize((n_runs, 32))
        else:
            create_array(self._group, "checksum", checksum_spec(n_runs))
        self._group["checksum"][self._run] = self._digest.value()
        if not self._run:
            write_coordinates(self._group, facts, order=self._order, numbers=self._numbers)
        commit(self._part, self._store, facts)


def _copy(values: NDArray[Any], out: NDArray[Any], first_frame: int) -> None:  # noqa: ARG001
    np.copyto(out, values, casting="same_kind")
