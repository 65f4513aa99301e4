"""How a session of a run ended, and the user's command that is told of it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dasksse.process import NOT_FOUND, end_process, launch, read_log_tail
from dasksse.report.formats import format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dasksse.store.folders import RunFolder
    from dasksse.store.journal import Journal

HOOK_TIME_S = 60.0
"""Time that the user's command may take [s]."""

HOOK_LOG = "on_end.log"


@dataclass(frozen=True)
class Ending:
    """Why a session is over.

    Attributes
    ----------
    state
        ``finished``, ``failed`` or ``interrupted``.
    message
        One sentence or more for the user.
    error
        What ended it; None when the run is finished.
    """

    state: Literal["finished", "failed", "interrupted"]
    message: str
    error: BaseException | None = None

    @classmethod
    def of(cls, error: BaseException) -> Ending:
        """Ending by an exception."""
        if isinstance(error, KeyboardInterrupt):
            return cls("interrupted", "interrupted; the same command continues", error)
        return cls("failed", str(error) or type(error).__name__, error)


def summarise(folder: RunFolder, journal: Journal) -> str:
    """Stage, labels, models and D so far, one line each."""
    facts, rows = journal.facts(), journal.units()
    done = [row for row in rows if row.status == "done"]
    labels = sum(int(r.result.get("n_good", 0)) for r in done if r.kind in {"label", "relax"})
    trained = [row.generation for row in done if row.kind == "train"]
    lines = [
        f"run: {folder.root}",
        f"stage: {facts.get('stage') or 'start'}",
        f"labels: {labels}",
        f"generations trained: {len(set(trained))}",
        f"units: {len(done)} done, {len(rows) - len(done)} quarantined",
        f"time: {format_duration(float(facts.get('wall_s', 0.0)))}",
    ]
    lines += [str(row.result["text"]) for row in done if row.kind == "diffusion"]
    return "\n".join(lines) + "\n"


def run_hook(
    words: Sequence[str],
    ending: Ending,
    *,
    folder: RunFolder,
    summary: str,
    workdir: Path,
    time_s: float = HOOK_TIME_S,
) -> str:
    """Run the user's command; what went wrong with it, empty when nothing did.

    Parameters
    ----------
    words
        Command and arguments; nothing happens without any.
    ending
        How the run ended; in the command's environment as ``DASKSSE_STATE`` and
        ``DASKSSE_MESSAGE``, beside ``DASKSSE_RUN_DIR``.
    folder
        Run folder; what the command prints goes to a log there.
    summary
        Standard input of the command.
    workdir
        Folder to run it in.
    time_s
        Time it may take [s].
    """
    if not words:
        return ""
    environment = {
        **os.environ,
        "DASKSSE_RUN_DIR": str(folder.root),
        "DASKSSE_STATE": ending.state,
        "DASKSSE_MESSAGE": ending.message,
    }
    log = folder.root / HOOK_LOG
    try:
        with log.open("ab") as stream:
            process = launch(
                words, workdir=workdir, env=environment, stdin=subprocess.PIPE, stdout=stream
            )
        try:
            process.communicate(summary.encode(), timeout=time_s)
        except subprocess.TimeoutExpired:
            return f"on_end: {words[0]} took longer than {time_s:g} s and was ended"
        finally:
            end_process(process)
    except OSError as error:
        return f"on_end: {words[0]} could not be started: {error}"
    if process.returncode == NOT_FOUND:
        return f"on_end: there is no command {words[0]!r}; looked for from {workdir}"
    if process.returncode != 0:
        return f"on_end: {words[0]} ended with {process.returncode}: {read_log_tail(log, 5)}"
    return ""
