from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dasksse.engine.tls import CERTIFICATE_FILE, KEY_FILE, RENEW_AFTER_S, make_keys, security

if TYPE_CHECKING:
    from pathlib import Path


def test_keys_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_keys(tmp_path / "tls")
    finally:
        os.umask(before)

    files = sorted(path.name for path in (tmp_path / "tls").iterdir())
    assert files == [CERTIFICATE_FILE, KEY_FILE]
    assert {p.stat().st_mode & 0o777 for p in (tmp_path / "tls").iterdir()} == {0o600}
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700


def test_young_keys_are_kept_for_the_jobs_that_read_them_and_old_ones_renewed(
    tmp_path: Path,
) -> None:
    make_keys(tmp_path)
    first = (tmp_path / KEY_FILE).read_text()
    make_keys(tmp_path)
    assert (tmp_path / KEY_FILE).read_text() == first

    old = (tmp_path / CERTIFICATE_FILE).stat().st_mtime - RENEW_AFTER_S - 10
    os.utime(tmp_path / CERTIFICATE_FILE, (old, old))
    make_keys(tmp_path)
    assert (tmp_path / KEY_FILE).read_text() != first


def test_every_role_must_show_the_certificate(tmp_path: Path) -> None:
    make_keys(tmp_path)

    made = security(tmp_path, tls=True)

    assert made.require_encryption
    for role in ("client", "scheduler", "worker"):
        assert made.get_tls_config_for_role(role)["ca_file"] == str(tmp_path / CERTIFICATE_FILE)
    assert not security(tmp_path, tls=False).require_encryption
