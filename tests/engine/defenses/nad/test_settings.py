"""NAD's weights: one for each tap, however they are written, and what is said where they do not fit."""

from __future__ import annotations

import pytest

from engine.config.run import validate
from engine.defenses.nad.settings import DistillSettings
from engine.errors import RequestError
from tests.ports import NAMES


@pytest.mark.parametrize(
    ("beta", "taps", "weights"),
    [
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
    for cells in ([64] * taps, [1024, 256, 64, 16, 4][:taps]):
        assert DistillSettings(beta=beta).weights(NAMES[:taps], cells) == weights


@pytest.mark.parametrize("beta", [None, "equal"])
@pytest.mark.parametrize(
    ("cells", "weights"),
    [
        ((1024, 256, 64), (500, 1000, 1000)),
        ((64,), (1280,)),
        ((64, 64, 64), (1280 / 3,) * 3),
        ((4096, 1024, 256), (20 / 3 * 4096, 20 / 3 * 1024, 20 / 3 * 256)),
        ((1024, 256, 64, 16), (5120, 1280, 320, 80)),
        ((1024, 256, 64, 16, 4), (4096, 1024, 256, 64, 16)),
    ],
)
def test_default_is_the_authors_on_their_maps_and_elsewhere_means_the_same_on_maps_of_any_size(beta, cells, weights):
    assert DistillSettings().beta is None
    means = DistillSettings(beta=beta).weights(NAMES[: len(cells)], cells)
    assert means == pytest.approx(weights, rel=1e-12)
    if cells == (1024, 256, 64):
        assert means == (500.0, 1000.0, 1000.0), "to the bit: so the presets were measured"
    sums = DistillSettings(beta=beta, reduction="sum").weights(NAMES[: len(cells)], cells)
    assert [each * size for each, size in zip(sums, cells, strict=True)] == pytest.approx(means)
    assert sum(sums) == pytest.approx(20, rel=0.01)


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
        DistillSettings(beta=beta).weights(("one", "two"), (64, 16))
    assert str(caught.value).startswith("defenses.nad.distill.beta")
    assert len(str(caught.value).splitlines()) == 1


def test_a_single_weight_above_zero_is_enough():
    assert DistillSettings(beta=(0.0, 1.0)).weights(("one", "two"), (64, 16)) == (0, 1)


@pytest.mark.parametrize(
    "beta", [-1, (1, -1), {"one": -1}, (), {}, (1, float("nan")), {"one": float("inf")}, "many", ("equal",), "EQUAL"]
)
def test_refuses_what_is_no_weight(beta: object):
    with pytest.raises(ValueError, match="beta"):
        DistillSettings(beta=beta)


@pytest.mark.parametrize("beta", [True, (True, 1), {"one": True, "others": 1}])
def test_takes_no_yes_for_a_weight(beta: object):
    with pytest.raises(ValueError, match="not yes/no"):
        DistillSettings(beta=beta)


# --- the teacher's network ---


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("wrn-11-1", "defenses.nad.teacher.model = 'wrn-11-1': unknown model 'wrn-11-1'; allowed: wrn-DEPTH-WIDTH"),
        ("net.py:Net", "a teacher's network cannot come from a file; allowed: a network by its name"),
        ("nothing", "unknown model 'nothing'; allowed: "),
    ],
)
def test_a_teacher_of_no_network_is_refused_in_a_line(model: str, message: str):
    attack = {"name": "badnets"}
    with pytest.raises(RequestError) as caught:
        validate({"attack": attack, "defenses": {"nad": {"teacher": {"model": model}}}})
    assert message in str(caught.value) and "\n" not in str(caught.value)
    config = validate({"attack": attack, "defenses": {"nad": {"teacher": {"model": "resnet-18@0.25"}}}})
    assert config.defenses["nad"].teacher.model == "resnet-18@0.25"
