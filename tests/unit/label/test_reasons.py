from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from dasksse.errors import LabelError, LabelLimitError, ScfError
from dasksse.label import REFUSALS, LabelLimits, label_frames, reason_kind
from dasksse.label.reasons import OTHER

if TYPE_CHECKING:
    from collections.abc import Callable

    from dasksse.label import LabelCalculator
    from dasksse.records import Frames


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ScfError("CP2K", 1, "/x", "not self-consistent, tried as-asked"), "SCF not converged"),
        (LabelError("CP2K", 1, "/x", "longer than 60 s"), "time limit"),
        (LabelLimitError("CP2K", 1, 400 * "/x", "longer than 60 s"), "time limit"),
        (LabelError("CP2K", 1, "/x", "one label took longer than 1e+04 s"), "time limit"),
        (LabelError("VASP", -9, "/x", "last line\n(stopped: silent for 900 s)"), "hung"),
        (LabelError("CP2K", 139, "/x", "this took longer than a coffee"), OTHER),
        (RuntimeError("segmentation fault"), OTHER),
    ],
)
def test_what_a_calculator_raises_has_a_kind_alone_and_as_the_error_of_its_batch(
    frames: Frames,
    scripted: Callable[..., LabelCalculator],
    error: Exception,
    kind: str,
) -> None:
    (reason,) = label_frames(frames.take([0]), scripted(error)).reasons

    assert reason_kind(reason) == kind
    assert reason_kind(str(LabelError("VASP 6", 1, "/run/work/label/x", reason))) == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [("SCFError", "SCF not converged"), ("KohnShamConvergenceError", "SCF not converged")],
)
def test_errors_of_ase_and_gpaw_are_known(name: str, kind: str) -> None:
    assert reason_kind(f"{name}: no convergence in 333 iterations") == kind


@pytest.mark.parametrize(
    ("limits", "step"),
    [
        (LabelLimits(max_force_eV_A=1.0), {"forces": np.full((8, 3), 2.0)}),
        (LabelLimits(max_net_force_eV_A=0.01), {"forces": np.full((8, 3), 0.1)}),
        (LabelLimits(), {"energy": np.nan}),
    ],
)
def test_a_label_that_must_not_be_used_is_a_refusal(
    frames: Frames,
    scripted: Callable[..., LabelCalculator],
    limits: LabelLimits,
    step: dict[str, Any],
) -> None:
    (reason,) = label_frames(frames.take([0]), scripted(step), limits=limits).reasons

    assert reason_kind(reason) in REFUSALS
