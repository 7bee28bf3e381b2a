"""Two models on the same images: what one has over the other, and how sure that is."""

from __future__ import annotations

import math

import pytest
import torch

from engine.evaluation import metrics
from engine.evaluation.metrics import Answers, Z
from engine.evaluation.paired import change, paired


def hits(right: int, wrong: int) -> torch.Tensor:
    return torch.tensor([True] * right + [False] * wrong)


def test_the_difference_is_of_the_images_on_which_they_differ():
    before = hits(60, 40)
    after = before.clone()
    after[:3] = False  # three lost
    after[-10:] = True  # ten gained
    difference, (low, high) = paired(before, after)
    assert difference == pytest.approx(7)
    # Agresti and Min: half an image more of each of the four outcomes.
    gained, lost, n = 10.5, 3.5, 102
    half = Z * math.sqrt((gained + lost) - (gained - lost) ** 2 / n) / n
    assert (low, high) == pytest.approx((100 * (7 / n - half), 100 * (7 / n + half)))


def test_models_that_agree_leave_little_room():
    same = hits(500, 500)
    assert paired(same, same)[0] == 0
    low, high = paired(same, same)[1]
    assert -0.3 < low < 0 < high < 0.3
    shuffled = same.flip(0)
    wide = paired(same, shuffled)[1]
    assert wide[1] - wide[0] > 10 * (high - low)


def test_an_image_that_was_asked_about_often_is_one_image():
    once, often = hits(60, 40), torch.tensor([0.5] * 100)
    assert paired(once, once.double())[1] == paired(once, once)[1]
    difference, (low, high) = paired(once.double(), often)
    assert difference == pytest.approx(-10)
    squares, total, n = 100 * 0.25 + 1, -10.0, 102
    half = Z * math.sqrt(squares - total**2 / n) / n
    assert (low, high) == pytest.approx((100 * (total / n - half), 100 * (total / n + half)))


def test_without_images_there_is_no_difference():
    difference, interval = paired(hits(0, 0), hits(0, 0))
    assert math.isnan(difference) and all(map(math.isnan, interval))


def images() -> metrics.TestImages:
    labels = torch.tensor([0, 1, 1, 2])
    return metrics.TestImages(
        torch.empty(4), labels, torch.tensor([1, 2, 3]), torch.empty(3), torch.tensor([0, 0, 0]), 3
    )


def test_what_is_compared_is_acc_of_all_and_asr_of_the_triggered():
    before = Answers(torch.tensor([0, 1, 0, 0]), torch.tensor([0, 0, 0]))
    after = Answers(torch.tensor([0, 1, 1, 0]), torch.tensor([1, 1, 0]))
    found = change(images(), before, after, "teacher")
    assert found.than == "teacher"
    assert found.acc == pytest.approx(25)
    assert found.asr == pytest.approx(-200 / 3)
    assert found.asr_ci[0] < found.asr < found.asr_ci[1]


def test_without_a_trigger_only_acc_is_compared():
    known = Answers(torch.tensor([0, 1, 1, 2]), None)
    found = change(images(), known, known, "attack")
    assert found.acc == 0
    assert math.isnan(found.asr)
