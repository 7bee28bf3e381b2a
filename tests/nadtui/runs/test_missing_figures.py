"""Why a figure does not exist: by name, with the reason, wherever dashes would stand."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from engine.record.absent import absent, class_name, target_class
from engine.record.state import RunState
from engine.record.view import fold
from nadtui.export import csv_file, explained, markdown, tex_file
from nadtui.runs import comparison, digest, narrate
from nadtui.runs.digest import Report
from nadtui.workbench.widgets import run_header
from tests.scripted_run import CONFIG, metrics, run_started, stage, timed

NOTHING = (math.nan, math.nan)
BLIND = {"asr": math.nan, "ra": math.nan, "asr_ci": NOTHING, "ra_ci": NOTHING}
FULL = metrics(90.0, 50.0)
UNTRIGGERED = dataclasses.replace(FULL, **BLIND)
NOBODY = dataclasses.replace(FULL, **BLIND, base=math.nan, base_ci=NOTHING, eligible=0, images=7)
UNTESTED = dataclasses.replace(FULL, class_acc=(90.0, math.nan))


def view_of(figures, **changes):
    done = dataclasses.replace(stage("attack", [(90.0, 0.0)])[-1], metrics=figures)
    return fold(timed([run_started(**changes), done]))


CASES = {
    "all there": (FULL, {}, {}, ""),
    "no trigger is known": (
        NOBODY,
        {"attacked": False, "config": {**CONFIG, "attack": None}},
        dict.fromkeys(("asr", "ra", "base"), "no trigger is known"),
        "No trigger is known: there is no ASR, RA or base.",
    ),
    "no trigger": (
        UNTRIGGERED,
        {"config": {**CONFIG, "attack": {**CONFIG["attack"], "name": "clean"}}},
        dict.fromkeys(("asr", "ra"), "the attack 'clean' puts no trigger on images"),
        "No ASR or RA: the attack 'clean' puts no trigger on images.",
    ),
    "no eligible image": (
        NOBODY,
        {},
        dict.fromkeys(("asr", "ra", "base"), "all 7 test images are of the class that the attacker wants"),
        "No ASR or RA or base: all 7 test images are of the class that the attacker wants.",
    ),
    "no image of a class": (
        UNTESTED,
        {},
        {"class_acc": "no test image of class 'yield'"},
        "No ACC of a class: no test image of class 'yield'.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_reason_stands_with_every_reader(case):
    figures, changes, reasons, line = CASES[case]
    view = view_of(figures, **changes)
    assert absent(view, figures) == reasons
    report = Report(Path("run"), view, RunState.FINISHED)
    assert report.summary["stages"][0]["absent"] == reasons
    assert digest.missing(report.summary) == ([line] if line else [])
    for document in (explained.figures(report), tex_file.render(report)):
        assert line in document
    assert markdown.escape(line) in markdown.render(report)
    table = csv_file.render(report)
    assert all(f"{figure}: {why}" in table for figure, why in reasons.items())


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("all there", "ASR 50.0 · ACC 90.0"),
        ("no trigger is known", "ACC 90.0"),
        ("no trigger", "ACC 90.0 · no ASR: the attack 'clean' puts no trigger on images"),
        ("no eligible image", "ACC 90.0 · no ASR: all 7 test images are of the class that the attacker wants"),
    ],
)
def test_the_run_screen_says_it_where_the_figures_stand(case, said):
    figures, changes, *_ = CASES[case]
    assert run_header.outcome(view_of(figures, **changes)) == said
    assert "–" not in " ".join(narrate.figures(figures))


def test_runs_side_by_side_say_it():
    reports = [Report(Path("run"), view_of(*CASES[case][:1], **CASES[case][1]), RunState.FINISHED) for case in CASES]
    remarks = [said for _, said in comparison.named(reports)]
    assert "(" not in remarks[0]
    for remark, case in zip(remarks[1:], list(CASES)[1:], strict=True):
        assert "no trigger is known" in remark or CASES[case][3].rstrip(".") in remark


# --- classes by their names ---


def test_the_attackers_class_and_the_count_of_poisoned_images():
    data = {**run_started().dataset, "poisoned": 1_000}
    view = view_of(FULL, dataset=data)
    attack = dict(Report(Path("run"), view, RunState.FINISHED).facts())["attack"]
    assert attack == "badnets, all-to-one, target class 0 (stop), poisoning rate 0.1 (1,000 images poisoned)"
    assert run_header.aim(view) == "to 'stop', 1,000 images poisoned"
    assert (target_class(view), class_name(view, 1), class_name(view, 9)) == ("stop", "yield", "class 9")


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {**CONFIG, "attack": None}},
        {"config": {**CONFIG, "attack": {**CONFIG["attack"], "label_rule": "all-to-all"}}},
        {"dataset": {"class_names": "stop"}},
        {"dataset": {"class_names": []}},
        {"config": {**CONFIG, "attack": {"target": "stop"}}},
    ],
)
def test_where_there_is_no_such_class_none_is_named(changes):
    assert target_class(view_of(FULL, **changes)) is None


def test_targets_side_by_side_have_names():
    other = {**CONFIG, "attack": {**CONFIG["attack"], "target": 1}}
    reports = [Report(Path("run"), view_of(FULL, **changes), RunState.FINISHED) for changes in ({}, {"config": other})]
    assert ("attack.target", "0 (stop)", "1 (yield)") in comparison.fields(reports).rows
