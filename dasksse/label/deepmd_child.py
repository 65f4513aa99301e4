"""DeePMD-kit in a process of its own: one JSON object a line in and out, models kept loaded.

:mod:`dasksse.label.deepmd` runs this file with ``python -P MODEL ...``. It imports nothing of
dasksse.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

import numpy as np

Reply = dict[str, Any]


class Resident:
    """Answers requests with the mean over the models; loads them when first asked."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = paths
        self._models: list[Any] = []

    def answer(self, request: dict[str, Any]) -> Reply:
        """Energy, forces and virial of one configuration; a failure is an answer too."""
        try:
            self._load()
        except ImportError as error:
            return _failure("missing", error)
        except Exception as error:  # noqa: BLE001 - the parent decides what it means
            return _failure("error", error)
        try:
            return self._compute(request)
        except LookupError as error:
            return {"failure": "elements", "text": str(error.args[0])}
        except Exception as error:  # noqa: BLE001 - the parent decides what it means
            return _failure("error", error)

    def _load(self) -> None:
        if not self._models:
            from deepmd.infer import DeepPot

            self._models = [DeepPot(path) for path in self._paths]

    def _compute(self, request: dict[str, Any]) -> Reply:
        positions, cell = np.array([request["positions"]]), np.array([request["cell"]])
        answers = []
        for path, model in zip(self._paths, self._models, strict=True):
            types = _types(request["symbols"], model.get_type_map(), path)
            energy, forces, virial = model.eval(positions, cell, types)[:3]
            answers.append((energy.item(), forces[0], virial.reshape(3, 3)))
        energies, forces, virials = zip(*answers, strict=True)
        return {
            "energy": float(np.mean(energies)),
            "forces": np.mean(forces, axis=0).tolist(),
            "virial": np.mean(virials, axis=0).tolist(),
        }


def _types(symbols: list[str], type_map: list[str], path: str) -> list[int]:
    index = {symbol: i for i, symbol in enumerate(type_map)}
    unknown = sorted(set(symbols) - set(index))
    if unknown:
        msg = f"{path} knows {', '.join(index)}, not {', '.join(unknown)}"
        raise LookupError(msg)
    return [index[symbol] for symbol in symbols]


def _failure(kind: str, error: Exception) -> Reply:
    traceback.print_exc()
    return {"failure": kind, "text": f"{type(error).__name__}: {error}"}


def main(paths: list[str]) -> None:
    """Answer requests until standard input ends."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as replies:
        os.dup2(2, 1)  # whatever else is printed must not get between the replies
        resident = Resident(paths)
        for line in sys.stdin:
            replies.write(json.dumps(resident.answer(json.loads(line))) + "\n")
            replies.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
