"""Lines that say where to watch a run, from this machine or through an ssh tunnel."""

from __future__ import annotations

import getpass
import os
from urllib.parse import urljoin, urlsplit

SCIENCE_PAGE = "/dasksse"
"""Route of the science page on the dashboard."""

_REMOTE_SIGNS = ("SSH_CONNECTION", "SSH_TTY", "SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")


def looks_remote() -> bool:
    """Whether this session runs over ssh or inside a batch job, so that a tunnel is needed."""
    return any(os.environ.get(name) for name in _REMOTE_SIGNS)


def dashboard_lines(url: str, host: str, *, is_remote: bool) -> list[str]:
    """Lines for the user: the dashboard, the way to it from elsewhere, the science page.

    Parameters
    ----------
    url
        Address of the dashboard, such as ``http://127.0.0.1:8787/status``.
    host
        Name of this machine, for ssh.
    is_remote
        Whether the user sits at another machine.
    """
    lines = [f"dashboard {url}"]
    if is_remote:
        port = urlsplit(url).port
        tunnel = f"ssh -L {port}:127.0.0.1:{port} {getpass.getuser()}@{host}"
        lines.append(f"from your own machine: {tunnel}  then open {url}")
    lines.append(f"science page {urljoin(url, SCIENCE_PAGE)}")
    return lines
