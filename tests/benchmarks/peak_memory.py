"""Peak of this process's resident memory since a moment; plain Python on Linux."""

from __future__ import annotations

from pathlib import Path

PROCESS = Path("/proc/self")


def forget_peak() -> float:
    """Begin anew; the resident memory now [MB]."""
    (PROCESS / "clear_refs").write_text("5", encoding="ascii")
    return _megabytes("VmRSS")


def peak_MB() -> float:
    """Largest resident memory since then [MB]."""
    return _megabytes("VmHWM")


def _megabytes(name: str) -> float:
    lines = (PROCESS / "status").read_text(encoding="ascii").splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024 / 1e6
