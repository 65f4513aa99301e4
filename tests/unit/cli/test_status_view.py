from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from made_up_run import held, make_run_folder, start_units
from rich.console import Console

from dasksse.cli.status_view import FEW, render_status
from dasksse.report.status_data import read_status
from dasksse.store.journal_reader import JournalReader

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def status(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = make_run_folder(tmp_path_factory.mktemp("status") / "run")
    with held(start_units(folder)):
        return read_status(folder, JournalReader(folder.journal))


def text_of(
    status: dict[str, Any], *, width: int = 80, height: int | None = None, colour: bool = False
) -> str:
    out = io.StringIO()
    system = "truecolor" if colour else None
    console = Console(file=out, width=width, force_terminal=colour, color_system=system)
    console.print(render_status(status, "runs/lgps", width=width, height=height))
    return out.getvalue()


@pytest.mark.parametrize(("width", "height"), [(80, None), (80, 24), (150, None), (220, 60)])
def test_no_line_is_wider_than_the_terminal(
    status: dict[str, Any], width: int, height: int | None
) -> None:
    lines = text_of(status, width=width, height=height).splitlines()

    assert max(len(line.rstrip()) for line in lines) <= width
    assert not any(line.endswith("…") for line in lines)


def test_eighty_columns_show_every_part(status: dict[str, Any]) -> None:
    text = text_of(status)

    for expected in (
        "runs/lgps: running, generation 4, exploration of generation 4",
        "labels 470 done, 8 running, 24 queued, 8 quarantined",
        "4 h 15 min so far, 6.97 core-hours, at most 2 h 14 min to go",
        "dashboard http://127.0.0.1:8787/status",
        "gpu: sbatch: error: QOSMaxGRESPerUser: wait for another job to end",
        "SevenNet exited with 1 in work/label",
        "generation 9: 4 models on 615 labels",
    ):
        assert expected in text
    rows = [line.split() for line in text.splitlines()]
    assert [
        "0",
        "25.0",
        "%",
        "62.0",
        "%",
        "13.0",
        "%",
        "110",
        "190",
        "████▓▓▓▓▓▓▓▓▓▓▒▒",
    ] in rows
    assert ["gpu", "2", "3", "8", "2", "2"] in rows
    assert ["md", "48", "2", "12", "–"] in rows
    assert ["lgps", "Li", "600", "(3.4", "±", "0.7)", "×", "10⁻¹⁰", "diffusive"] in rows
    assert ["lgps", "Li", "500", "below", "4.4", "×", "10⁻¹⁰", "subdiffusive"] in rows


def test_a_low_terminal_leaves_out_old_generations_not_the_pools(
    status: dict[str, Any],
) -> None:
    status = {**status, "generations": [{**status["generations"][0], "generation": g}
                                        for g in range(30)], "D": []}  # fmt: skip

    lines = text_of(status, height=24).splitlines()

    assert lines.index("last events") < 24
    assert sum("25.0 %" in line for line in lines) == FEW
    (place,) = [i for i, line in enumerate(lines) if line.startswith("units  ")]
    assert "md 48\N{NO-BREAK SPACE}done" in " ".join(lines[place : place + 2])
    assert any(line.startswith("gpu ") for line in lines)


def test_a_wide_terminal_puts_tables_side_by_side(status: dict[str, Any]) -> None:
    text = text_of(status, width=150)

    header = next(line for line in text.splitlines() if line.startswith("generation "))
    assert "jobs running" in header
    assert len(text.splitlines()) < len(text_of(status).splitlines())


def test_colours_only_repeat_what_the_text_says(status: dict[str, Any]) -> None:
    plain, coloured = text_of(status), text_of(status, colour=True)

    assert "\x1b[" not in plain
    assert "\x1b[38;2;59;125;184m" in coloured  # the report's blue of accurate frames
    assert Console().render_str(plain).plain == plain


def test_a_run_that_has_only_begun_is_shown_without_empty_tables(tmp_path: Path) -> None:
    status = {
        "state": "new", "stage": "", "iteration": None, "generations": [], "probe": [],
        "labels": {"done": 0, "running": 0, "queued": 0, "quarantined": 0},
        "not_labelled": {}, "units": {}, "pools": [], "quarantined": [], "D": [],
        "eta_s": None, "core_hours": 0.0, "wall_s": 0.0, "dashboard": "", "events": [],
    }  # fmt: skip

    assert text_of(status).splitlines() == [
        "runs/lgps: new",
        "labels 0 done, 0 running, 0 queued, 0 quarantined",
        "0 s so far, 0 core-seconds",
    ]


def test_a_generation_that_was_only_judged_has_its_error(status: dict[str, Any]) -> None:
    judged = {"generation": 4, "force_rmse_meV_A": 92.4, "deviation_eV_A": 0.15}

    text = text_of({**status, "probe": [*status["probe"], judged]})

    assert ["4", "–", "–", "–", "–", "92"] in [line.split() for line in text.splitlines()]


def test_an_interrupted_run_says_so_and_no_dashboard(status: dict[str, Any]) -> None:
    text = text_of({**status, "state": "interrupted"})

    assert "runs/lgps: interrupted" in text
    assert "127.0.0.1" not in text
