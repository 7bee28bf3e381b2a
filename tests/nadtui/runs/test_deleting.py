"""Runs that are deleted lie in the trash, and can be taken back; those at work, and links, stay."""

from __future__ import annotations

import json
import time

from engine.record.folder import RunFolder
from engine.record.listing import list_runs
from nadtui.runs.deleting import TRASH, delete_runs, empty_trash, take_back
from tests import run_folders


def test_a_run_at_work_is_never_deleted(runs):
    settings = run_folders.config()
    with RunFolder.create(runs, preset="badnets", dataset="signs", seed=0, config_yaml=json.dumps(settings)) as folder:
        (problem,) = delete_runs([folder.path]).problems
        assert "at work" in problem
        assert folder.path.is_dir()


def test_a_link_is_never_followed_by_a_delete(runs, tmp_path):
    other = tmp_path / "elsewhere"
    other.mkdir()
    (runs / "link").symlink_to(other, target_is_directory=True)
    assert delete_runs([runs / "link"]).problems
    assert other.is_dir()


def test_what_is_deleted_can_be_taken_back_to_the_byte(runs):
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    chosen = [head.path for head in list_runs(runs)[:2]]
    deletion = delete_runs(chosen)
    assert not deletion.problems
    assert not {head.path for head in list_runs(runs)} & set(chosen)
    assert take_back(deletion) == []
    assert {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()} == before


def test_a_name_that_is_taken_again_is_not_written_over(runs):
    path = list_runs(runs)[0].path
    deletion = delete_runs([path])
    path.mkdir()
    (path / "new").write_text("")
    assert "there again" in take_back(deletion)[0]
    assert [entry.name for entry in path.iterdir()] == ["new"]
    assert (deletion.folder / path.name).is_dir()


def test_the_trash_is_emptied_of_what_is_old_alone(runs, tmp_path):
    new, old = [delete_runs([head.path]).folder for head in list_runs(runs)[:2]]
    aged = old.with_name(f"{int(time.time()) - 31 * 86_400}-abc")
    old.rename(aged)
    (runs / TRASH / "mine").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (runs / TRASH / "1-link").symlink_to(elsewhere)
    assert empty_trash(runs, older_than_days=30) == 1
    assert new.is_dir() and not aged.exists()
    assert empty_trash(runs) == 1
    assert sorted(entry.name for entry in (runs / TRASH).iterdir()) == ["1-link", "mine"]
    assert elsewhere.is_dir()
