"""Measurements for the study of comparison are read before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dasksse.cli import main

CONFIGS = Path(__file__).parents[3] / "configs"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    values = yaml.safe_load((CONFIGS / "toy.yaml").read_text())
    values["systems"][0]["structure"] = str(CONFIGS / values["systems"][0]["structure"])
    values["studies"] = {"comparison": {"experiment": "measured.csv"}, "max_core_hours": 1e9}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("T_K,D_m2_s\n300,fast\n", "measured.csv:2: D_m2_s is 'fast'"),
        ("T_K,D_m2_s\n300,1e-12,NMR\n", "measured.csv:2: found 3 cells, the header has 2"),
        (None, "measured.csv: cannot be read"),
    ],
)
def test_a_bad_table_is_refused_with_file_and_line(
    config: Path,
    text: str | None,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if text is not None:
        (config.parent / "measured.csv").write_text(text)
    run = config.parent / "run"

    code = main(["study", "comparison", str(config), "--dir", str(run)])

    error = capsys.readouterr().err
    assert code == 2
    assert words in error
    assert "studies.comparison.experiment" in error
    assert not run.exists()
