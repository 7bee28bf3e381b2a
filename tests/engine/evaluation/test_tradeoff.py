import pytest

from engine.evaluation.tradeoff import Point, asr_within

PATH = [Point(0, 100), Point(1, 40), Point(3, 10), Point(2, 20)]


@pytest.mark.parametrize(("budget", "asr"), [(0, 100), (0.5, 70), (1, 40), (2, 20), (2.5, 15), (3, 10), (9, 10)])
def test_it_is_the_lowest_that_the_budget_buys(budget, asr):
    assert asr_within(PATH, budget) == pytest.approx(asr)


def test_accuracy_that_is_gained_costs_nothing():
    assert asr_within([Point(0, 90), Point(-1, 30), Point(4, 0)], 0) == pytest.approx(24)
