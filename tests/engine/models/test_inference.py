"""Asking a network for classes, and freezing it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from engine.device import Device
from engine.models.inference import as_input, freeze, predict

CPU = Device(torch.device("cpu"), "fp32")


class Reader(nn.Module):
    """Predicts what an image's first red pixel says."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, images: Tensor) -> Tensor:
        said = (images[:, 0, 0, 0] * 255).round().long()
        return nn.functional.one_hot(said, self.classes).float()


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
    monkeypatch.setattr("engine.models.inference.BATCH", 3)
    images = torch.zeros(8, 3, 2, 2, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(8)
    assert predict(Reader(8), images, CPU).tolist() == list(range(8))


def test_predicting_nothing():
    found = predict(Reader(2), torch.zeros(0, 3, 2, 2, dtype=torch.uint8), CPU)
    assert found.tolist() == []
    assert found.dtype == torch.int64


def test_a_networks_input_is_between_0_and_1_and_leaves_the_images_alone():
    images = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).view(2, 3, 4, 4)
    before = images.clone()
    given = as_input(images)
    assert given.dtype == torch.float32
    assert torch.equal(given, images / 255)
    assert given.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images, before)


def test_a_frozen_model_learns_nothing():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    assert freeze(model) is model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert not model(torch.rand(2, 3, 8, 8)).requires_grad
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
