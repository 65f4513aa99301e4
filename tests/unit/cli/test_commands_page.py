"""The page on commands names the options that commands have, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dasksse.cli import main

PAGE = Path(__file__).parents[3] / "docs" / "guide" / "commands.md"
OPTION = r"--[a-z][\w-]*"


@pytest.mark.parametrize(
    "command",
    [
        "converge CONFIG",
        "relax CONFIG",
        "diffusion STORE",
        "convergence STORE...",
        "van-hove STORE",
    ],
)
def test_options_are_those_of_the_command(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command.split(maxsplit=1)[0], "--help"])
    usage = capsys.readouterr().out.split("positional arguments")[0]

    section = PAGE.read_text().split(f"## `dasksse {command}`")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]

    assert set(re.findall(OPTION, "".join(rows))) == set(re.findall(OPTION, usage))
