"""Parts of the documentation that are written from the code, so that they cannot be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from notebook import notebook_page
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from results import study_sections

from dasksse.config.presets import list_presets
from dasksse.config.schema import RunConfig
from dasksse.engine.cluster import ENGINES
from dasksse.label import CALCULATOR_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic.fields import FieldInfo

_CHANGES = Path(__file__).parent / "changelog.d"
_EXAMPLES = Path(__file__).parents[1] / "examples"
_RESULTS = Path(__file__).parent / "results-lgps"


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - any type form
    """Models inside an annotation such as ``tuple[Section, ...] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for part in get_args(annotation):
        yield from _sections(part)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined or isinstance(value, BaseModel):
        return ""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{list(value) if isinstance(value, tuple) else value}`"


def _table(model: type[BaseModel]) -> str:
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for name, field in model.model_fields.items():
        meaning = (field.description or "").replace("|", r"\|")
        rows.append(f"| `{name}` | {_default(field)} | {meaning} |")
    return "\n".join(rows)


def _walk(model: type[BaseModel], path: str) -> Iterator[tuple[str, type[BaseModel]]]:
    yield path, model
    for name, field in model.model_fields.items():
        for section in _sections(field.annotation):
            is_list = "tuple" in str(field.annotation)
            inner = f"{path}.{name}" if path else name
            yield from _walk(section, f"{inner}[]" if is_list else inner)


def config_keys() -> str:
    """Every section of the config with its keys, defaults and meaning."""
    parts = []
    for path, model in _walk(RunConfig, ""):
        if not model.model_fields or model.__name__ == "RegistrySection":
            continue
        title = f"`{path}`" if path else "Top level"
        about = " ".join((model.__doc__ or "").split())
        parts.append(f"## {title}\n\n{about}\n\n{_table(model)}\n")
    return "\n".join(parts)


def registries() -> str:
    """Every calculator and engine with its settings."""
    parts = []
    for title, kinds in (
        ("label.calculator", {k: (v.summary, v.settings_model) for k, v in _calculators()}),
        ("engine", {k: (v.summary, v.settings) for k, v in ENGINES.items()}),
    ):
        parts.append(f"## Kinds of `{title}`\n")
        for kind, (summary, model) in kinds.items():
            table = _table(model) if model.model_fields else "It takes no settings."
            parts.append(f"### `{kind}`\n\n{summary[0].upper()}{summary[1:]}.\n\n{table}\n")
    return "\n".join(parts)


def _calculators() -> list[tuple[str, Any]]:
    return list(CALCULATOR_KINDS.items())


def presets() -> str:
    """Every preset and its summary."""
    rows = [f"| `{name}` | {summary} |" for name, summary in list_presets().items()]
    return "\n".join(["| preset | what it does |", "|---|---|", *rows, ""])


def changes() -> str:
    """Fragments of the changes that no release holds yet."""
    files = sorted(path for path in _CHANGES.glob("*.md") if path.name != "README.md")
    return "\n".join(path.read_text(encoding="utf-8").strip() for path in files) + "\n"


GENERATED: Mapping[str, Callable[[], str]] = {
    "changelog": changes,
    "guide/config-keys": lambda: config_keys() + "\n" + registries(),
    "guide/presets": presets,
    "guide/trajectory-notebook": lambda: notebook_page(
        _EXAMPLES / "01-trajectory-diffusion" / "trajectory-diffusion.ipynb"
    ),
    "results-lgps": lambda: study_sections(_RESULTS),
}
"""Pages, and what is appended to them."""
