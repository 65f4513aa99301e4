"""Every preset is valid, and every command in the README parses."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from dasksse.cli.main import _parser
from dasksse.cli.validate import load_checked
from dasksse.config.load import load_config
from dasksse.config.presets import list_presets, write_preset
from dasksse.loop.prepare import is_database_id

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
LONGEST_SUMMARY = 100


def _name(path: Path) -> str:
    return path.stem


def _readme_commands() -> list[str]:
    """Every line of the README's shell blocks that calls dasksse, without its comment."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    lines = [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in dict.fromkeys(lines) if "dasksse" in line and "pip" not in line]


@pytest.mark.parametrize("path", CONFIGS, ids=_name)
def test_preset_is_valid(path: Path) -> None:
    loaded = load_config(path)

    assert loaded.config.name == path.stem


@pytest.mark.parametrize("path", CONFIGS, ids=_name)
def test_structure_files_of_a_preset_exist(path: Path) -> None:
    loaded = load_config(path)

    files = [s.structure for s in loaded.config.systems if not is_database_id(s.structure)]

    assert files
    assert [name for name in files if not (loaded.base_dir / name).is_file()] == []


@pytest.mark.parametrize("path", CONFIGS, ids=_name)
def test_preset_names_known_calculator_engine_and_picker(path: Path) -> None:
    _, engine = load_checked(path)

    assert engine.kind


@pytest.mark.parametrize("path", CONFIGS, ids=_name)
def test_first_line_of_a_preset_is_its_summary(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]

    assert first.startswith("# ")
    assert 20 < len(first) <= LONGEST_SUMMARY
    assert list_presets()[path.stem] == first.removeprefix("# ")


@pytest.mark.parametrize("path", CONFIGS, ids=_name)
def test_written_preset_is_complete_and_gives_the_same_run(path: Path, tmp_path: Path) -> None:
    target = write_preset(path.stem, tmp_path / "new")

    written, _ = load_checked(target)

    assert written.config == load_config(path).config


def test_huang_schedule_is_table_one_of_the_paper() -> None:
    config = load_config(ROOT / "configs" / "huang2021-lgps.yaml").config
    hot_and_cold = (50, 100, 200, 300, 500, 700, 900, 1200)
    three = (300, 700, 1200)

    lines = config.explore.schedule
    table = [(line.ensemble[:3], line.temperatures_K) for line in lines]
    cells = [config.system(line.systems[0]).supercell for line in lines]
    disorder = [config.system(line.systems[0]).cation_ordering is not None for line in lines]

    assert table == [
        ("npt", hot_and_cold),
        ("npt", three),
        ("npt", hot_and_cold),
        ("npt", three),
        ("nvt", hot_and_cold),
    ]
    assert cells == [(1, 1, 1), (2, 2, 2), (1, 1, 1), (2, 2, 2), (2, 2, 2)]
    assert disorder == [False, False, True, True, False]
    assert {(line.lengths_ps[0], line.lengths_ps[-1]) for line in lines} == {(1.0, 10.0)}
    assert sum(line.max_generations for line in lines) == config.stop.max_generations == 21


def test_huang_numbers_are_those_of_the_paper() -> None:
    config = load_config(ROOT / "configs" / "huang2021-lgps.yaml").config

    assert config.start.n_frames == 590
    assert (config.select.trust.low_eV_A, config.select.trust.high_eV_A) == (0.12, 0.25)
    assert config.select.max_labels == 300
    assert config.stop.accurate_share == 0.995
    assert config.production is not None
    assert config.production.train_steps == 4_000_000 == 10 * config.train.steps
    assert config.production.length_ps == 1000
    assert config.production.ensemble == "nvt"


def test_readme_shows_every_command() -> None:
    shown = {shlex.split(line)[1] for line in _readme_commands() if line.startswith("dasksse")}

    choices = next(a for a in _parser()._actions if a.dest == "command").choices
    assert shown == set(choices or ())


@pytest.mark.parametrize("line", _readme_commands())
def test_command_of_the_readme_parses(line: str) -> None:
    words = shlex.split(line)
    program = next(i for i, word in enumerate(words) if "dasksse" in word)

    arguments = words[program + 1 :]
    if words[program] == "dasksse.run":
        arguments = ["run", *arguments]
    parsed = _parser().parse_args(arguments)

    assert parsed.command == arguments[0]


def test_presets_named_in_the_readme_exist() -> None:
    named = {shlex.split(line)[2] for line in _readme_commands() if " init " in line}

    assert named - {"--list"} <= set(list_presets())


def test_configs_named_in_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    named = set(re.findall(r"configs/[\w./-]+\.yaml", text))

    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []
