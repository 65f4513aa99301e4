"""Why frames have no label: long texts put into few kinds that can be counted."""

from __future__ import annotations

import re

from dasksse.label.single_point import ABOVE_CAP

SCF = "SCF not converged"
NET_FORCE = "net force not zero"
FORCE_CAP = "force above the cap"
NOT_FINITE = "numbers not finite"
TIME_LIMIT = "time limit"
WORKER_DIED = "worker died"

REFUSALS = frozenset({FORCE_CAP, NET_FORCE, NOT_FINITE})
"""Kinds of a label that was computed and must not be used."""

NOT_CONVERGED = frozenset({SCF, NET_FORCE})
"""Kinds that come again when the same settings are tried again."""

FINAL = NOT_CONVERGED | {TIME_LIMIT, WORKER_DIED}
"""Kinds of a frame that is not tried again."""

_KINDS = (
    (FORCE_CAP, re.compile(re.escape(ABOVE_CAP))),
    (NET_FORCE, re.compile(r"^net force of ", re.MULTILINE)),
    (NOT_FINITE, re.compile(r"^(energy or forces are|virial is) not finite", re.MULTILINE)),
    (SCF, re.compile(r"^(ScfError|SCFError|KohnShamConvergenceError)\b", re.MULTILINE)),
    (WORKER_DIED, re.compile(r"^its worker died \d+ times", re.MULTILINE)),
    (
        TIME_LIMIT,
        re.compile(
            r"^(LabelLimitError\b|(one label took )?longer than [\d.e+]+ s)", re.MULTILINE
        ),
    ),
    ("hung", re.compile(r"silent for [\d.e+]+ s\)$", re.MULTILINE)),
)
OTHER = "calculator failed"


def reason_kind(reason: str) -> str:
    """Kind of a reason of :func:`~dasksse.label.label_frames`, or of a unit's error with one.

    Parameters
    ----------
    reason
        The text; that of ASE's and GPAW's errors is known as well.

    Returns
    -------
    str
        A few words, such as ``SCF not converged``; ``calculator failed`` for what has no kind
        of its own, such as crashes.
    """
    return next((kind for kind, pattern in _KINDS if pattern.search(reason)), OTHER)
