"""Turns validation failures into sentences: key, value found, values allowed, nearest key."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic import ValidationError

_LONGEST_VALUE = 80
"""Characters of a wrong value that a message shows."""


def nearest(word: str, allowed: Iterable[str]) -> str:
    """``; did you mean 'x'?`` when something allowed is close, else nothing."""
    close = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _show(value: Any) -> str:  # noqa: ANN401 - whatever stood in the file
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def _sections(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401 - any type form
    """Models inside an annotation such as ``tuple[Section, ...] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _sections(part)]


def _allowed_keys(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Keys a section takes, found by walking the location of an unknown key."""
    models = [model]
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        models = [
            inner
            for outer in models
            if part in outer.model_fields
            for inner in _sections(outer.model_fields[part].annotation)
        ]
    return sorted({key for found in models for key in found.model_fields})


def _range(context: dict[str, Any]) -> str:
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    return " and ".join(f"{words[k]} {context[k]:g}" for k in words if k in context)


def _sentence(item: Any, model: type[BaseModel] | None) -> str:  # noqa: ANN401 - ErrorDetails
    context = dict(item.get("ctx", {}))
    found = _show(item["input"])
    kind = item["type"]
    limits = _range(context)
    allowed = f"allowed: {limits}" if limits else item["msg"]
    if kind == "extra_forbidden":
        keys = _allowed_keys(model, item["loc"]) if model is not None else []
        hint = nearest(str(item["loc"][-1]), keys)
        return f"unknown key{hint} (allowed here: {', '.join(keys)})"
    if kind == "missing":
        return "this key is required"
    if kind == "value_error":
        return str(context.get("error", item["msg"]))
    if kind == "literal_error":
        names = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        allowed = f"allowed: {context['expected']}{nearest(str(item['input']), names)}"
    elif kind == "too_short":
        allowed = f"allowed: at least {context['min_length']}"
    return f"found {found}, {allowed}"


def describe_validation(
    error: ValidationError, *, prefix: str = "", model: type[BaseModel] | None = None
) -> list[str]:
    """One sentence per problem, each beginning with its dotted key.

    Parameters
    ----------
    error
        What pydantic found.
    prefix
        Key under which the validated section stands.
    model
        The validated model, to name the keys it takes.
    """
    sentences = []
    items = error.errors()
    for item in items:
        inner = (other["loc"] for other in items if len(other["loc"]) > len(item["loc"]))
        if any(loc[: len(item["loc"])] == item["loc"] for loc in inner):
            continue  # a list is "too short" only because its entry is wrong
        parts = [prefix, *(str(part) for part in item["loc"])]
        key = ".".join(part for part in parts if part)
        sentence = _sentence(item, model)
        sentences.append(f"{key}: {sentence}" if key else sentence)
    return sentences
