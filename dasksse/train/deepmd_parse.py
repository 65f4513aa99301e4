"""Reading what DeePMD-kit writes while it trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dasksse.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class LearningCurve:
    """Errors during a training, one row for each step at which they were written.

    Attributes
    ----------
    steps
        Training step, rising, shape ``(row,)``.
    learning_rate
        Learning rate at that step, shape ``(row,)``.
    training, validation
        Root mean square errors by name, each of shape ``(row,)``: ``rmse`` (root of the
        loss), ``rmse_e`` [eV/atom], ``rmse_f`` [eV/Å], ``rmse_v`` [eV/atom]; NaN where the
        frames of a row carry no such label. ``validation`` is empty without such data.
    """

    steps: NDArray[np.int64]
    learning_rate: NDArray[np.float64]
    training: Mapping[str, NDArray[np.float64]]
    validation: Mapping[str, NDArray[np.float64]]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.steps)


def _rows(lines: list[str], n_columns: int) -> dict[int, list[float]]:
    """Rows by step; a later one replaces an earlier one, a cut-off last line is left out."""
    rows = {}
    for line in lines:
        words = line.split()
        if len(words) == n_columns and not line.startswith("#"):
            rows[int(words[0])] = [float(word) for word in words]
    return rows


def read_learning_curve(path: Path) -> LearningCurve:
    """Learning curve of a training, also of one that runs or was restarted.

    Parameters
    ----------
    path
        DeePMD-kit's ``lcurve.out``.

    Returns
    -------
    LearningCurve
        Sorted by step; of steps written twice, before and after a restart, the later one.

    Raises
    ------
    StoreError
        When the file is missing or does not begin with a header of column names.
    """
    try:
        text = path.read_text()
    except OSError as error:
        msg = f"{path}: no learning curve: {error.strerror}"
        raise StoreError(msg) from error
    complete = text[: text.rfind("\n") + 1].splitlines()
    names = complete[0].lstrip("# ").split() if complete else []
    if names[:1] != ["step"] or names[-1:] != ["lr"]:
        msg = f"{path}: no learning curve: the first line must name columns 'step ... lr'"
        raise StoreError(msg)
    rows = _rows(complete, len(names))
    table = np.array([rows[step] for step in sorted(rows)]).reshape(-1, len(names))
    columns = dict(zip(names, table.T, strict=True))
    return LearningCurve(
        columns["step"].astype(np.int64),
        columns["lr"],
        {name.removesuffix("_trn"): c for name, c in columns.items() if name.endswith("_trn")},
        {name.removesuffix("_val"): c for name, c in columns.items() if name.endswith("_val")},
    )
