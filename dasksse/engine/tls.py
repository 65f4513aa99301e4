"""TLS between driver, scheduler and workers: keys of the run, made here, read by all jobs."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

KEY_FILE = "key.pem"
CERTIFICATE_FILE = "cert.pem"
RENEW_AFTER_S = 180 * 86400.0
"""Dask's certificates hold for a year; jobs that read one must not outlive it."""


def _write_private(path: Path, text: str) -> None:
    """Write a file that nobody but its owner could read at any moment."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(text)
    temporary.replace(path)


def make_keys(folder: Path) -> None:
    """Make a key and a self-signed certificate unless young ones are there.

    Only who holds the key can talk to scheduler or workers: the files get mode 0600, their
    folder 0700.
    """
    from distributed.security import Security

    key, certificate = folder / KEY_FILE, folder / CERTIFICATE_FILE
    is_there = key.is_file() and certificate.is_file()
    if is_there and time.time() - certificate.stat().st_mtime < RENEW_AFTER_S:
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    made = Security.temporary()
    _write_private(key, made.tls_client_key)
    _write_private(certificate, made.tls_client_cert)


def security(folder: Path, *, tls: bool) -> Any:  # noqa: ANN401 - Dask is not typed
    """Security of every connection: the run's keys, or none at all."""
    from distributed.security import Security

    if not tls:
        return Security(require_encryption=False)
    key, certificate = str(folder / KEY_FILE), str(folder / CERTIFICATE_FILE)
    roles = ("client", "scheduler", "worker")
    return Security(
        require_encryption=True,
        tls_ca_file=certificate,
        **{f"tls_{role}_key": key for role in roles},
        **{f"tls_{role}_cert": certificate for role in roles},
    )
