"""The benchmarks work: tiny sizes, real program, no claim about any figure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")


def benchmark(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(RUN), "--quick", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_results_are_printed_as_a_table_and_written_with_the_machine(tmp_path: Path) -> None:
    target = tmp_path / "results" / "benchmarks.json"

    result = benchmark("--only", "msd", "fan_out", "--json", str(target))

    assert result.returncode == 0, result.stderr
    assert "largest relative difference of the two MSDs" in result.stdout
    values = json.loads(target.read_text())
    assert values["machine"]["cpu"]
    assert values["machine"]["cores"] >= 1
    assert "dask" in values["machine"]["versions"]
    assert "--only msd fan_out" in values["machine"]["command"]
    rows = {row["what"]: row for row in values["benchmarks"]["msd"]["rows"]}
    assert rows["largest relative difference of the two MSDs"]["is_met"]
    assert values["benchmarks"]["fan_out"]["rows"][1]["value"] > 0


def test_efficiency_without_a_run_is_skipped_with_the_way_out(tmp_path: Path) -> None:
    target = tmp_path / "benchmarks.json"

    result = benchmark(
        "--only", "efficiency", "--run-dir", str(tmp_path / "none"), "--json", str(target)
    )

    assert result.returncode == 0
    assert "make quickstart, or give --run-dir" in result.stdout


def test_a_comparison_without_other_packages_is_skipped_with_the_way_out(
    tmp_path: Path,
) -> None:
    target = tmp_path / "benchmarks.json"

    result = benchmark(
        "--only", "rivals", "--compare-python", "/bin/false", "--json", str(target)
    )

    assert result.returncode == 0
    assert "install dasksse[compare], or name a Python that has them" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "speed"], "invalid choice: 'speed'"),
        (["--runs", "0"], "--runs, --workers and --units must be at least 1"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], message: str) -> None:
    result = benchmark(*arguments)

    assert result.returncode == 2
    assert message in result.stderr
