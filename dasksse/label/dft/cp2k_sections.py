"""CP2K's input language: a tree of sections, read, merged and written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_REPEATED_SECTIONS = {"KIND"}
"""Sections that are told apart by their parameter."""


@dataclass(frozen=True)
class InputSection:
    """A section of a CP2K input.

    Attributes
    ----------
    name
        Name in upper case; empty for the root.
    parameter
        What follows the name, such as the element after ``&KIND``.
    keywords
        Lines of the section itself.
    sections
        Sections in it.
    """

    name: str = ""
    parameter: str = ""
    keywords: list[str] = field(default_factory=list)
    sections: list[InputSection] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Lines of the input, indented by depth."""
        indent = "  " if self.name else ""
        if self.name:
            yield f"&{self.name} {self.parameter}".rstrip()
        for keyword in self.keywords:
            yield indent + keyword
        for section in self.sections:
            for line in section.lines():
                yield indent + line
        if self.name:
            yield f"&END {self.name}"

    def text(self) -> str:
        """Text as CP2K reads it."""
        return "\n".join(self.lines()) + "\n"

    def paths(self) -> Iterator[str]:
        """``SECTION/KEYWORD`` of every keyword and ``SECTION`` of every section in it."""
        yield from (_key(line) for line in self.keywords)
        for section in self.sections:
            yield section.name
            yield from (f"{section.name}/{path}" for path in section.paths())


def _key(line: str) -> str:
    return line.split(maxsplit=1)[0].upper()


def parse_input(text: str) -> InputSection:
    """Read a CP2K input.

    Parameters
    ----------
    text
        Input or a part of one; comments begin with ``!`` or ``#``.

    Returns
    -------
    InputSection
        The root, which has no name.

    Raises
    ------
    ValueError
        A section is not closed, another is closed than was opened, or a line is for CP2K's
        preprocessor.
    """
    stack = [InputSection()]
    for number, raw in enumerate(text.splitlines(), start=1):
        line = re.split("[!#]", raw, maxsplit=1)[0].strip()
        where = f"line {number} of the CP2K input, {line!r}"
        if line.startswith("@"):
            msg = f"{where}: CP2K's preprocessor cannot be used here; write it out"
            raise ValueError(msg)
        if line.upper().startswith("&END"):
            _, _, named = line.partition(" ")
            name = stack[-1].name
            if len(stack) == 1 or named.strip().upper() not in {"", name}:
                msg = f"{where}: the open section is {'&' + name if name else 'none'}"
                raise ValueError(msg)
            stack.pop()
        elif line.startswith("&"):
            name, _, parameter = line[1:].partition(" ")
            section = InputSection(name.upper(), parameter.strip())
            stack[-1].sections.append(section)
            stack.append(section)
        elif line:
            stack[-1].keywords.append(line)
    if len(stack) > 1:
        msg = f"section &{stack[-1].name} of the CP2K input has no &END"
        raise ValueError(msg)
    return stack[0]


def merged(ours: InputSection, theirs: InputSection) -> InputSection:
    """Second section over the first.

    Keywords replace those of the same name, all of them where it is repeated; sections of the
    same name are merged, ``&KIND`` by element.
    """
    given = {_key(line) for line in theirs.keywords}
    keywords = [line for line in ours.keywords if _key(line) not in given] + theirs.keywords
    sections = list(ours.sections)
    for section in theirs.sections:
        for index, mine in enumerate(sections):
            if _is_same(mine, section):
                sections[index] = merged(mine, section)
                break
        else:
            sections.append(section)
    return InputSection(ours.name, theirs.parameter or ours.parameter, keywords, sections)


def _is_same(one: InputSection, other: InputSection) -> bool:
    same_parameter = one.parameter.upper() == other.parameter.upper()
    return one.name == other.name and (same_parameter or one.name not in _REPEATED_SECTIONS)
