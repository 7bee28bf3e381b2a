"""A whitened first layer behind a normalization answers as one without."""

from __future__ import annotations

import pytest
import torch

from engine import models
from engine.models.inference import as_input
from engine.models.normalized import Normalized
from engine.models.preprocessing import KNOWN, Preprocessing
from engine.training.conditioning import RESPONSE, whiten_first_layer


@pytest.mark.parametrize("name", [None, "cifar10", "half", "bytes"])
def test_its_filters_answer_alike_whatever_is_done_to_the_images_before(name):
    drawn = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (200, 3, 16, 16), dtype=torch.uint8, generator=drawn)
    plain = models.build("wrn-10-1", 4, seed=0)
    model = plain if name is None else Normalized(plain, Preprocessing(*KNOWN[name]))
    whiten_first_layer(model, images)
    inputs = as_input(images) if name is None else model.normalize(as_input(images))
    with torch.no_grad():
        answers = plain.conv1(inputs)[..., 1:-1, 1:-1].std(dim=(0, 2, 3))
    assert answers.max() == pytest.approx(RESPONSE, rel=0.15)
    assert answers.min() == pytest.approx(RESPONSE, rel=0.15)
