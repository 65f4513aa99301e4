"""What sections of the configuration are made from: their base, and values with a meaning."""

from __future__ import annotations

from typing import Annotated, Any

from ase.data import atomic_numbers
from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Base of all sections: frozen, unknown keys forbidden, defaults validated."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def check_element(symbol: str) -> str:
    """Refuse what is no chemical element.

    Raises
    ------
    ValueError
        When it is none.
    """
    if symbol not in atomic_numbers or atomic_numbers[symbol] == 0:
        msg = f"{symbol!r} is no chemical element"
        raise ValueError(msg)
    return symbol


Element = Annotated[str, AfterValidator(check_element)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]
Temperature = Annotated[float, Field(gt=0.0, le=10000.0)]
Supercell = tuple[Count, Count, Count]
Seed = Annotated[int, Field(ge=0)]


class RegistrySection(Section):
    """A choice from a registry: its kind and the settings that kind takes."""

    kind: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$", max_length=200)] = (
        Field(description="Name in the registry; `dasksse schema` lists them.")
    )
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Settings of that kind, checked by the registry."
    )
