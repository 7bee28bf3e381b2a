"""Erased or only asleep: the verification's figures as every reader shows them."""

from __future__ import annotations

import dataclasses
import math

from engine.events import Verified
from engine.record.summary import summarize
from engine.record.view import RunView, fold
from nadtui.runs import asleep, one_model
from tests import run_folders


def view() -> RunView:
    *events, end = run_folders.side_by_side()
    told = run_folders.verified("fine-tuning")
    numbered = [dataclasses.replace(each, seq=end.seq + at, time=end.time) for at, each in enumerate(told)]
    return fold([*events, *numbered, dataclasses.replace(end, seq=end.seq + len(told))])


def test_a_row_for_each_model_that_was_verified_beside_a_clean_one():
    assert asleep.COLUMNS == ("model", "retuned ASR", "clean", "t50", "clean", "existence", "woken ASR", "clean")
    assert asleep.rows(view()) == [("fine-tuning", "34.5", "1.2", "0.30", "–", "–", "–", "–")]
    assert asleep.remarks(view()) == [
        "fine-tuning, existence: its layers are others.",
        "No control for perturbation: the zoo has none.",
    ]
    assert asleep.rows(fold(run_folders.side_by_side())) == []


def test_one_model_has_its_verification_as_a_table_of_its_own():
    run = view()
    assert one_model.verified(run.stages["fine-tuning"]) == [
        ("retuned ASR", "34.5", "1.2"),
        ("t50", "0.30", "–"),
        ("existence", "–", "n/a"),
        ("woken ASR", "–", "–"),
    ]
    assert one_model.verified(run.stages["nad"]) == []


def test_one_model_tells_its_figures_its_verdict_and_what_it_chose():
    run = view()
    figures, verdict, chosen = one_model.told(run, run.stages["fine-tuning"])
    assert figures == "ACC 93.0  ASR 60.0"
    assert verdict.startswith("not erased: ASR +59.5 over its base rate of 0.5")
    assert chosen.startswith("fine-tuning chose bound 4 (score 0.93")


def test_a_log_says_never_for_what_is_reached_nowhere_and_why_there_is_no_control():
    path = Verified(stage="nad", test="linear-path", figures={"t50": math.nan, "asr_mean": 99.7})
    assert asleep.line(path) == "nad, linear-path: t50 never, asr_mean 99.7"
    alone = Verified(stage="nad", test="existence", figures={"coefficient": math.nan}, uncontrolled="the zoo has none")
    assert asleep.line(alone) == "nad, existence: coefficient – (no control: the zoo has none)"


def test_what_was_measured_and_is_reached_nowhere_is_never_and_no_dash():
    told = fold(run_folders.side_by_side())
    figures, control = {"t50": math.nan, "asr_mean": 99.7}, {"t50": math.nan}
    told.apply(Verified(stage="nad", test="linear-path", figures=figures, control=control))
    told.apply(Verified(stage="fine-tuning", test="linear-path", figures={}, unfit="its layers are others"))
    assert [row[3:5] for row in asleep.rows(told)] == [("never", "never"), ("–", "–")]
    assert one_model.verified(told.stages["nad"])[1] == ("t50", "never", "never")
    t50 = next(each for each in asleep.MEASURES if each.figure == "t50")
    summed = {each["stage"]: each for each in summarize(told)["stages"]}
    assert summed["nad"]["verified"]["linear-path"]["figures"]["t50"] is None, "as data it stays what it is"
    assert [t50.of_stage(summed[name]) for name in ("nad", "fine-tuning", "attack")] == ["never (never)", "–", "–"]
