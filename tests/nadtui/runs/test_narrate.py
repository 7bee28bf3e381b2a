"""Lines of the log."""

from engine.events import Chosen
from engine.record.view import RunView, fold
from nadtui.runs import narrate
from tests import run_folders


def test_a_choice_is_told_with_its_scores():
    chosen = Chosen(stage="bounds", what="bound", choice="4", scores={"2": 0.9, "4": 0.934})
    said = "bounds chose bound 4 (score 0.934; 2 candidates: 2 0.9, 4 0.934)"
    assert narrate.line(chosen, RunView()) == said


def test_of_many_candidates_the_first_are_named():
    scores = {str(number): number / 10 for number in range(9)}
    said = narrate.choice(Chosen(stage="a", what="b", choice="8", scores=scores))
    assert said.endswith("9 candidates: 0 0, 1 0.1, 2 0.2, 3 0.3, 4 0.4, 5 0.5, …)")


def test_without_a_trigger_figures_are_acc_alone():
    first = fold(run_folders.side_by_side(attacked=False)).stages["attack"]
    assert narrate.figures(first.metrics) == ["ACC 97.0"]
