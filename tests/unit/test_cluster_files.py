"""Every file in configs/cluster is valid, says what it is for, and gives scripts that work."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from dasksse.cli.validate import load_checked
from dasksse.config.load import read_yaml
from dasksse.config.schema import RegistrySection
from dasksse.engine.cluster import ENGINES, check_engine
from dasksse.engine.scripts import job_script
from dasksse.engine.settings import TAGS, LocalSettings, PoolSettings, QueueSettings

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "configs" / "cluster").glob("*.yaml"))
COMMENTED_KEY = re.compile(r"^(\s*)# ?(\s*)(\w+): +(\S.*)$")

EACH = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def settings_of(text: str) -> tuple[str, LocalSettings | QueueSettings]:
    section = RegistrySection.model_validate(yaml.safe_load(text))
    settings = check_engine(section)
    assert isinstance(settings, LocalSettings | QueueSettings)
    return section.kind, settings


def test_there_is_a_file_for_each_kind() -> None:
    kinds = {read_yaml(path)[1]["kind"] for path in FILES}

    assert kinds == set(ENGINES) - {"serial"}
    assert {path.stem for path in FILES} == kinds | {"slurm-gpu-cpu"}


@EACH
def test_file_is_valid_and_takes_all_work(path: Path) -> None:
    _, engine = load_checked(ROOT / "configs" / "toy.yaml", path)

    settings = check_engine(engine)

    assert isinstance(settings, LocalSettings | QueueSettings)
    tags = {tag for pool in settings.pools.values() for tag in pool.tags}
    assert tags == set(TAGS if settings.pools else ())


@EACH
def test_scripts_of_a_file_are_valid_bash(path: Path) -> None:
    kind, settings = settings_of(path.read_text())
    if isinstance(settings, LocalSettings):
        assert settings.pools == {}
        return

    for name, pool in settings.pools.items():
        text = job_script(
            kind,
            pool,
            pool_name=name,
            job_name=f"dasksse-00000000-{name}-1",
            cluster_dir=Path("/run/cluster"),
        )
        if kind != "htcondor":
            subprocess.run(["bash", "-n"], input=text, text=True, check=True)
        assert f"dasksse.engine.worker /run/cluster --name dasksse-00000000-{name}-1" in text
        assert str(pool.cores) in text
        assert all(line in text for line in pool.setup)


@EACH
def test_first_line_says_what_a_file_is_for(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]

    assert first.startswith("# ")
    assert len(first) <= 100


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.stem != "local"], ids=lambda path: path.stem
)
def test_keys_that_are_commented_out_can_be_used(path: Path) -> None:
    known = {*PoolSettings.model_fields, *QueueSettings.model_fields}
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [
        (line, match)
        for line in lines
        if (match := COMMENTED_KEY.match(line)) and match[3] in known
    ]

    assert found
    for line, match in found:
        kept = [other for other in lines if not re.match(rf" *{match[3]}:", other)]
        kept[kept.index(line)] = f"{match[1]}{match[2]}{match[3]}: {match[4]}"
        settings_of("\n".join(kept))


def test_pools_of_this_machine_can_be_used() -> None:
    text = (ROOT / "configs" / "cluster" / "local.yaml").read_text()
    block = text.partition("  # pools:")[2]
    uncommented = "  pools:" + re.sub(r"^  # ", "  ", block, flags=re.MULTILINE)

    _, settings = settings_of(f"kind: local\nsettings:\n{uncommented}")

    assert set(settings.pools) == {"gpu", "cpu"}
    assert settings.pools["cpu"].threads == 2


def test_two_partitions_part_the_work() -> None:
    path = ROOT / "configs" / "cluster" / "slurm-gpu-cpu.yaml"
    _, settings = settings_of(path.read_text())

    gpu, cpu = settings.pools["gpu"], settings.pools["cpu"]

    assert (gpu.tags, cpu.tags) == (("TRAIN", "MD"), ("LABEL", "REDUCE"))
    assert (gpu.gpus, cpu.gpus) == (1, 0)
    assert gpu.queue != cpu.queue
