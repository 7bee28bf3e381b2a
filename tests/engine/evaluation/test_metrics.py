"""How a model is measured, and what is recorded of its attention."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from engine.attacks.badnets import BadNets
from engine.attacks.base import Attack
from engine.attacks.clean import Clean
from engine.device import Device
from engine.evaluation.metrics import TestImages as Images  # pytest would take the class for tests
from engine.evaluation.metrics import live_draw, measure, prepare, take, wilson
from engine.figures import Metrics
from engine.plain import plain

CPU = Device(torch.device("cpu"), "fp32")


class Reader(nn.Module):
    """Predicts what an image's first red pixel says."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, images: Tensor) -> Tensor:
        said = (images[:, 0, 0, 0] * 255).round().long()
        return nn.functional.one_hot(said, self.classes).float()


class Reveal:
    """A trigger that shows the model the first green pixel instead of the red one."""

    def __call__(self, images: Tensor) -> Tensor:
        triggered = images.clone()
        triggered[:, 0, 0, 0] = images[:, 1, 0, 0]
        return triggered

    def tensors(self) -> dict[str, Tensor]:
        return {}


def made(labels: list[int], clean: list[int], triggered: list[int], attack: BadNets, classes: int) -> Images:
    """Images that `Reader` will give the classes `clean`, and `triggered` once `Reveal` was there."""
    images = torch.zeros(len(labels), 3, 2, 2, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.tensor(clean, dtype=torch.uint8)
    images[:, 1, 0, 0] = torch.tensor(triggered, dtype=torch.uint8)
    return prepared(images, torch.tensor(labels), classes, attack)


def prepared(images: Tensor, labels: Tensor, classes: int, attack: Attack) -> Images:
    """Test images under the attack's own rule."""
    wanted = attack.eligible(labels, classes), attack.wanted(labels, classes)
    return prepare(images, labels, classes, *wanted, Reveal(), marks=attack.marks)


def measured(labels, clean, triggered, attack: BadNets | None = None, classes: int = 3) -> Metrics:
    return measure(Reader(classes), made(labels, clean, triggered, attack or BadNets(target=0), classes), CPU)


def test_acc_counts_the_target_class_and_asr_does_not():
    # Both images of the target class 0 are wrong, so is one of 4 others; NAD's own loader would report ACC 75.
    metrics = measured([0, 0, 1, 1, 2, 2], clean=[1, 2, 1, 1, 2, 0], triggered=[0, 0, 0, 0, 0, 2])
    assert metrics.images == 6
    assert metrics.eligible == 4
    assert metrics.acc == pytest.approx(100 * 3 / 6)
    # BackdoorBox counts the target class's own images as successes: that would be 5 of 6.
    assert metrics.asr == pytest.approx(100 * 3 / 4)
    assert metrics.ra == pytest.approx(100 * 1 / 4)
    assert metrics.base == pytest.approx(100 * 1 / 4)


def test_another_target_class():
    metrics = measured([0, 1, 2, 2], [0, 1, 2, 1], [2, 2, 1, 0], BadNets(target=2))
    assert (metrics.eligible, metrics.asr, metrics.ra, metrics.base) == (2, 100.0, 0.0, 0.0)


def test_clean_label_attack_is_measured_on_the_other_classes():
    metrics = measured([0, 1, 2], [0, 1, 2], [0, 0, 2], BadNets(target=0, label_rule="clean-label"))
    assert (metrics.eligible, metrics.asr, metrics.ra) == (2, 50.0, 50.0)


def test_all_to_all_is_scored_by_its_own_rule():
    attack = BadNets(label_rule="all-to-all")
    metrics = measured([0, 1, 2, 2], clean=[0, 1, 0, 2], triggered=[1, 2, 0, 1], attack=attack)
    assert metrics.eligible == 4
    assert metrics.asr == 75.0
    assert metrics.ra == 0.0
    assert metrics.base == 25.0
    # All images sent to class 0: a success by the all-to-one rule, here only for those of the last class.
    assert measured([0, 1, 2, 2], [0, 1, 2, 2], [0, 0, 0, 0], attack).asr == 50.0


def test_without_eligible_images_nothing_is_claimed():
    metrics = measured([0, 0], [0, 1], [0, 0])
    assert metrics.acc == 50.0
    assert metrics.eligible == 0
    assert all(math.isnan(value) for value in (metrics.asr, metrics.ra, metrics.base))
    assert all(math.isnan(bound) for ci in (metrics.asr_ci, metrics.ra_ci, metrics.base_ci) for bound in ci)


def test_where_nobody_knows_of_a_trigger_there_is_acc_alone():
    labels = torch.tensor([0, 1, 1, 2])
    images = torch.zeros(4, 3, 2, 2, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.tensor([0, 1, 2, 2])
    for test in (prepare(images, labels, 3), take(prepare(images, labels, 3), torch.arange(4))):
        assert (test.attacked, len(test.eligible), test.triggered) == (False, 0, None)
        metrics = measure(Reader(3), test, CPU)
        assert (metrics.images, metrics.eligible, metrics.acc) == (4, 0, 75.0)
        assert metrics.class_acc == (100.0, 50.0, 100.0)
        for name in ("asr", "ra", "base"):
            low, high = getattr(metrics, f"{name}_ci")
            assert math.isnan(getattr(metrics, name)) and math.isnan(low) and math.isnan(high)


def test_without_an_attack_the_base_rate_is_measured_all_the_same():
    labels = torch.tensor([0, 1, 1, 2])
    images = torch.zeros(4, 3, 2, 2, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.tensor([0, 0, 1, 2])
    metrics = measure(Reader(3), prepared(images, labels, 3, Clean(target=0)), CPU)
    assert (metrics.eligible, metrics.acc, metrics.base) == (3, 75.0, pytest.approx(100 / 3))
    assert math.isnan(metrics.asr) and math.isnan(metrics.ra)


def test_asr_is_what_was_measured_however_low_acc_is():
    metrics = measured([1, 1, 2, 0], [2, 2, 1, 1], [0, 0, 0, 0])
    assert (metrics.acc, metrics.asr) == (0.0, 100.0)


def test_acc_of_each_class_and_their_mean():
    # Class 0: 1 of 3, class 1: 1 of 1, class 2 absent.
    metrics = measured([0, 0, 0, 1], [0, 1, 2, 1], [0, 0, 0, 0])
    assert metrics.class_acc[:2] == pytest.approx((100 / 3, 100))
    assert math.isnan(metrics.class_acc[2])
    assert metrics.balanced_acc == pytest.approx((100 / 3 + 100) / 2)
    assert metrics.acc == 50.0


classes_and_images = st.integers(2, 5).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        st.lists(st.tuples(*[st.integers(0, classes - 1)] * 3), min_size=1, max_size=30),
        st.integers(0, classes - 1),
        st.sampled_from(["all-to-one", "clean-label", "all-to-all"]),
    )
)


def attack_of(rule: str, target: int) -> BadNets:
    return BadNets(label_rule=rule, target=0 if rule == "all-to-all" else target)


def percent(hits: list[bool]) -> float:
    return 100 * sum(hits) / len(hits) if hits else math.nan


@settings(max_examples=50, deadline=None)
@given(classes_and_images)
def test_figures_equal_a_count_by_hand(drawn):
    classes, rows, target, rule = drawn
    attack = attack_of(rule, target)
    metrics = measured(*map(list, zip(*rows, strict=True)), attack, classes)

    def wants(label: int) -> int:
        return (label + 1) % classes if rule == "all-to-all" else target

    moved = [row for row in rows if wants(row[0]) != row[0]]
    assert metrics.acc == percent([label == clean for label, clean, _ in rows])
    expected = {
        "asr": percent([triggered == wants(label) for label, _, triggered in moved]),
        "ra": percent([triggered == label for label, _, triggered in moved]),
        "base": percent([clean == wants(label) for label, clean, _ in moved]),
    }
    for name, value in expected.items():
        assert getattr(metrics, name) == pytest.approx(value, nan_ok=True)
        low, high = getattr(metrics, f"{name}_ci")
        assert math.isnan(value) or 0 <= low <= value + 1e-9 <= high + 2e-9 <= 100 + 3e-9


@settings(max_examples=50, deadline=None)
@given(classes_and_images, st.data())
def test_measuring_a_part_equals_measuring_those_images(drawn, data: st.DataObject):
    classes, rows, target, rule = drawn
    places = sorted(data.draw(st.sets(st.integers(0, len(rows) - 1), min_size=1)))
    attack = attack_of(rule, target)
    whole = made(*map(list, zip(*rows, strict=True)), attack, classes)
    part = take(whole, torch.tensor(places))
    direct = made(*map(list, zip(*[rows[place] for place in places], strict=True)), attack, classes)
    for name in ("clean", "labels", "eligible", "triggered", "wanted"):
        assert torch.equal(getattr(part, name), getattr(direct, name)), name
    ours, theirs = measure(Reader(classes), part, CPU), measure(Reader(classes), direct, CPU)
    assert plain(ours) == plain(theirs)


# Intervals


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3 (score, without continuity correction).
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals_as_published(successes: int, count: int, low: float, high: float):
    assert wilson(successes, count) == pytest.approx((100 * low, 100 * high), abs=0.0051)
    mirrored = wilson(count - successes, count)
    assert mirrored == pytest.approx((100 - 100 * high, 100 - 100 * low), abs=0.0051)


def test_wilson_of_nothing_is_not_a_number():
    assert all(math.isnan(bound) for bound in wilson(0, 0))


# The draw behind the live curves


def test_live_draw_holds_every_class_in_its_share():
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)[torch.randperm(100)]
    places = live_draw(labels, 10)
    assert labels[places].bincount().tolist() == [6, 3, 1]
    assert places.tolist() == sorted(set(places.tolist()))


def test_live_draw_is_always_the_same():
    labels = torch.arange(50) % 5
    torch.manual_seed(1)
    first = live_draw(labels, 10)
    torch.manual_seed(2)
    assert torch.equal(first, live_draw(labels, 10))


def test_small_live_draw_still_holds_every_class():
    assert sorted((torch.arange(40) % 4)[live_draw(torch.arange(40) % 4, 2)].tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize("images", [0, 12, 1000])
def test_live_draw_of_everything(images: int):
    assert live_draw(torch.arange(12) % 3, images).tolist() == list(range(12))


# Samples


def test_samples_are_eligible_images_with_their_twins():
    labels = torch.tensor([0, 1, 1, 1, 2, 3, 3])
    images = torch.arange(7, dtype=torch.uint8).view(7, 1, 1, 1).expand(7, 3, 2, 2).clone()
    images[:, 1, 0, 0] += 100
    test = prepared(images, labels, 4, BadNets(target=0))
    clean, triggered, places, classes = test.samples(5)
    assert places.tolist() == [1, 4, 5, 2, 6]
    assert classes.tolist() == [1, 2, 3, 1, 3]
    assert clean[:, 0, 0, 0].tolist() == places.tolist()
    assert triggered[:, 0, 0, 0].tolist() == [place + 100 for place in places.tolist()]


def test_samples_without_a_trigger_are_of_every_class():
    labels = torch.tensor([1, 0, 0, 2])
    clean, triggered, places, classes = prepare(torch.zeros(4, 3, 2, 2, dtype=torch.uint8), labels, 3).samples(3)
    assert (len(clean), triggered) == (3, None)
    assert (places.tolist(), classes.tolist()) == ([1, 0, 3], [0, 1, 2])
