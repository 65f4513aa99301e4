"""Fast reading of text files of numbers, packed or not, larger than memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from typing import IO, TYPE_CHECKING, Any, TypeVar

import numpy as np

from dasksse.errors import TrajectoryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

Frame = TypeVar("Frame")

BLOCK_BYTES = 8 << 20
_UNPACKERS: dict[str, Callable[[IO[bytes]], Any]] = {
    ".gz": lambda raw: gzip.GzipFile(fileobj=raw),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}


class TextFile:
    """A text file, unpacked when its name ends in ``.gz``, ``.bz2`` or ``.xz``.

    Attributes
    ----------
    path
        The file.
    cut_off
        What is wrong with its end; empty when nothing is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._raw: Any = path.open("rb")
        unpack = _UNPACKERS.get(path.suffix.lower())
        self._stream = self._raw if unpack is None else unpack(self._raw)
        self.cut_off = ""

    def bytes_read(self) -> int:
        """How much of the file, as it lies on disk, has been read."""
        return self._raw.tell()

    def read(self, size: int = BLOCK_BYTES, /) -> bytes:
        """At most so many bytes; none at the end, or where a packed file is cut off.

        Raises
        ------
        TrajectoryError
            When it cannot be unpacked.
        """
        try:
            return self._stream.read1(size)
        except EOFError:
            self.cut_off = "the packed file is cut off"
            return b""
        except (OSError, zlib.error, lzma.LZMAError) as error:
            msg = f"{self.path}: cannot be unpacked: {error}"
            raise TrajectoryError(msg) from error

    def blocks(self) -> Iterator[bytes]:
        """Its bytes, some 8 MB at a time."""
        parts: list[bytes] = []
        while part := self.read(BLOCK_BYTES):
            parts.append(part)
            if sum(map(len, parts)) >= BLOCK_BYTES:
                yield b"".join(parts)
                parts = []
        yield b"".join(parts)

    def frame_groups(
        self, split: Callable[[bytes], tuple[list[Frame], int]]
    ) -> Iterator[tuple[bytes, list[Frame]]]:
        """Text and what ``split`` finds in it, two frames or more at a time but for the last.

        Parameters
        ----------
        split
            Finds whole frames in a text and says where the rest begins.
        """
        rest = b""
        for block in self.blocks():
            text = rest + block
            frames, used = split(text)
            if len(frames) < 2:  # noqa: PLR2004 - from one frame no time step can be read
                rest = text
                continue
            yield text, frames
            rest = text[used:]
        frames, used = split(rest)
        if frames:
            yield rest, frames
        if rest[used:].strip():
            self.cut_off = self.cut_off or "the last frame is cut off"


def read_table(
    text: bytes, n_columns: int, use: Mapping[int, type], where: str
) -> dict[int, NDArray[Any]]:
    """Columns of a table of words parted by blanks.

    Parameters
    ----------
    text
        Rows, one a line.
    n_columns
        Words in a row.
    use
        Wanted columns, counted from 0, and their types: ``float``, ``int``, or ``str``, which
        gives a pandas categorical.
    where
        File and frames, for messages.

    Raises
    ------
    TrajectoryError
        When a word is no number. Missing words of a row are NaN.

    Notes
    -----
    pandas' reader takes some 100 MB/s on one core, ten times as much as numpy's.
    """
    import pandas as pd

    kinds = {column: "category" if kind is str else kind for column, kind in use.items()}
    try:
        table = pd.read_csv(
            io.BytesIO(text.replace(b"\t", b" ") if b"\t" in text else text),
            sep=" ",
            skipinitialspace=True,
            header=None,
            index_col=False,
            names=range(n_columns),
            usecols=list(use),
            dtype=kinds,
        )
    except ValueError as error:
        msg = f"{where}: a row cannot be read: {error}"
        raise TrajectoryError(msg) from error
    return {
        column: table[column].array if kind is str else table[column].to_numpy()
        for column, kind in use.items()
    }


def read_rows(text: bytes, n_columns: int, where: str) -> NDArray[np.float64]:
    """Table of numbers alone, ``(row, column)``; see :func:`read_table`."""
    table = read_table(text, n_columns, dict.fromkeys(range(n_columns), float), where)
    return np.stack([table[column] for column in range(n_columns)], axis=1)


def same_words(column: Any, words: Sequence[str]) -> NDArray[np.bool_]:  # noqa: ANN401 - pandas is untyped here
    """Whether a column of words repeats the same ones, shape ``(repeat, word)``."""
    codes = {word: code for code, word in enumerate(dict.fromkeys(words))}
    own = np.array([codes.get(str(word), -1) for word in column.categories] + [-1])
    expected = np.array([codes[word] for word in words])
    return np.asarray(own[np.asarray(column.codes)].reshape(-1, len(words)) == expected)


def line_ends(text: bytes) -> NDArray[np.int64]:
    """Where lines end."""
    return np.flatnonzero(np.frombuffer(text, dtype=np.uint8) == ord("\n"))
