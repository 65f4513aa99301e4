"""Studies of a calculator by units of work: convergence of settings, lattice parameters."""

from __future__ import annotations

from dasksse.study.config_edit import set_value
from dasksse.study.converge import Converge
from dasksse.study.relaxation import LatticeRow, Relaxation, RelaxRequest
from dasksse.study.session import Study, open_study, run_study, study_in

__all__ = [
    "Converge",
    "LatticeRow",
    "RelaxRequest",
    "Relaxation",
    "Study",
    "open_study",
    "run_study",
    "set_value",
    "study_in",
]
