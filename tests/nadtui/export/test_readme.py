"""The README's table of results: that of the book, between its two comments."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import RequestError
from nadtui.export.readme import BEGIN, END, renewed, table
from nadtui.runs import book
from nadtui.runs.result_rows import Row
from tests import frontier

README = Path(__file__).parents[3] / "README.md"


def row(**cells) -> Row:
    return Row({"data": "signs", "preset": "sig", "defense": "nad", "status": "default", **cells})


def body(rows: list[Row]) -> list[str]:
    return table(rows).splitlines()[2:]


def test_the_readme_is_that_of_the_book():
    text = README.read_text(encoding="utf-8")
    assert renewed(text, book.shipped()) == text, "nadtui results readme"


def test_rows_of_one_suspect_are_the_mean_of_its_subsets_and_the_highest_asr_of_its_runs():
    before = {"attack.seed": 0, "acc.before": 95.8, "asr.before": 100.0}
    rows = [
        row(**before, seeds=[0], **{"acc.after": 93.0, "asr.after": 1.0}),
        row(**before, seeds=[1], **{"acc.after": 94.0, "asr.after": 4.0}),
        row(**{"acc.before": 94.0}, preset="wanet"),
    ]
    assert body(rows) == [
        "| signs | sig | 0 | 0, 1 | nad | 95.8 / 100.0 | | 93.5 ± 0.7 / 2.5 ± 2.1 | 4.0 |",
        "| | wanet | | | nad | 94.0 | | | |",
    ]


def test_suspects_of_one_preset_are_one_line_each_with_the_weight_of_one():
    rows = [
        row(suspect="sig-signs-0", seeds=[0], **{"attack.seed": 0, "acc.before": 96.0, "asr.after": 1.0}),
        row(suspect="sig-signs-0", seeds=[1], **{"attack.seed": 0, "acc.before": 96.0, "asr.after": 3.0}),
        row(suspect="sig-signs-20", seeds=[0], **{"attack.seed": 20, "acc.before": 94.0, "asr.after": 6.0}),
        row(suspect="sig-signs-vgg-11-0", seeds=[0], **{"attack.seed": 0, "acc.before": 90.0, "asr.after": 9.0}),
    ]
    assert body(rows) == [
        "| signs | sig | 0, 20 | 0, 1 | nad | 95.0 ± 1.4 | | – / 4.0 ± 2.8 | 6.0 |",
        "| | sig | 0 | 0 | nad | 90.0 | | – / 9.0 | 9.0 |",
    ]


def test_of_rows_that_are_means_the_highest_is_not_known():
    assert body([row(seeds=[0, 1], **{"asr.after": 2.0})]) == ["| signs | sig | | 0, 1 | nad | | | – / 2.0 | |"]


def test_what_was_only_tried_is_not_in_it():
    assert body([row(status="tried"), row(status="prototype")]) == []


def test_another_recipe_and_another_data_set_are_named():
    assert body([row(recipe="thorough"), row(data="gtsrb", recipe="default")]) == [
        "| signs | sig | | | nad, thorough | | | | |",
        "| gtsrb | sig | | | nad | | | | |",
    ]


def test_foreign_text_is_only_text():
    assert r"a\|b &lt;b&gt;" in body([row(preset="a|b <b>")])[0]


def test_what_stands_around_the_table_is_kept():
    text = f"above\n{BEGIN}\nold\n{END}\nbelow\n"
    new = renewed(text, [row()])
    assert new.startswith(f"above\n{BEGIN}\n\n| data set |") and new.endswith(f"|\n\n{END}\nbelow\n")
    assert "old" not in new and renewed(new, [row()]) == new


@pytest.mark.parametrize(
    "text", ["", BEGIN, END, f"{END} {BEGIN}", f"{BEGIN} {END} {END}", f"{BEGIN} {BEGIN} {END}", f"{END} {BEGIN} {END}"]
)
def test_without_its_two_comments_nothing_is_written(text: str):
    with pytest.raises(RequestError, match="are wanted, once each"):
        renewed(text, [])


def test_the_picture_of_the_frontier_is_that_of_the_table():
    text = README.read_text(encoding="utf-8")
    assert frontier.PICTURE.read_text("utf-8") == frontier.picture(text), "python -m tests.frontier"
    assert {mark.label for mark in frontier.marks(text) if mark.series == frontier.SERIES[0]} == {"sau", "ft-sam", "d3"}
