"""The columns of the list of runs as text."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.record.state import RunState
from engine.record.verdict import Word
from nadtui.runs.catalog import RunRow
from nadtui.runs.grouping import grouped
from nadtui.workbench.widgets.run_columns import columns, fitted


@pytest.mark.parametrize("width", [30, 56, 66, 80, 104, 132, 180])
def test_columns_fill_the_width(width):
    chosen = columns(width)
    taken = sum(column.width for column in chosen) + len(chosen) - 1
    assert taken == width or (width < 56 and taken > width)
    row = RunRow(
        "20260101-120000-sig-signs-s0", Path("x"), RunState.RUNNING, "sig", "signs", 0, stage="nad", progress=0.5
    )
    assert all(len(fitted(column.text(row, column.width), column.width)) == column.width for column in chosen)


@pytest.mark.parametrize("width", range(56, 181, 4))
def test_every_width_tells_what_a_finished_run_has_come_to(width):
    row = RunRow("id", Path("x"), RunState.FINISHED, "sig", "signs", 0, verdict=Word.PARTLY)
    assert "partly" in [column.text(row, column.width) for column in columns(width)]


@pytest.mark.parametrize("width", range(56, 181, 4))
def test_every_width_tells_what_most_of_a_group_have_come_to(width):
    rows = [
        RunRow(str(number), Path(str(number)), RunState.FINISHED, "sig", "signs", number, verdict=verdict)
        for number, verdict in enumerate([Word.NOT_ERASED] * 11 + [Word.ERASED])
    ]
    [group] = grouped(rows, "preset")
    said = [(column.of_group(group), column.width) for column in columns(width)]
    assert any("not erased" in text and len(text) <= room for text, room in said)


def test_progress_is_a_bar_where_there_is_room():
    row = RunRow("id", Path("x"), RunState.RUNNING, stage="nad", progress=0.5)
    wide = next(column for column in columns(180) if column.title == "stage")
    assert wide.text(row, 28) == "nad         ━━━━━─────  50%"
    narrow = next(column for column in columns(56) if column.title == "state")
    assert narrow.text(row, 9) == "nad 50%"


def test_foreign_text_stays_in_its_cells():
    assert fitted("a\x1b[31m\u202eb", 8) == "a\\x1b[3…"
    assert fitted("標識標識", 5).rstrip() in ("標識", "標識…", "標…")
