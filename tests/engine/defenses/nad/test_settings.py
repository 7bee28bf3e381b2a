"""NAD's weights: one for each tap, however they are written, and what is said where they do not fit."""

from __future__ import annotations

import pytest

from engine.defenses.nad.settings import DistillSettings
from engine.errors import RequestError
from tests.ports import NAMES


@pytest.mark.parametrize(
    ("beta", "taps", "weights"),
    [
        (None, 1, (500,)),
        (None, 2, (500, 1000)),
        (None, 3, (500, 1000, 1000)),
        (None, 5, (500, 1000, 1000, 1000, 1000)),
        (7, 1, (7,)),
        (0.5, 5, (0.5,) * 5),
        ((3,), 1, (3,)),
        ([0, 1], 2, (0, 1)),
        ((1, 2, 3, 4, 5), 5, (1, 2, 3, 4, 5)),
        ({"one": 3}, 1, (3,)),
        ({"others": 3}, 2, (3, 3)),
        ({"two": 1, "one": 2}, 2, (2, 1)),
        ({"others": 9, "three": 0, "one": 1}, 5, (1, 9, 0, 9, 9)),
        ({"two": 4, "one": 0, "others": 5}, 2, (0, 4)),
    ],
)
def test_one_weight_for_each_tap_in_the_order_of_the_taps(beta: object, taps: int, weights: tuple[float, ...]):
    assert DistillSettings(beta=beta).weights(NAMES[:taps]) == weights


def test_default_is_the_authors_for_three_taps():
    assert DistillSettings().beta is None
    assert DistillSettings().weights(("group1", "group2", "group3")) == (500.0, 1000.0, 1000.0)


@pytest.mark.parametrize(
    ("beta", "message"),
    [
        ((1.0,), r"distill\.beta = \[1\.0\]: 2 weights are wanted, one for each of one, two"),
        ((1.0, 2.0, 3.0), "2 weights are wanted, one for each of one, two"),
        ((0.0, 0.0), "all weights are 0, which is plain fine-tuning"),
        (0, "all weights are 0, which is plain fine-tuning: --defense fine-tuning"),
        ({"others": 0}, "all weights are 0, which is plain fine-tuning"),
        ({"three": 1.0, "others": 1.0}, "there is no tap 'three'; allowed: one, two, others"),
        ({"one": 1.0}, "nothing is said of 'two'; allowed: one, two, others"),
        ({"two": 1.0}, "nothing is said of 'one'; allowed: one, two, others"),
    ],
)
def test_refuses_a_beta_that_does_not_fit_the_taps(beta: object, message: str):
    with pytest.raises(RequestError, match=message) as caught:
        DistillSettings(beta=beta).weights(("one", "two"))
    assert str(caught.value).startswith("defenses.nad.distill.beta")
    assert len(str(caught.value).splitlines()) == 1


def test_a_single_weight_above_zero_is_enough():
    assert DistillSettings(beta=(0.0, 1.0)).weights(("one", "two")) == (0, 1)


@pytest.mark.parametrize("beta", [-1, (1, -1), {"one": -1}, (), {}, (1, float("nan")), {"one": float("inf")}, "many"])
def test_refuses_what_is_no_weight(beta: object):
    with pytest.raises(ValueError, match="beta"):
        DistillSettings(beta=beta)


@pytest.mark.parametrize("beta", [True, (True, 1), {"one": True, "others": 1}])
def test_takes_no_yes_for_a_weight(beta: object):
    with pytest.raises(ValueError, match="not yes/no"):
        DistillSettings(beta=beta)
