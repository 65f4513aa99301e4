"""Frames of unknown number into one array of one run, a whole shard at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dasksse.store.layout import ArraySpec, create_array, frame_chunks

if TYPE_CHECKING:
    from collections.abc import Callable

    import zarr
    from numpy.typing import NDArray

    Encode = Callable[[NDArray[Any], NDArray[Any], int], None]
    """Turn values into what is stored: values, where it goes, number of the first frame."""

_FAR = 1 << 40
"""More frames than any run has."""


class ShardStream:
    """Collects frames and writes them when a shard is full, or at the end.

    Parameters
    ----------
    group
        Where the array is, or will be made with the first shard.
    name
        Name of the array.
    run
        Index of the run.
    spec
        How to make the array when it is not there; its number of frames does not matter.
    encode
        Turns values into what is stored.
    """

    def __init__(
        self, group: zarr.Group, name: str, run: int, *, spec: ArraySpec, encode: Encode
    ) -> None:
        self._group = group
        self._name = name
        self._run = run
        self._spec = spec
        self._encode = encode
        self._array: zarr.Array[Any] | None = group.get(name)
        if self._array is None:
            shape = (1, _FAR, *spec.shape[2:])
            _, shards = frame_chunks(replace(spec, shape=shape))
            dtype = np.dtype(spec.dtype)
        else:
            shards, dtype = self._array.shards, self._array.dtype
        # room is taken from memory only as it is filled
        self._buffer = np.empty((shards[1], *spec.shape[2:]), dtype=dtype)
        self._filled = 0
        self.n_frames = 0

    def add(self, values: NDArray[Any], on_stored: Callable[[NDArray[Any]], None]) -> None:
        """Take in frames; what is stored of them is handed on."""
        start = 0
        while start < len(values):
            part = values[start : start + len(self._buffer) - self._filled]
            stored = self._buffer[self._filled : self._filled + len(part)]
            self._encode(part, stored, self.n_frames)
            on_stored(stored)
            self._filled += len(part)
            self.n_frames += len(part)
            start += len(part)
            if self._filled == len(self._buffer):
                self.flush()

    def flush(self) -> None:
        """Write the frames that wait."""
        if not self._filled:
            return
        if self._array is None:
            shape = (self._run + 1, self._filled, *self._spec.shape[2:])
            self._array = create_array(
                self._group, self._name, replace(self._spec, shape=shape)
            )
        start = self.n_frames - self._filled
        n_runs, n_frames, *rest = self._array.shape
        self._array.resize((max(n_runs, self._run + 1), max(n_frames, self.n_frames), *rest))
        self._array[self._run, start : self.n_frames] = self._buffer[: self._filled]
        self._filled = 0
