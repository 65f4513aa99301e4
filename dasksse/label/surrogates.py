"""Surrogates of DFT: graph networks whose weights come in their wheels."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import os
import warnings
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from dasksse.config.schema import Section
from dasksse.errors import ConfigError, ProgramMissingError
from dasksse.label.contract import AseCalculator, CalculatorKind
from dasksse.process import NOT_FOUND

if TYPE_CHECKING:
    from collections.abc import Iterator

Device = Annotated[str, Field(pattern=r"^(cpu|auto|cuda(:\d+)?)$")]


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep warnings and greetings of machine-learning packages off the screen."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _from_extra(name: str) -> Iterator[None]:
    """Say which optional dependency to install when what it brings cannot be imported."""
    try:
        yield
    except ImportError as error:
        fix = f'pip install "dasksse[{name}]" ({error})'
        raise ProgramMissingError(name, NOT_FOUND, "", fix) from error


def _limit_torch_threads() -> None:
    import torch

    # torch would otherwise take every core of the machine in every worker
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1").split(",")[0]))


def _usable_device(asked: str) -> str:
    """Torch device to run on; ``auto`` takes a GPU when there is one."""
    import torch

    has_gpu = torch.cuda.is_available()
    if asked == "auto":
        return "cuda" if has_gpu else "cpu"
    if asked.startswith("cuda") and not has_gpu:
        msg = (
            f"label.calculator.settings.device: found {asked!r}, but torch sees no GPU on this "
            "machine; use 'cpu', or 'auto' to take a GPU where there is one"
        )
        raise ConfigError(msg)
    return asked


class SevenNetSettings(Section):
    """SevenNet models whose weights come in the wheel."""

    model: Literal["7net-l3i5", "7net-0", "7net-mf-0"] = Field(
        default="7net-l3i5",
        description="`7net-l3i5`: most accurate; `7net-0`: a third of its time; `7net-mf-0`: "
        "as fast, two functionals.",
    )
    modal: Literal["PBE", "R2SCAN"] | None = Field(
        default=None,
        description="Functional of `7net-mf-0`, PBE when absent; the other models have none.",
    )
    device: Device = Field(default="cpu", description="`cpu`, `cuda`, `cuda:N` or `auto`.")

    @model_validator(mode="after")
    def _modal_only_where_known(self) -> Self:
        if self.modal is not None and self.model != "7net-mf-0":
            msg = (
                f"modal {self.modal!r} is only for model 7net-mf-0, not for {self.model} "
                "(trained on PBE); remove modal or change model"
            )
            raise ValueError(msg)
        return self


def _make_sevennet(settings: SevenNetSettings) -> AseCalculator:
    with _without_chatter():
        with _from_extra("sevennet"):
            from sevenn.calculator import SevenNetCalculator
        _limit_torch_threads()
        modal = (settings.modal or "PBE") if settings.model == "7net-mf-0" else None
        calculator = SevenNetCalculator(
            settings.model, device=_usable_device(settings.device), modal=modal
        )
    version = importlib.metadata.version("sevenn")
    name = f"{settings.model} {modal}" if modal else settings.model
    return AseCalculator(
        calculator=calculator,
        source=f"SevenNet {name} (sevenn {version})",
        functional="r2SCAN" if modal == "R2SCAN" else "PBE",
        is_surrogate=True,
        gives_virial=True,
    )


_SEVENNET_SECONDS_50_ATOMS = {"7net-l3i5": 2.8, "7net-0": 1.2, "7net-mf-0": 1.0}


class ChgnetSettings(Section):
    """CHGNet models whose weights come in the wheel."""

    model: Literal["0.3.0", "0.2.0", "r2scan"] = Field(
        default="0.3.0", description="Version of the pretrained model."
    )
    device: Device = Field(default="cpu", description="`cpu`, `cuda`, `cuda:N` or `auto`.")


def _make_chgnet(settings: ChgnetSettings) -> AseCalculator:
    with _without_chatter():
        with _from_extra("chgnet"):
            from chgnet.model.dynamics import CHGNetCalculator
            from chgnet.model.model import CHGNet
        _limit_torch_threads()
        device = _usable_device(settings.device)
        model = CHGNet.load(model_name=settings.model, use_device=device)
        # a far-off configuration has isolated atoms: no reason to print, its forces tell
        calculator = CHGNetCalculator(model, use_device=device, on_isolated_atoms="ignore")
    version = importlib.metadata.version("chgnet")
    return AseCalculator(
        calculator=calculator,
        source=f"CHGNet {settings.model} (chgnet {version})",
        functional="r2SCAN" if settings.model == "r2scan" else "PBE",
        is_surrogate=True,
        gives_virial=True,
    )


SURROGATES = {
    "sevennet": CalculatorKind(
        SevenNetSettings,
        _make_sevennet,
        "SevenNet graph network, a surrogate trained on PBE",
        lambda settings, atoms: atoms * _SEVENNET_SECONDS_50_ATOMS[settings.model] / 50,
    ),
    "chgnet": CalculatorKind(
        ChgnetSettings,
        _make_chgnet,
        "CHGNet graph network, a faster surrogate whose forces are too soft",
        lambda _, atoms: atoms * 0.2 / 50,
    ),
}
