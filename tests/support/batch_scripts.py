"""Job scripts of a pool in which everything is set, for each batch system.

    python tests/support/batch_scripts.py

writes them into tests/golden/scripts, to be read when a script was meant to change.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from dasksse.engine.scripts import job_script
from dasksse.engine.settings import PoolSettings

GOLDEN = Path(__file__).parents[1] / "golden" / "scripts"
CLUSTER_DIR = Path("/run/cluster")
JOB_NAME = "dasksse-12ab34cd-gpu-1"
POOL: dict[str, Any] = {
    "queue": "gpu",
    "account": "my_project",
    "cores": 8,
    "units": 2,
    "gpus": 2,
    "memory": "32 GB",
    "walltime": "1-12:00:30",
    "setup": ["module purge  # it's clean", 'source "$HOME/env.sh"'],
    "environment": {"OMP_PROC_BIND": "close", "GREETING": 'it\'s "5 $" $(date) `x`'},
    "prefix": ["srun", "-n", "4"],
    "python": "/opt/my env/bin/python",
}
OWN: dict[str, dict[str, Any]] = {
    "slurm": {"directives": ["--qos=long"]},
    "pbs": {"directives": ["-l place=excl"]},
    "sge": {"directives": ["-pe smp 8"], "resource_spec": "h_vmem=4G"},
    "lsf": {"directives": ['-R "rusage[mem=32GB]"']},
    "htcondor": {"queue": None, "directives": ["request_disk = 2 GB"]},
    "oar": {"directives": ["-p 'memnode >= 64'"]},
    "moab": {"directives": ["-l qos=long"]},
}
SUFFIX = {"htcondor": "sub"}


def pool(kind: str, **changes: object) -> PoolSettings:
    """Pool with everything set, but for what is changed."""
    return PoolSettings.model_validate({**POOL, **OWN[kind], **changes})


def render(kind: str, settings: PoolSettings, cluster_dir: Path = CLUSTER_DIR) -> str:
    """Job script of a pool."""
    return job_script(
        kind, settings, pool_name="gpu", job_name=JOB_NAME, cluster_dir=cluster_dir
    )


def golden(kind: str) -> Path:
    """File that holds the script as it should be."""
    return GOLDEN / f"{kind}.{SUFFIX.get(kind, 'sh')}"


def condor_command(text: str) -> list[str]:
    """Words that HTCondor runs: executable, and arguments in its new syntax."""
    found = dict(re.findall(r"^(\w+) = (.*)$", text, flags=re.MULTILINE))
    line = found["Arguments"].replace("$(DOLLAR)", "$")
    assert line[0] == line[-1] == '"'
    inner = line[1:-1].replace('""', '"')
    words = [
        "".join(
            part[1:-1].replace("''", "'") if part.startswith("'") else part
            for part in re.findall(r"'(?:[^']|'')*'|[^']+", word)
        )
        for word in re.findall(r"(?:'(?:[^']|'')*'|[^ '])+", inner)
    ]
    return [found["Executable"], *words]


def shell_command(kind: str, text: str, script: Path) -> list[str]:
    """What a node runs for a job script."""
    if kind == "htcondor":
        return condor_command(text)
    script.write_text(text)
    return ["bash", str(script)]


def worker_words(name: str = JOB_NAME, cluster_dir: Path = CLUSTER_DIR) -> list[str]:
    """Arguments that the Python of a pool with everything set must get."""
    words = f"-m dasksse.engine.worker {shlex.quote(str(cluster_dir))} --name {name}"
    return shlex.split(f"{words} --nthreads 4 --memory-limit 14.90GiB --pool gpu")


if __name__ == "__main__":
    for each in OWN:
        golden(each).write_text(render(each, pool(each)))
