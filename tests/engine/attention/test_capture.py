"""What is recorded of a model's attention."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from engine import models
from engine.attention.capture import Capture, spread
from engine.device import Device
from engine.models.inference import as_input

CPU = Device(torch.device("cpu"), "fp32")


class Glass(nn.Module):
    """Its taps are the image's red plane, and zeros."""

    tap_names = ("red", "nothing")

    def forward_with_taps(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return images.flatten(1), (images[:, :1], torch.zeros(len(images), 2, 2, 2))


def captured(labels: list[int], samples: int, size: int = 4) -> tuple[Capture, Tensor]:
    """Samples of the classes but 0, brightened by their trigger; and all images."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(1, 200, (len(labels), 3, size, size), generator=generator).to(torch.uint8)
    classes = torch.tensor(labels)
    eligible = (classes != 0).nonzero().flatten()
    places = eligible[spread(classes[eligible], samples)]
    clean = images[places]
    return Capture(clean, clean + 55, places, classes[places], operator="sum", p=1.0, device=CPU), images


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
    assert len(capture.look("nad", 1, Glass())[0]) == 2 * expected


def test_sample_bytes_are_rgb_row_by_row():
    capture, images = captured([0, 1, 2], samples=1)
    (shown,) = capture.samples()
    pixels = images[1].tolist()
    expected = [pixels[channel][y][x] for y in range(4) for x in range(4) for channel in range(3)]
    assert list(shown.clean) == expected
    assert list(shown.triggered) == [value + 55 for value in expected]
    assert (shown.height, shown.width) == (4, 4)


def test_both_maps_of_a_sample_share_one_scale():
    capture, images = captured([0, 1, 2], samples=2)
    maps = [one for one in capture.look("nad", 3, Glass())[0] if one.tap == "red"]
    assert [one.sample for one in maps] == [0, 1]
    for one, place in zip(maps, (1, 2), strict=True):
        clean = images[place, 0].flatten().tolist()
        peak = max(clean) + 55
        assert one.peak == pytest.approx(peak / 255, rel=1e-6)
        assert list(one.clean) == [math.floor(255 * value / peak + 0.5) for value in clean]
        assert list(one.triggered) == [math.floor(255 * (value + 55) / peak + 0.5) for value in clean]
        assert max(one.triggered) == 255 > max(one.clean)
        assert (one.stage, one.epoch, one.height, one.width) == ("nad", 3, 4, 4)


def test_a_map_of_zeros_is_recorded_as_zeros():
    capture, _ = captured([0, 1], samples=1)
    (nothing,) = (one for one in capture.look("nad", 1, Glass())[0] if one.tap == "nothing")
    assert nothing.peak == 0.0
    assert nothing.clean == nothing.triggered == bytes(4)


def test_large_images_and_maps_are_pooled_for_the_record():
    capture, images = captured([0, 1], samples=1, size=128)
    (shown,) = capture.samples()
    assert (shown.height, shown.width, len(shown.clean)) == (64, 64, 64 * 64 * 3)
    block = images[1, 0, :2, :2].float().mean().item()
    assert abs(shown.clean[0] - block) <= 0.5
    red = next(one for one in capture.look("nad", 1, Glass())[0] if one.tap == "red")
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
    capture.look("nad", 1, model)
    assert seen == [False, False]
    assert model.training is training


def shared(taps: int) -> nn.Module:
    """A network with its first `taps` taps."""
    names = ["block1", "block2", "block3", "bn1"][:taps]
    return models.build("wrn-10-1", 3, seed=2, taps=names)


@pytest.mark.parametrize("taps", [1, 4])
def test_a_network_may_have_any_number_of_taps(taps: int):
    capture, _ = captured([0, 1, 2], samples=2, size=8)
    network = shared(taps)
    maps = capture.look("nad", 1, network)[0]
    assert [(one.tap, one.sample) for one in maps] == [(tap, n) for tap in network.tap_names for n in range(2)]
    assert [one.height for one in maps[::2]] == [8, 4, 2, 2][:taps]


def test_without_a_trigger_there_is_the_clean_half_alone():
    _, images = captured([0, 1, 2], samples=0, size=8)
    labels = torch.tensor([0, 1, 2])
    network = shared(1)
    both = Capture(images, images, labels, labels, operator="sum_p", p=2.0, device=CPU)
    alone = Capture(images, None, labels, labels, operator="sum_p", p=2.0, device=CPU)
    for sample, other in zip(alone.samples(), both.samples(), strict=True):
        assert (sample.triggered, sample.clean) == (b"", other.clean)
    maps = alone.look("nad", 1, network)[0]
    for one, other in zip(maps, both.look("nad", 1, network)[0], strict=True):
        assert (one.triggered, one.clean, one.peak) == (b"", other.clean, other.peak)
    _, (features,) = network.eval().forward_with_taps(as_input(images))
    assert maps[0].peak == pytest.approx(features[0].square().sum(dim=0).max().item(), rel=1e-5)


def test_what_the_model_answers_is_recorded_with_its_confidence():
    capture, _ = captured([0, 1, 2], samples=2)

    class Sure(Glass):
        def forward_with_taps(self, images: Tensor):
            bright = images.mean(dim=(1, 2, 3)) > 0.5
            logits = torch.stack([bright, ~bright], dim=1) * math.log(3)
            return logits, super().forward_with_taps(images)[1]

    answers = capture.look("nad", 4, Sure())[1]
    assert [(each.stage, each.epoch, each.sample) for each in answers] == [("nad", 4, 0), ("nad", 4, 1)]
    for each in answers:
        assert (each.clean, each.triggered) == (1, 0)
        assert each.clean_confidence == pytest.approx(0.75) == each.triggered_confidence
