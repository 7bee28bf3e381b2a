"""The one way of writing a file whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import RequestError
from engine.storage import paths
from engine.storage.paths import write_atomically


def test_a_file_is_written_whole_and_nothing_else_stays(tmp_path):
    file = tmp_path / "new folder" / "file"
    for content in (b"first", b"second"):
        write_atomically(file, content)
        assert file.read_bytes() == content
        assert list(file.parent.iterdir()) == [file]


def test_writers_of_one_number_do_not_meet(tmp_path, monkeypatch):
    """As two containers with a folder in common have them: a process's number says nothing about the other's."""
    file = tmp_path / "file"
    flush, names = os.fsync, []

    def second_writer(descriptor: int) -> None:
        names.extend(each.name for each in tmp_path.iterdir())
        monkeypatch.setattr(paths.os, "fsync", flush)
        write_atomically(file, b"second")
        assert file.read_bytes() == b"second"

    monkeypatch.setattr(paths.os, "fsync", second_writer)
    write_atomically(file, b"first")
    assert file.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [file]
    assert len(names) == 1
    assert names[0].startswith(".file.")


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="cannot write") as caught:
        write_atomically(tmp_path / "file" / "below", b"")
    assert "\n" not in str(caught.value)
    assert [each.name for each in Path(tmp_path).iterdir()] == ["file"]
