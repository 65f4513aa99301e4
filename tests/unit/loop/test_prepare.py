from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dasksse.config.load import load_config
from dasksse.errors import RunFolderError
from dasksse.loop.prepare import digests_in, keep_config, open_run_folder, structure_digests

TOY = Path(__file__).parents[3] / "configs" / "toy.yaml"


def test_a_driver_killed_while_it_made_the_folder_can_start_again(tmp_path: Path) -> None:
    loaded = load_config(TOY)
    folder, _ = open_run_folder(loaded, tmp_path)
    folder.resolved_config.unlink()  # written last: as if killed before it
    copy = tmp_path / "inputs" / "salt" / "LiCl_toy.cif"
    copy.write_text(copy.read_text()[:40])
    (tmp_path / ".config.yaml.1.tmp").write_text("half")

    folder, changes = open_run_folder(loaded, tmp_path)

    assert changes == []
    assert digests_in(folder, loaded.config) == structure_digests(loaded)


def test_a_folder_with_finished_work_but_no_configuration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "work" / "md" / "abc").mkdir(parents=True)

    with pytest.raises(RunFolderError, match="holds no run"):
        open_run_folder(load_config(TOY), tmp_path)


def test_keys_that_a_run_did_not_know_when_it_began_are_no_changes(tmp_path: Path) -> None:
    loaded = load_config(TOY)
    folder, _ = open_run_folder(loaded, tmp_path)
    values = yaml.safe_load(folder.resolved_config.read_text())
    del values["on_end"]
    del values["stop"]["hung_after_s"]
    folder.resolved_config.write_text(yaml.safe_dump(values))

    assert open_run_folder(loaded, tmp_path)[1] == []


def test_the_command_at_the_end_may_change_and_is_kept_when_the_driver_starts(
    tmp_path: Path,
) -> None:
    config = tmp_path / "config.yaml"
    text = TOY.read_text().replace("structures/", f"{TOY.parent}/structures/")
    config.write_text(text)
    folder, _ = open_run_folder(load_config(config), tmp_path / "run")
    config.write_text(text + "on_end: [mail, me]\n")
    before = folder.resolved_config.read_text()
    loaded = load_config(config)

    _, changes = open_run_folder(loaded, folder.root)
    unchanged = folder.resolved_config.read_text()
    keep_config(loaded, folder)

    assert [change for change in changes if "on_end" in change] == [
        "on_end: [] in the run folder, ['mail', 'me'] now"
    ]
    assert unchanged == before
    assert yaml.safe_load(folder.resolved_config.read_text())["on_end"] == ["mail", "me"]
