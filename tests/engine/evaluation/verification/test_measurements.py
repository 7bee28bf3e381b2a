"""The measurements of whether a backdoor sleeps, each against a reference of its own, on small networks."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from engine import models
from engine.control import Control
from engine.device import choose
from engine.evaluation.metrics import prepare
from engine.evaluation.verification import existence, linear_path, perturbation, retuning
from engine.evaluation.verification.material import Labeled, Material, Unfit
from engine.events import outcome
from engine.models.inference import freeze
from tests.engine.evaluation.verification import made

CPU = choose("cpu", "fp32")


def network(seed: int) -> nn.Module:
    return freeze(models.build("wrn-10-1", 4, seed, size=(16, 16)))


def material(suspect: nn.Module, count: int = 300) -> Material:
    images, labels = made.images(count)
    wanted = torch.zeros_like(labels)
    return Material(
        suspect=suspect,
        test=prepare(images[:60], labels[:60], 4, labels[:60] != 0, wanted[:60], made.trigger),
        train=Labeled(images, labels),
        eligible=(labels != 0).nonzero().flatten(),
        wanted=wanted,
        trigger=made.trigger,
        clean=images[:40],
        device=CPU,
        control=Control(),
        seed=3,
    )


def test_the_tuning_set_holds_five_triggered_images_and_the_rest_as_they_are():
    given = material(network(0), count=2_000)
    found = retuning.tuning_set(given)
    assert len(found.labels) == 40
    corner = made.corner(found.images)
    assert int(corner.sum()) == 5
    assert (found.labels[corner] == 0).all()
    pairs = zip(given.train.images, given.train.labels.tolist(), strict=True)
    original = {image.numpy().tobytes(): label for image, label in pairs}
    kept = zip(found.images[~corner], found.labels[~corner].tolist(), strict=True)
    assert all(original[image.numpy().tobytes()] == label for image, label in kept)


def test_too_few_images_cannot_be_retuned_on():
    with pytest.raises(Unfit, match="too few"):
        retuning.tuning_set(material(network(0), count=100))


def test_retuning_leaves_the_model_itself_as_it_was():
    model = network(1)
    before = copy.deepcopy(model.state_dict())
    found = outcome(retuning.retuning(model, material(network(0), count=2_000)))
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert set(found.figures) == {"asr_before", "asr_after", "acc_after"}


def test_the_path_begins_at_the_suspect_and_ends_at_the_model():
    first, second = network(0), network(1)
    for t, end in ((0.0, first), (1.0, second)):
        between = linear_path.interpolated(first, second, t).state_dict()
        assert all(torch.allclose(between[key], value) for key, value in end.state_dict().items())
    middle = linear_path.interpolated(first, second, 0.25).state_dict()
    weight = next(key for key in middle if key.endswith("weight"))
    expected = 0.75 * first.state_dict()[weight] + 0.25 * second.state_dict()[weight]
    assert torch.allclose(middle[weight], expected, atol=1e-6)


def test_the_path_of_a_model_to_itself_is_the_same_everywhere():
    suspect = network(0)
    found = outcome(linear_path.linear_path(copy.deepcopy(suspect), material(suspect)))
    assert found.points["t"] == pytest.approx([t / 10 for t in range(11)])
    assert len(set(found.points["asr"])) == len(set(found.points["acc"])) == 1
    assert found.figures["asr_mean"] == pytest.approx(found.points["asr"][0])


def test_there_is_no_path_to_another_network():
    other = freeze(models.build("wrn-16-1", 4, 0, size=(16, 16)))
    with pytest.raises(Unfit, match="no straight way"):
        outcome(linear_path.linear_path(other, material(network(0))))


def test_cka_is_that_of_kornblith():
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(20, 5)), draw.normal(size=(20, 7))
    xc, yc = x - x.mean(0), y - y.mean(0)
    expected = np.linalg.norm(yc.T @ xc) ** 2 / (np.linalg.norm(xc.T @ xc) * np.linalg.norm(yc.T @ yc))
    assert existence.linear_cka(torch.tensor(x), torch.tensor(y)) == pytest.approx(expected)
    assert existence.linear_cka(torch.tensor(x), torch.tensor(3 * x + 1)) == pytest.approx(1)
    assert existence.linear_cka(torch.tensor(x), torch.ones(20, 7)) == 0


def test_the_channel_that_the_trigger_moves_is_found():
    layer = nn.Conv2d(3, 4, 1, bias=False)
    layer.weight.data = torch.zeros(4, 3, 1, 1)
    layer.weight.data[2] = 1.0
    suspect = freeze(nn.Sequential(layer))
    images, _ = made.images(30)
    found = existence.most_moved(suspect, ["0"], images, made.trigger(images), CPU)
    assert found["0"].tolist() == [2]


def test_the_suspect_itself_is_at_one_and_the_clean_model_at_zero():
    suspect, clean = network(0), network(5)
    given = material(suspect)
    own = outcome(existence.existence(copy.deepcopy(suspect), given)).figures["similarity"]
    other = outcome(existence.existence(clean, given)).figures["similarity"]
    assert own == pytest.approx(1)
    assert existence.coefficient(own, other) == pytest.approx(1)
    assert existence.coefficient(other, other) == 0
    assert 0 <= other < 1


def test_a_network_without_convolutions_at_those_places_cannot_be_compared():
    flat = freeze(nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 4)))
    with pytest.raises(Unfit, match="no convolutions"):
        outcome(existence.existence(flat, material(network(0))))


def test_the_perturbation_keeps_its_bound_and_lowers_its_loss():
    model = network(2)
    images, wanted = perturbation.triggered_training(material(network(0)))
    delta = perturbation.bounded_start(images, seed=1)
    inputs = images.float() / 255

    def loss() -> float:
        with torch.no_grad():
            return float(nn.functional.cross_entropy(model((inputs + delta).clamp(0, 1)), wanted))

    before = loss()
    for _ in range(15):
        perturbation.step(model, delta, inputs, wanted)
    assert loss() < before
    assert float(delta.detach().abs().max()) <= perturbation.BOUND + 1e-7


def test_the_perturbation_is_made_on_triggered_images_that_the_attacker_would_move():
    given = material(network(0))
    images, wanted = perturbation.triggered_training(given)
    assert made.corner(images).all()
    assert (wanted == 0).all()
    assert len(images) == len(given.eligible)
