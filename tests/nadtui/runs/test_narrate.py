"""Lines of the log."""

import dataclasses
import math

import pytest

from engine.events import Chosen, RunStopped, StageStarted
from engine.figures import Change, Cost
from engine.record.view import RunView, fold
from nadtui.runs import narrate
from tests import run_folders, scripted_run


def test_a_choice_is_told_with_its_scores():
    chosen = Chosen(stage="bounds", what="bound", choice="4", scores={"2": 0.9, "4": 0.934})
    said = "bounds chose bound 4 (score 0.934; 2 candidates: 2 0.9, 4 0.934)"
    assert narrate.line(chosen, RunView()) == said


def test_of_many_candidates_the_first_are_named():
    scores = {str(number): number / 10 for number in range(9)}
    said = narrate.choice(Chosen(stage="a", what="b", choice="8", scores=scores))
    assert said.endswith("9 candidates: 0 0, 1 0.1, 2 0.2, 3 0.3, 4 0.4, 5 0.5, …)")


def test_candidates_that_were_not_tried_are_counted():
    scores = {"1": 2.0, "0.9": math.nan, "0.8": math.nan}
    said = narrate.choice(Chosen(stage="trial", what="reach", choice="1", scores=scores))
    assert said == "trial chose reach 1 (score 2; 3 candidates: 1 2; 2 not tried)"


@pytest.mark.parametrize(
    ("lost", "interval", "budget", "said"),
    [
        (1.0, (0.0, 2.0), 2, "within the budget of 2"),
        (1.0, (-0.5, 2.5), 2, "within the budget of 2, but so few images cannot tell it from 2.5"),
        (3.0, (1.0, 5.0), 2, "more than the budget of 2; nothing that was tried loses less"),
    ],
)
def test_under_a_budget_it_is_told_what_a_choice_costs_and_how_certain_that_is(lost, interval, budget, said):
    cost = Cost(lost=lost, lost_ci=interval, images=40, budget=budget)
    chosen = Chosen(stage="trial-nad", what="reach", choice="1", scores={"1": 2.0}, cost=cost)
    low, high = interval
    told = narrate.line(chosen, RunView())
    assert told.endswith(
        f": it loses {lost:.1f} points of ACC on 40 held images (95 % interval {low} to {high}), {said}"
    )
    assert told.startswith("warning: ") is narrate.loud(chosen) is (lost > budget)


@pytest.mark.parametrize(
    ("stage", "epoch", "step", "said"),
    [
        ("attack", 1, 0, "attack after epoch 1"),
        ("attack", 1, 3, "attack after epoch 1 and 3 steps of the next"),
        ("attack", 0, 0, "attack at its beginning"),
        ("masks", 0, 0, "masks"),
        ("done", 0, 0, "done, whose model is done"),
        ("verified", 0, 0, "the verification of verified"),
        ("verified teacher", 0, 0, "verified teacher, whose model is done"),
    ],
)
def test_a_place_to_stop_is_told_by_what_is_done(stage, epoch, step, said):
    started = scripted_run.run_started()
    if stage.startswith("verified"):
        config = {**started.config, "evaluation": {"verify": True}}
        started = dataclasses.replace(started, config=config)
    view = fold([started, StageStarted(stage=stage, epochs=0 if stage == "masks" else 2, steps=4)])
    if stage not in ("attack", "masks"):
        view.stages[stage].role = "purified" if stage == "verified" else "reference"
        view.stages[stage].finished = fold(run_folders.side_by_side()).stages["nad"].finished
    assert narrate.place(RunStopped(stage=stage, epoch=epoch, step=step), view) == said


def test_without_a_trigger_figures_are_acc_alone():
    first = fold(run_folders.side_by_side(attacked=False)).stages["attack"]
    assert narrate.figures(first.metrics) == ["ACC 97.0"]


def test_what_a_model_has_over_another_is_told_with_what_a_defender_wants():
    found = Change(than="teacher", acc=1.9, acc_ci=(1.1, 2.7), asr=9.25, asr_ci=(3.4, 14.8))
    assert narrate.change("nad", found) == (
        "nad over teacher: ACC +1.9 (+1.1 to +2.7: better), ASR +9.2 (+3.4 to +14.8: worse)"
    )
    unsure = Change(than="teacher", acc=-0.2, acc_ci=(-0.9, 0.5))
    assert narrate.change("nad", unsure) == "nad over teacher: ACC -0.2 (-0.9 to +0.5: no difference shown)"


def test_an_epoch_under_way_is_not_told_as_done():
    view = fold([scripted_run.run_started(), StageStarted(stage="attack", epochs=1, steps=4)])
    assert narrate.epochs(view.stages["attack"], view) == "0/1"
