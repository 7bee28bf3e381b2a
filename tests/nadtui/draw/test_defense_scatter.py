"""A run's defenses as marks in the terminal: where they stand, and that none is lost."""

from __future__ import annotations

from nadtui.draw import colors
from nadtui.draw.defense_scatter import scatter
from nadtui.draw.terminal_scatter import draw
from nadtui.runs.side_by_side import Row


def row(letter: str, lost: float | None, left: float | None) -> Row:
    return Row(f"d{ord(letter)}" if letter else "suspect", (), "stage", letter, lost, left)


def lines(rows: list[Row], width: int = 60, height: int = 20) -> list[str]:
    found = scatter(rows)
    assert found is not None
    drawn = draw(found, width, height)
    assert len(drawn) == height and all(len(line) == width for line in drawn)
    return ["".join(letter for letter, _ in line) for line in drawn]


def place(drawn: list[str], letter: str) -> tuple[int, int]:
    """Line and column of a mark; no name has its letter."""
    return next((y, line.index(letter)) for y, line in enumerate(drawn) if letter in line)


def test_further_right_is_more_acc_lost_and_further_up_more_asr_left():
    drawn = lines([row("x", 0.0, 0.0), row("y", 4.0, 0.0), row("z", 4.0, 60.0)])
    (x_line, x_column), (y_line, y_column), (z_line, z_column) = (place(drawn, letter) for letter in "xyz")
    assert x_line == y_line > z_line and x_column < y_column == z_column
    assert f"d{ord('z')}" in drawn[z_line] and f"d{ord('y')}" in drawn[y_line]


def test_marks_at_one_place_stand_beside_each_other():
    drawn = lines([row(letter, 1.0, 0.1) for letter in "uvxyz"])
    places = [place(drawn, letter) for letter in "uvxyz"]
    assert len(set(places)) == 5
    assert all(abs(x - places[0][1]) <= 4 and abs(y - places[0][0]) <= 2 for y, x in places)


def test_what_is_not_done_or_has_no_asr_has_no_mark():
    found = scatter([row("", None, None), row("b", None, None), row("c", 1.0, 2.0)])
    assert found is not None and [(mark.series, mark.label) for mark in found.marks] == [("d99", "c")]
    assert found.colors == {"d99": colors.series(2, dark=True)}
    assert scatter([row("", None, None)]) is None


def test_a_box_of_any_size_is_filled():
    found = scatter([row("a", 1.0, 2.0), row("b", -3.0, 100.0)])
    for width, height in ((1, 1), (7, 2), (12, 5), (200, 60)):
        assert len(draw(found, width, height)) <= height
        assert all(len(line) <= width for line in draw(found, width, height))
