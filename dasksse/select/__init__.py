"""Which frames of exploration are worth a label."""

from __future__ import annotations

from dasksse.select.candidates import REASONS, CandidateSet, Reason
from dasksse.select.diversity import PICKERS, pick_order
from dasksse.select.selection import Selection, draw_probe, select_frames
from dasksse.select.trust import (
    ACCURATE,
    CANDIDATE,
    FAILED,
    Shares,
    Verdict,
    auto_levels,
    classify,
    pooled_shares,
    shares,
    weighted_mean,
)

__all__ = [
    "ACCURATE",
    "CANDIDATE",
    "FAILED",
    "PICKERS",
    "REASONS",
    "CandidateSet",
    "Reason",
    "Selection",
    "Shares",
    "Verdict",
    "auto_levels",
    "classify",
    "draw_probe",
    "pick_order",
    "pooled_shares",
    "select_frames",
    "shares",
    "weighted_mean",
]
