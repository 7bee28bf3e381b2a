"""Runs side by side: what stands in one row, what repeats what, and what a missing figure means."""

from pathlib import Path
from typing import Any

import pytest

from engine.record.state import RunState
from engine.record.view import fold
from nadtui.runs import comparison
from nadtui.runs.digest import Report
from tests import run_folders, scripted_run


def report(*, attacked: bool = True, **settings: Any) -> Report:
    return Report(Path("run"), fold(run_folders.side_by_side(attacked=attacked, **settings)), RunState.FINISHED)


def one_defense() -> Report:
    return Report(Path("old"), fold(scripted_run.whole_run()), RunState.FINISHED)


def test_stages_are_aligned_by_role_defense_and_name():
    rows = comparison.table([one_defense(), report()]).rows
    acc = [(row[0], *row[2:]) for row in rows if row[1] == "ACC"]
    assert acc == [
        ("attack", "97.0", "97.0 (+0.0)"),
        ("teacher (for nad)", "96.0", "95.0 (-1.0)"),
        ("nad", "96.5", "96.5 (+0.0)"),
        ("fine-tuning", "–", "93.0"),
    ]


def test_a_run_with_one_defense_names_its_reference_plainly():
    assert list(comparison.stages([one_defense()]).values()) == ["attack", "teacher", "nad"]


def test_stages_of_one_name_and_different_roles_are_two_rows():
    own = report()
    own.summary["stages"][1]["stage"] = "nad"
    own.summary["stages"][1]["defense"] = "other"
    titles = list(comparison.stages([own]).values())
    assert len(set(titles)) == len(titles) == 4


def test_a_run_without_a_trigger_says_why_it_has_no_figures():
    reports = [report(), report(attacked=False)]
    assert [said for _, said in comparison.named(reports)][1].endswith(
        "(no trigger is known) · suspect: file /somewhere/given.pt"
    )
    asr = [row[2:] for row in comparison.table(reports).rows if row[1] == "ASR"]
    assert all(cells[1] == "–" for cells in asr)


@pytest.mark.parametrize(
    ("changes", "repeats"),
    [
        ({}, True),
        ({"threads": 3, "device": "cpu"}, True),
        ({"preset": "mine", "recipe": "other"}, True),
        ({"suspect": "/another.pt"}, False),
        ({"no field of today": 1}, False),
    ],
)
def test_runs_are_of_one_experiment_if_they_differ_in_what_shapes_no_figure(changes, repeats):
    found = comparison.groups([report(seed=0), report(seed=1, **changes)])
    assert [group.letters for group in found] == (["AB"] if repeats else [])


def test_differences_are_to_the_first_run(reports):
    table = comparison.table(reports[:3])
    row = next(row for row in table.rows if row[:2] == ("nad", "ASR"))
    assert row == ("nad", "ASR", "2.0", "4.0 (+2.0)", "1.0 (-1.0)", "3.0 ± 1.4")


def test_a_stage_that_a_run_has_not_reached_is_a_dash(reports):
    table = comparison.table([reports[0], reports[3]])
    assert next(row for row in table.rows if row[:2] == ("nad", "ACC"))[3] == "–"


def test_only_finished_runs_of_other_seeds_make_a_mean(reports):
    groups = comparison.groups(reports)
    assert [group.letters for group in groups] == ["AB"]
    assert comparison.groups([reports[0], reports[0]]) == []  # the same seed twice is no spread
    assert comparison.groups([reports[0], reports[2]]) == []  # another attack is no repeat


def test_mean_and_deviation_are_those_of_the_sample(reports):
    mean, deviation, count = comparison.groups(reports)[0].figure(comparison.StageKey("purified", "nad", "nad"), "asr")
    assert (mean, count) == (3.0, 2)
    assert deviation == pytest.approx(((2 - 3) ** 2 + (4 - 3) ** 2) ** 0.5)


def test_fields_that_differ_are_listed_once(reports):
    table = comparison.fields(reports[:2])
    assert table.rows == (("seed", "0", "1"),)


def test_values_that_differ_stand_as_they_are_typed():
    rows = {row[0]: row[1:] for row in comparison.fields([report(seed=0), report(seed=None)]).rows}
    assert rows["seed"] == ("0", "null")
