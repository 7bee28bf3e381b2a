"""The shadow ASR in words, tables and curves."""

from __future__ import annotations

import math

import pytest

from engine.events import ProxiesMade, Shadowed
from engine.record.state import RunState
from engine.record.summary import summarize
from engine.record.view import fold
from nadtui.draw import run_charts
from nadtui.export import explained
from nadtui.runs import narrate, shadowed, side_by_side
from nadtui.runs.digest import Report
from tests import run_folders, scripted_run

MADE = ProxiesMade(target=1, outliers=(0.4, -5.25), stands_out=True, cells=3.6)


def figures(mask: float, perturbation: float) -> dict[str, float]:
    return {"mask": mask, "perturbation": perturbation}


def view(made: ProxiesMade = MADE):
    """The scripted run, its models tried as they were looked at."""
    found = fold(scripted_run.whole_run())
    found.apply(made)
    for stage, epoch, mask, perturbation in (
        ("attack", 3, 98.0, 60.0),
        ("teacher", 1, 30.0, 45.0),
        ("teacher", 2, 3.0, 20.0),
        ("nad", 2, 1.0, 12.0),
    ):
        found.apply(Shadowed(stage=stage, epoch=epoch, figures=figures(mask, perturbation)))
    return found


def test_the_log_names_the_class_and_what_works():
    assert (
        narrate.line(MADE, view())
        == "made-up triggers: class 1 (yield) stands out: a patch of 4 pixels leads there, z -5.2"
    )
    event = Shadowed(stage="nad", epoch=2, figures=figures(1.0, 12.0))
    assert narrate.line(event, view()) == "nad: shadow ASR 1.0 (perturbation 12.0)"


def test_a_class_that_does_not_stand_out_is_not_accused():
    said = shadowed.made(ProxiesMade(target=0, outliers=(-1.0, 0.2), stands_out=False, cells=40.0), view())
    assert said.startswith("made-up triggers: no class stands out, class 0 (stop) the most")
    assert said.endswith("what they do says little")


def test_it_is_that_of_the_patch():
    assert shadowed.main(figures(1.0, 12.0)) == 1.0
    assert math.isnan(shadowed.main({}))


def test_the_curve_of_a_defense_begins_at_the_suspects():
    xs, ys = run_charts.shadow_points(view(), "epoch")
    assert [y for y in ys if not math.isnan(y)] == [98.0, 98.0, 30.0, 3.0, 98.0, 1.0]
    assert len(xs) == len(ys)
    chart = run_charts.figures_chart(view(), "epoch")
    assert [series.name for series in chart.series] == ["ACC", "ASR", "shadow"]
    assert run_charts.shadow_points(view(), "epoch", zoom="nad")[1] == [98.0, 1.0]


def test_a_run_without_has_no_curve_and_no_facts():
    plain = fold(scripted_run.whole_run())
    assert [series.name for series in run_charts.figures_chart(plain, "epoch").series] == ["ACC", "ASR"]
    assert shadowed.facts(plain) == []


def test_the_facts_are_those_of_suspect_and_purified_models():
    assert [said.partition(":")[0] for said in shadowed.facts(view())] == ["made-up triggers", "attack", "nad"]


def test_a_document_says_what_it_is_where_it_stands_in_it(tmp_path):
    report = Report(tmp_path, view(), RunState.FINISHED)
    assert explained.SHADOW in explained.figures(report)
    assert "shadow" in dict(report.facts())
    plain = Report(tmp_path, fold(scripted_run.whole_run()), RunState.FINISHED)
    assert explained.SHADOW not in explained.figures(plain)
    assert "shadow" not in dict(plain.facts())


def test_it_has_a_column_side_by_side_where_there_is_one():
    summary = summarize(fold(run_folders.side_by_side()))
    assert shadowed.TITLE not in side_by_side.table(summary).columns
    next(stage for stage in summary["stages"] if stage["stage"] == "nad")["shadow"] = figures(1.0, 12.0)
    found = side_by_side.table(summary)
    place = found.columns.index(shadowed.TITLE)
    assert {row[0]: row[place] for row in found.cells} == {"(suspect)": "–", "nad": "1.0", "fine-tuning": "–"}


def test_what_was_recorded_after_a_resumed_epoch_is_forgotten():
    stage = view().stages["teacher"]
    stage.drop_after(1)
    assert [each.epoch for each in stage.shadows] == [1]


@pytest.mark.parametrize("stage", ["attack", "nad"])
def test_a_later_look_at_the_same_epoch_replaces_the_first(stage):
    found = view()
    last = found.stages[stage].shadows[-1].epoch
    found.apply(Shadowed(stage=stage, epoch=last, figures=figures(50.0, 0.0)))
    assert [each.figures for each in found.stages[stage].shadows if each.epoch == last] == [figures(50.0, 0.0)]
