"""What a command loads before it works: a user waits for all of it."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("words", "unwanted"),
    [
        (["--version"], {"numpy", "scipy", "pydantic"}),
        (["--help"], {"numpy", "scipy", "pydantic"}),
        (["status", "--help"], {"numpy", "matplotlib"}),
        (["init", "--list"], {"scipy", "matplotlib", "dask"}),
    ],
)
def test_a_command_loads_nothing_that_it_does_not_need(
    words: list[str], unwanted: set[str]
) -> None:
    code = (
        "import sys\n"
        "from dasksse.cli.main import main\n"
        "try:\n"
        f"    main({words!r})\n"
        "except SystemExit:\n"
        "    pass\n"
        f"print('loaded:', *sorted({unwanted!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "loaded:"


def test_help_of_the_whole_lists_every_command_and_that_of_one_its_options() -> None:
    def printed(*words: str) -> str:
        command = [sys.executable, "-m", "dasksse.cli", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert "kill what can die in a toy run" in printed("--help")
    assert "--max-force-eV-A" in printed("relax", "--help")
