"""The mean of the weights of many steps, in numpy; resumed, and with batch norms that fit it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from engine.control import Control
from engine.settings import AugmentSettings, AverageSettings, TrainingSettings
from engine.training.averaging import Average
from engine.training.loop import Batch, Loop, augmentation, cross_entropy
from engine.training.steps import descend
from tests.ports import CPU, Tapped, clean_images


def loop(model: nn.Module, passed: list | None = None, epochs: int = 3, **average: float) -> Loop:
    """20 images in batches of 8: three steps an epoch; `passed` takes in the head's weights after each."""
    settings = TrainingSettings(
        epochs=epochs, batch_size=8, lr=0.05, augment=AugmentSettings(crop=0), average=AverageSettings(**average)
    )

    def step(model, optimizer, losses):
        parts = descend(model, optimizer, losses)
        if passed is not None:
            passed.append(model.fc.weight.detach().double().numpy().copy())
        return parts

    data, augment = clean_images(), augmentation(settings.augment, mirror=False)
    drawn = {"augment": augment, "seed": 1, "device": CPU, "control": Control(), "step": step}
    return Loop("stage", model, cross_entropy, data.images, data.labels, settings, **drawn)


def trained(at: Loop) -> nn.Module:
    while at.progress.epoch < at.settings.epochs:
        list(at.run_epoch())
    return at.model


def exponential(passed: list[np.ndarray], decay: float) -> np.ndarray:
    mean = passed[0]
    for count, weights in enumerate(passed[1:], start=2):
        new = max(1 / count, 1 - decay)
        mean = (1 - new) * mean + new * weights
    return mean


@pytest.mark.parametrize(("start", "decay"), [(0.0, 1.0), (0.5, 1.0), (0.0, 0.8)])
def test_the_model_ends_at_the_mean_of_the_steps_that_count(start, decay):
    passed: list[np.ndarray] = []
    model = trained(loop(Tapped(0), passed, start=start, decay=decay))
    assert len(passed) == 9
    counted = passed[4:] if start else passed
    wanted = np.mean(counted, axis=0) if decay == 1 else exponential(counted, decay)
    np.testing.assert_allclose(model.fc.weight.detach().numpy(), wanted, rtol=1e-5, atol=1e-6)
    assert not np.allclose(wanted, passed[-1], rtol=1e-3)


def test_what_training_passes_through_is_as_without_an_average():
    with_one, without = [], []
    trained(loop(Tapped(0), with_one, start=0.0))
    last = trained(loop(Tapped(0), without))
    assert all(np.array_equal(one, other) for one, other in zip(with_one, without, strict=True))
    assert np.array_equal(last.fc.weight.detach().double().numpy(), without[-1])


def darkened(model: nn.Module, batch: Batch) -> dict[str, torch.Tensor]:
    return cross_entropy(model, replace(batch, images=batch.images / 4))


@pytest.mark.parametrize(("objective", "seen"), [(cross_entropy, 1.0), (darkened, 0.25)])
def test_batch_norms_fit_the_mean_weights_and_what_training_shows_them(objective, seen):
    """By the statistics of bare images a model that learned on decoys is brought back near its trigger."""
    at = loop(Tapped(0), start=0.0)
    at.objective = objective
    model = trained(at)
    with torch.no_grad():
        maps = [model.forward_with_taps(batch.images * seen)[1][0] for batch in at.batches(3)]
    wanted = torch.stack([each.mean(dim=(0, 2, 3)) for each in maps]).mean(0)
    torch.testing.assert_close(model.norms[0].running_mean, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("stopped", [1, 2])
def test_resumed_it_comes_to_the_same(stopped):
    whole = trained(loop(Tapped(0), start=0.2, decay=0.9))
    first = loop(Tapped(0), start=0.2, decay=0.9)
    for _ in range(stopped):
        list(first.run_epoch())
    second = loop(Tapped(5), start=0.2, decay=0.9)
    second.restore(*first.state())
    again = trained(second).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in whole.state_dict().items())


def test_nothing_is_kept_where_nothing_is_averaged():
    average = Average(AverageSettings())
    average.note(Tapped(0), 1.0)
    assert average.state() == {}
    assert not average.laid_over(Tapped(0))
