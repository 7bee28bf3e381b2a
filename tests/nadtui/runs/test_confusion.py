"""Confusion matrices: counted from the answers that a run has kept, shown whole or, of many classes, in short."""

from __future__ import annotations

import json

from engine.record.layout import answers_file
from nadtui.export import html_file, json_file, markdown
from nadtui.runs.confusion import WIDE, confusions
from nadtui.runs.loading import load
from tests import showcase
from tests.run_folders import keep_answers

NAMES = ["stop", "yield", "danger"]


def test_images_are_counted_by_what_they_are_and_what_they_are_taken_for(tmp_path):
    keep_answers(tmp_path, "nad")
    clean, triggered = confusions(tmp_path, ["attack", "nad"], NAMES)
    assert clean.counts.tolist() == [[9, 1, 0], [0, 9, 1], [1, 0, 9]]
    assert triggered.counts.tolist() == [[0, 0, 0], [10, 0, 0], [10, 0, 0]]
    assert clean.columns == ("true class", "images", *NAMES)
    assert clean.rows()[0] == ("stop", "10", "9", "1", "·")
    assert [row[0] for row in triggered.rows()] == ["yield", "danger"]  # of the target class none is triggered
    assert json.loads(json.dumps(triggered.to_dict()))["counts"] == triggered.counts.tolist()


def test_of_many_classes_each_is_shown_with_what_it_is_most_often_taken_for(tmp_path):
    classes = WIDE + 1
    keep_answers(tmp_path, "nad", classes)
    clean, triggered = confusions(tmp_path, ["nad"], [f"c{number}" for number in range(classes)])
    assert clean.rows()[0] == ("c0", "10", "9", "c1", "1")
    assert triggered.rows()[0] == ("c1", "10", "0", "c0", "10")
    assert len(clean.columns) == len(clean.rows()[0])


def test_without_a_trigger_there_is_one_of_clean_images(tmp_path):
    keep_answers(tmp_path, "nad", triggered=False)
    assert [each.kind for each in confusions(tmp_path, ["nad"], NAMES)] == ["clean"]


def test_what_cannot_be_read_is_left_out(tmp_path):
    keep_answers(tmp_path, "nad")
    answers_file(tmp_path, "nad").write_bytes(b"cut")
    assert list(confusions(tmp_path, ["nad", "teacher"], NAMES)) == []


def test_answers_that_do_not_fit_are_left_out(tmp_path):
    keep_answers(tmp_path, "nad", 4)  # of a class that has no name here
    keep_answers(tmp_path, "teacher", 3)
    assert [each.stage for each in confusions(tmp_path, ["nad", "teacher"], NAMES)] == ["teacher", "teacher"]
    assert list(confusions(tmp_path, ["nad", "teacher"], [])) == []


def test_exports_have_the_suspects_and_the_purified_models(tmp_path):
    run = showcase.write(tmp_path, showcase.record())
    keep_answers(run, "attack", 10)
    keep_answers(run, "nad", 10)
    report = load(str(run), None)
    for render in (markdown.render, html_file.render):
        document = render(report)
        for stage in ("attack", "nad"):
            assert f"What {stage} takes triggered images for" in document
    assert len(json.loads(json_file.render(report))["confusions"]) == 4
