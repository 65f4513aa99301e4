"""Job scripts: golden files, what they run, what they refuse, what cannot get into them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import dask
import pytest
from batch_scripts import (
    JOB_NAME,
    OWN,
    condor_command,
    golden,
    pool,
    render,
    shell_command,
    worker_words,
)

from dasksse.engine.queues import QUEUES
from dasksse.engine.scripts import check_pools, job_script
from dasksse.engine.settings import PoolSettings
from dasksse.errors import ConfigError

KINDS = sorted(QUEUES)
SHELLS = sorted(set(KINDS) - {"htcondor"})
WALLTIME = {
    "slurm": "#SBATCH -t ",
    "pbs": "#PBS -l walltime=",
    "sge": "#$ -l h_rt=",
    "lsf": "#BSUB -W ",
    "oar": "walltime=",
    "moab": "#PBS -l walltime=",
    "htcondor": "EnteredCurrentStatus > ",
}


@pytest.fixture(autouse=True)
def _no_lsf_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit of LSF's memory limits comes from the machine's lsf.conf."""
    monkeypatch.setenv("LSF_ENVDIR", "/nowhere")


def test_every_batch_system_has_a_golden_script() -> None:
    assert set(OWN) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_script_is_the_golden_one(kind: str) -> None:
    assert render(kind, pool(kind)) == golden(kind).read_text()


@pytest.mark.parametrize("kind", SHELLS)
def test_script_is_valid_bash(kind: str) -> None:
    command = ["bash", "-n", str(golden(kind))]

    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("kind", KINDS)
def test_job_runs_setup_and_worker_with_every_word_as_written(
    kind: str, tmp_path: Path
) -> None:
    python = tmp_path / "my env" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/bash\nprintf "%s\\n" "$GREETING" "$SET_UP" "$@"\n')
    python.chmod(0o755)
    setup = [
        "SET_UP=one  # a comment; not a command",
        "if true; then",
        '  SET_UP="$SET_UP it\'s $(echo two) \\\\"',
        "fi",
        "export SET_UP",
    ]
    settings = pool(kind, python=str(python), setup=setup)
    text = render(kind, settings, tmp_path / "cluster")

    command = shell_command(kind, text, tmp_path / "script")
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert out.splitlines() == [
        settings.environment["GREETING"],
        "one it's two \\",
        *worker_words(cluster_dir=tmp_path / "cluster"),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_command_is_the_worker(kind: str) -> None:
    text = render(kind, pool(kind))

    last = condor_command(text)[-1] if kind == "htcondor" else text.splitlines()[-1]

    assert last.endswith(
        f"'/opt/my env/bin/python' -m dasksse.engine.worker /run/cluster --name {JOB_NAME} "
        "--nthreads 4 --memory-limit 14.90GiB --pool gpu"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_job_prints_goes_to_a_file_with_its_name(kind: str) -> None:
    assert f"/run/cluster/logs/{JOB_NAME}.log" in render(kind, pool(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_python_is_that_of_the_driver_unless_set(kind: str) -> None:
    assert f"{sys.executable} -m dasksse" in render(kind, pool(kind, python=None))


@pytest.mark.parametrize("kind", KINDS)
def test_a_relative_folder_becomes_absolute(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    text = render(kind, pool(kind), Path("runs/a/cluster"))

    assert f" {tmp_path}/runs/a/cluster --name" in text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["my run", "100%", "it's", "a,b", "$HOME", "a\nb"])
def test_a_folder_that_scripts_cannot_hold_is_refused(kind: str, name: str) -> None:
    with pytest.raises(ConfigError, match=r"letters, digits and . _ - .*--dir"):
        render(kind, pool(kind), Path("/runs") / name / "cluster")


def test_an_unknown_batch_system_is_refused() -> None:
    with pytest.raises(ConfigError, match="'condor', allowed"):
        job_script(
            "condor",
            PoolSettings(),
            pool_name="cpu",
            job_name=JOB_NAME,
            cluster_dir=Path("/run/cluster"),
        )


# --- nothing but the cluster file -------------------------------------------------------------

INTRUDER = {
    "queue": "intruder",
    "account": "intruder",
    "project": "intruder",
    "walltime": "99:00",
    "resource-spec": "intruder",
    "death-timeout": 11,
    "local-directory": "/intruder",
    "interface": "intruder0",
    "log-directory": "/intruder",
    "job-script-prologue": ["intruder"],
    "job-extra-directives": ["intruder"],
    "job-directives-skip": ["dasksse"],
    "worker-extra-args": ["--intruder"],
    "env-extra": ["intruder"],
    "extra": ["--intruder"],
    "shebang": "#!intruder",
    "python": "/intruder",
    "job-cpu": 99,
    "job-mem": "99G",
    "ncpus": 99,
    "mem": 99,
}


@pytest.mark.parametrize("kind", KINDS)
def test_dask_configuration_of_the_user_stays_out(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PBS_ACCOUNT", "intruder")
    bare = (
        {"directives": ["-pe smp 1"], "python": "/py"} if kind == "sge" else {"python": "/py"}
    )
    settings = PoolSettings.model_validate(bare)
    calm = render(kind, settings)

    with dask.config.set({f"jobqueue.{kind}": INTRUDER, "jobqueue.dasksse": INTRUDER}):
        disturbed = render(kind, settings)

    assert disturbed == calm
    assert "intruder" not in calm


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_set_is_not_asked_for(kind: str) -> None:
    text = render(kind, PoolSettings(python="/py"))

    assert WALLTIME[kind] not in text
    assert not any(word in text for word in ("gpu=", "gpus", "gres", "None"))


def test_rendering_makes_no_folder(tmp_path: Path) -> None:
    for kind in KINDS:
        render(kind, pool(kind), tmp_path / "cluster")

    assert list(tmp_path.iterdir()) == []


# --- times, sizes, devices --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "walltime", "written"),
    [
        ("slurm", "90 min", "01:30:00"),
        ("slurm", "5-00:00:00", "120:00:00"),
        ("pbs", "90 min", "01:30:00"),
        ("sge", "36 h", "36:00:00"),
        ("lsf", "90 min", "01:30"),
        ("lsf", 61, "00:02"),
        ("lsf", "5-00:00:00", "120:00"),
        ("oar", "2 h", "02:00:00"),
        ("moab", "2 h", "02:00:00"),
        ("htcondor", "2 h", "7200)"),
    ],
)
def test_walltime_is_written_as_the_batch_system_reads_it(
    kind: str, walltime: str | int, written: str
) -> None:
    lines = render(kind, pool(kind, walltime=walltime)).splitlines()

    line = next(line for line in lines if WALLTIME[kind] in line)

    assert line.rpartition(WALLTIME[kind])[2] == written


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("slurm", "#SBATCH --gres=gpu:2"),
        ("pbs", "select=1:ncpus=8:mem=30518mb:ngpus=2"),
        ("sge", "#$ -l gpu=2"),
        ("lsf", '#BSUB -gpu "num=2"'),
        ("htcondor", "request_gpus = 2"),
        ("oar", "#OAR -l /nodes=1/gpu=2,walltime"),
        ("moab", "nodes=1:ppn=8:gpus=2,mem=30518mb"),
    ],
)
def test_gpus_are_asked_for(kind: str, asked: str) -> None:
    assert asked in render(kind, pool(kind))


@pytest.mark.parametrize(
    ("kind", "own", "ours"),
    [
        ("slurm", "--gres=gpu:a100:1", "gpu:2"),
        ("slurm", "--gpus-per-node=a100:1", "gpu:2"),
        ("sge", "-l ngpus=1", "-l gpu="),
        ("lsf", '-gpu "num=1:gmodel=V100"', "num=2"),
        ("htcondor", "request_gpus = 1", "request_gpus = 2"),
    ],
)
def test_a_users_own_request_for_gpus_is_the_only_one(kind: str, own: str, ours: str) -> None:
    own_lines = [own, "-pe smp 8"] if kind == "sge" else [own]

    text = render(kind, pool(kind, directives=own_lines))

    assert own in text
    assert ours not in text


@pytest.mark.parametrize("kind", ["pbs", "moab", "oar"])
def test_a_resource_spec_replaces_the_whole_request(kind: str) -> None:
    text = render(kind, pool(kind, resource_spec="nodes=2:ppn=4:bigmem"))

    assert "-l nodes=2:ppn=4:bigmem" in text
    assert not any(word in text for word in ("select=", "gpu=", "gpus=", "core="))


@pytest.mark.parametrize("kind", ["slurm", "lsf", "htcondor"])
def test_a_resource_spec_is_refused_where_there_is_none(kind: str) -> None:
    with pytest.raises(ConfigError) as caught:
        render(kind, pool(kind, resource_spec="nodes=2"))

    text = str(caught.value)
    assert text.startswith("settings.pools.gpu.resource_spec: found 'nodes=2'")
    assert "write `directives`" in text


def test_htcondor_has_no_queue() -> None:
    with pytest.raises(ConfigError, match=r"pools\.gpu\.queue: found 'gpu'.*Requirements"):
        render("htcondor", pool("htcondor", queue="gpu"))


def test_grid_engine_needs_a_parallel_environment_for_several_cores() -> None:
    with pytest.raises(ConfigError, match=r"pools\.gpu\.cores: found 8.*'-pe smp 8'"):
        render("sge", pool("sge", directives=[]))


def test_one_core_of_grid_engine_needs_no_parallel_environment() -> None:
    text = render("sge", pool("sge", directives=[], cores=1, units=1))

    assert "-pe" not in text


def test_directives_of_htcondor_are_keys_and_values() -> None:
    with pytest.raises(ConfigError, match=r"gpu\.directives: found 'hello'.*'key = value'"):
        render("htcondor", pool("htcondor", directives=["hello"]))


# --- a user's own directives ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("slurm", "#SBATCH --qos=long"),
        ("pbs", "#PBS -l place=excl"),
        ("sge", "#$ -pe smp 8"),
        ("lsf", '#BSUB -R "rusage[mem=1GB]"'),
        ("oar", "#OAR -t besteffort"),
        ("moab", "#PBS -l qos=long"),
    ],
)
def test_a_directive_may_be_written_with_its_prefix(kind: str, line: str) -> None:
    lines = render(kind, pool(kind, directives=[line])).splitlines()

    assert lines.count(line) == 1


@pytest.mark.parametrize(
    ("kind", "skip", "gone", "kept"),
    [
        ("slurm", "--mem=", "--mem=", "--no-requeue"),
        ("slurm", "requeue", "--no-requeue", "--mem="),
        ("pbs", "-j oe", "-j oe", "-r n"),
        ("sge", "-cwd", "-cwd", "-j y"),
        ("lsf", "-M ", "#BSUB -M", "-rn"),
        ("lsf", "-rn", "-rn", "#BSUB -M"),
        ("oar", "-E ", "#OAR -E", "#OAR -O"),
        ("moab", "-S ", "-S /bin/bash", "-r n"),
        ("htcondor", "RequestMemory", "RequestMemory =", "RequestCpus ="),
        ("htcondor", "periodic_remove", "periodic_remove", "Stream_Output"),
    ],
)
def test_directives_can_be_left_out(kind: str, skip: str, gone: str, kept: str) -> None:
    whole = render(kind, pool(kind))
    text = render(kind, pool(kind, skip_directives=[skip]))

    assert gone in whole
    assert gone not in text
    assert kept in text


@pytest.mark.parametrize("kind", KINDS)
def test_leaving_out_does_not_touch_a_users_own_directives(kind: str) -> None:
    settings = pool(kind, skip_directives=["e"])

    assert OWN[kind]["directives"][0] in render(kind, settings)


def test_a_users_own_line_replaces_that_of_the_same_meaning_for_htcondor() -> None:
    lines = ["request_memory = 99 GB", "PERIODIC_REMOVE = False"]

    text = render("htcondor", pool("htcondor", directives=lines))

    assert [line for line in text.splitlines() if line in lines] == lines
    assert "RequestMemory" not in text
    assert "periodic_remove" not in text


def test_htcondor_expands_nothing_in_a_command() -> None:
    environment = {"A": "$(HOME) $$(B) $ENV(C) $F(D) $INT(E) $x ($)"}
    text = render("htcondor", pool("htcondor", environment=environment, setup=[]))

    line = next(line for line in text.splitlines() if line.startswith("Arguments"))

    assert "$(" not in line.replace("$(DOLLAR)", "")
    assert "$ENV(" not in line
    assert environment["A"] in condor_command(text)[-1]


def test_lsf_memory_is_in_the_unit_of_the_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lsf.conf").write_text("LSF_UNIT_FOR_LIMITS=MB\n")
    monkeypatch.setenv("LSF_ENVDIR", str(tmp_path))

    assert "#BSUB -M 32000\n" in render("lsf", pool("lsf"))


def test_pools_are_checked_before_anything_starts() -> None:
    pools: dict[str, Any] = {"cpu": PoolSettings(), "big": PoolSettings(resource_spec="x=1")}

    check_pools("pbs", pools)
    with pytest.raises(ConfigError, match=r"settings\.pools\.big\.resource_spec"):
        check_pools("slurm", pools)
