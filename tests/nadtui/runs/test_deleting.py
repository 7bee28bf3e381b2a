"""Runs are deleted for good, unless they are at work or a link."""

from __future__ import annotations

import json

from engine.record.folder import RunFolder
from nadtui.runs.deleting import delete_run
from tests import run_folders


def test_a_run_at_work_is_never_deleted(runs):
    settings = run_folders.config()
    with RunFolder.create(runs, preset="badnets", dataset="signs", seed=0, config_yaml=json.dumps(settings)) as folder:
        assert "at work" in delete_run(folder.path)
        assert folder.path.is_dir()


def test_a_link_is_never_followed_by_a_delete(runs, tmp_path):
    other = tmp_path / "elsewhere"
    other.mkdir()
    (runs / "link").symlink_to(other, target_is_directory=True)
    assert delete_run(runs / "link")
    assert other.is_dir()
