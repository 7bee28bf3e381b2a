"""How a model is measured, and what is recorded of its attention."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from engine.attacks.badnets import BadNets
from engine.attention.capture import Capture
from engine.device import Device
from engine.evaluation.metrics import TestImages as Images  # pytest would take the class for tests
from engine.evaluation.metrics import live_draw, measure, predict, prepare, take, wilson
from engine.events import Metrics

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
    return prepare(images, torch.tensor(labels), classes, attack, Reveal())


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
    assert ours.to_dict() == theirs.to_dict()


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


# Predicting


@pytest.mark.parametrize("training", [True, False])
def test_predicting_leaves_mode_and_buffers_alone(training: bool):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Flatten(), nn.Linear(144, 2))
    model.train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    images = torch.randint(0, 256, (20, 3, 8, 8), dtype=torch.uint8)
    first = predict(model, images, CPU)
    assert model.training is training
    assert all(module.training is training for module in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    # In eval mode an image's class does not hang on its neighbors, nor on dropout's chance.
    assert torch.equal(first, torch.cat([predict(model, image, CPU) for image in images.split(1)]))


def test_predicting_goes_on_over_more_than_one_chunk_in_order(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("engine.evaluation.metrics.BATCH", 3)
    images = torch.zeros(8, 3, 2, 2, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(8)
    assert predict(Reader(8), images, CPU).tolist() == list(range(8))


def test_predicting_nothing():
    found = predict(Reader(2), torch.zeros(0, 3, 2, 2, dtype=torch.uint8), CPU)
    assert found.tolist() == []
    assert found.dtype == torch.int64


# Captured attention


class Glass(nn.Module):
    """Its taps are the image's red plane, and zeros."""

    tap_names = ("red", "nothing")

    def forward_with_taps(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return images.flatten(1), (images[:, :1], torch.zeros(len(images), 2, 2, 2))


def captured(labels: list[int], samples: int, size: int = 4) -> tuple[Capture, Images]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(1, 200, (len(labels), 3, size, size), generator=generator).to(torch.uint8)

    class Brighten(Reveal):
        def __call__(self, images: Tensor) -> Tensor:
            return images + 55

    test = prepare(images, torch.tensor(labels), max(labels) + 1, BadNets(target=0), Brighten())
    return Capture(test, samples, "sum", 1.0, CPU), test


def test_samples_are_spread_over_the_eligible_classes():
    capture, _ = captured([0, 1, 1, 1, 2, 3, 3], samples=5)
    shown = list(capture.samples())
    assert [one.label for one in shown] == [1, 2, 3, 1, 3]
    assert [one.index for one in shown] == [1, 4, 5, 2, 6]
    assert [one.sample for one in shown] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("labels", "samples", "expected"), [([0, 1, 2], 9, 2), ([0, 1], 0, 0), ([0, 0], 3, 0)])
def test_no_more_samples_than_eligible_images(labels: list[int], samples: int, expected: int):
    capture, _ = captured(labels, samples)
    assert len(list(capture.samples())) == expected
    assert len(list(capture.maps("nad", 1, Glass()))) == 2 * expected


def test_sample_bytes_are_rgb_row_by_row():
    capture, test = captured([0, 1, 2], samples=1)
    (shown,) = capture.samples()
    pixels = test.clean[1].tolist()
    expected = [pixels[channel][y][x] for y in range(4) for x in range(4) for channel in range(3)]
    assert list(shown.clean) == expected
    assert list(shown.triggered) == [value + 55 for value in expected]
    assert (shown.height, shown.width) == (4, 4)


def test_both_maps_of_a_sample_share_one_scale():
    capture, test = captured([0, 1, 2], samples=2)
    maps = [one for one in capture.maps("nad", 3, Glass()) if one.tap == "red"]
    assert [one.sample for one in maps] == [0, 1]
    for one, place in zip(maps, (1, 2), strict=True):
        clean = test.clean[place, 0].flatten().tolist()
        peak = max(clean) + 55
        assert one.peak == pytest.approx(peak / 255, rel=1e-6)
        assert list(one.clean) == [math.floor(255 * value / peak + 0.5) for value in clean]
        assert list(one.triggered) == [math.floor(255 * (value + 55) / peak + 0.5) for value in clean]
        assert max(one.triggered) == 255 > max(one.clean)
        assert (one.stage, one.epoch, one.height, one.width) == ("nad", 3, 4, 4)


def test_a_map_of_zeros_is_recorded_as_zeros():
    capture, _ = captured([0, 1], samples=1)
    (nothing,) = (one for one in capture.maps("nad", 1, Glass()) if one.tap == "nothing")
    assert nothing.peak == 0.0
    assert nothing.clean == nothing.triggered == bytes(4)


def test_large_images_and_maps_are_pooled_for_the_record():
    capture, test = captured([0, 1], samples=1, size=128)
    (shown,) = capture.samples()
    assert (shown.height, shown.width, len(shown.clean)) == (64, 64, 64 * 64 * 3)
    block = test.clean[1, 0, :2, :2].float().mean().item()
    assert abs(shown.clean[0] - block) <= 0.5
    red = next(one for one in capture.maps("nad", 1, Glass()) if one.tap == "red")
    assert (red.height, red.width, len(red.clean)) == (64, 64, 4096)


@pytest.mark.parametrize("training", [True, False])
def test_capturing_restores_the_mode(training: bool):
    capture, _ = captured([0, 1], samples=1)
    seen = []

    class Watched(Glass):
        def forward_with_taps(self, images: Tensor):
            seen.append(self.training)
            return super().forward_with_taps(images)

    model = Watched().train(training)
    list(capture.maps("nad", 1, model))
    assert seen == [False, False]
    assert model.training is training
