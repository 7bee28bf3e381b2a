"""Labels of a scatter: beside their marks, and none on another."""

from __future__ import annotations

from itertools import combinations

from nadtui.draw.labels import _box, _meet, placed


def test_a_label_stands_beside_its_mark():
    assert placed([(50.0, 40.0)], [30.0]) == [(56.0, 35.0)]


def test_labels_of_marks_that_lie_close_cover_neither_each_other_nor_a_mark():
    marks = [(100.0 + 3 * place, 100.0 + 2 * place) for place in range(6)]
    widths = [40.0] * len(marks)
    boxes = [_box(*at, width) for at, width in zip(placed(marks, widths), widths, strict=True)]
    assert not any(_meet(one, other) for one, other in combinations(boxes, 2))
    for own, box in enumerate(boxes):
        others = [mark for place, mark in enumerate(marks) if place != own]
        assert not any(_meet(box, (x - 4, y - 4, x + 4, y + 4)) for x, y in others)
    assert all(abs(box[1] - y) < 70 for box, (_, y) in zip(boxes, marks, strict=True)), "near it all the same"


def test_where_there_is_no_room_a_label_stands_where_it_would():
    marks = [(0.0, 0.0)] * 40
    assert placed(marks, [40.0] * 40)[-1] == (6.0, -5.0)
