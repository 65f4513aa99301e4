"""Results as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from measure import show

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from measure import Outcome, Row


def _table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    for cells in lines:
        yield "| " + " | ".join(cells) + " |"
    yield ""


def _value(row: Row) -> str:
    return f"{show(row.value)} {row.unit}".rstrip()


def _aim(row: Row) -> str:
    if not row.aim:
        return ""
    return f"{row.aim} {row.unit}".rstrip() + (": met" if row.is_met else ": **missed**")


def markdown(machine: Mapping[str, Any], outcomes: Mapping[str, Outcome | str]) -> str:
    """All results; those with an aim once more at the top.

    Parameters
    ----------
    machine
        From :func:`machine.describe`.
    outcomes
        What each benchmark found, or why it found nothing, by name.
    """
    return "\n".join([*_head(machine), *_aims(outcomes), *_sections(outcomes)])


def _head(machine: Mapping[str, Any]) -> Iterator[str]:
    packages = ", ".join(f"{name} {v}" for name, v in machine["versions"].items())
    yield (
        f"Measured on {machine['date']} on {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['memory_GiB']} GiB, Python {machine['python']}; {packages}."
    )
    load = [machine["load_before"], machine.get("load_after", machine["load_before"])]
    if machine["is_quick"]:
        yield "**Tiny sizes (`--quick`): these figures mean nothing.**"
    yield f"Load before {load[0]:.2f}, after {load[1]:.2f}. Command: `{machine['command']}`."
    yield ""


def _aims(outcomes: Mapping[str, Outcome | str]) -> Iterator[str]:
    lines = [
        (name, row.what, _value(row), _aim(row))
        for name, outcome in outcomes.items()
        if not isinstance(outcome, str)
        for row in outcome.rows
        if row.aim
    ]
    yield from _table(("benchmark", "what", "measured", "aim"), lines)


def _sections(outcomes: Mapping[str, Outcome | str]) -> Iterator[str]:
    for name, outcome in outcomes.items():
        yield f"## {name}"
        yield ""
        if isinstance(outcome, str):
            yield f"{outcome}"
            yield ""
            continue
        rows = [(row.what, _value(row), _aim(row)) for row in outcome.rows]
        yield from _table(("what", "measured", "aim"), rows)
        if outcome.breakdown:
            columns = list(outcome.breakdown[0])
            lines = [[show(line[c]) for c in columns] for line in outcome.breakdown]
            yield from _table(columns, lines)
        yield from (f"- {note}" for note in outcome.notes)
        yield ""
