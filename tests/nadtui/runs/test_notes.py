"""A run's name, tags and note: typed in a line, kept in its folder, found by a filter."""

from __future__ import annotations

import pytest

from engine.errors import RequestError
from nadtui.runs.catalog import Catalog
from nadtui.runs.notes import FILE, Notes, keep, of, parsed
from nadtui.runs.query import parse


@pytest.mark.parametrize(
    ("line", "notes"),
    [
        ("first try #paper #signs -- lr too high", Notes("first try", ("paper", "signs"), "lr too high")),
        ("#a #a b", Notes("b", ("a",))),
        ("-- only a note", Notes(note="only a note")),
        ("C# is a name -- and #no tag here", Notes("C# is a name", (), "and #no tag here")),
        ("  ", Notes()),
    ],
)
def test_a_line_is_read_and_written(line, notes):
    assert parsed(line) == notes
    assert parsed(notes.line) == notes


def test_notes_are_kept_and_found(runs):
    catalog = Catalog(runs)
    first = catalog.rows()[0]
    keep(first.path, Notes("the good one", ("paper",), "mixup helped"))
    (row,) = [row for row in catalog.rows() if row.path == first.path]
    assert row.notes.name == "the good one"
    for text in ("good", "tag:paper", "mixup", 'name:"good one"', "note:helped"):
        assert [each.id for each in catalog.rows() if parse(text).matches(each)] == [row.id], text
    keep(first.path, Notes())
    assert not (first.path / FILE).exists()
    assert catalog.rows()[0].notes == Notes()


@pytest.mark.parametrize("content", [b"", b"[1, 2]", b"{", b"\xff", b"tags: 3\nname: [a]"])
def test_what_makes_no_sense_is_left_out(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    assert of(tmp_path) == Notes()


def test_a_run_that_is_gone_is_not_made_again(tmp_path):
    with pytest.raises(RequestError):
        keep(tmp_path / "gone", Notes("a"))
