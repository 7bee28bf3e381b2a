"""Isolation by the suspect's features, of features made up for it, and training anew on the rest."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engine.defenses.ac import Ac, nearest, reduction, two_means
from engine.defenses.base import Defense, LabeledImages
from engine.defenses.retraining import without
from engine.defenses.ss import Ss, outlyingness, top_direction
from engine.errors import StageError
from engine.models.penultimate import features
from engine.settings import AttackTrainingSettings
from tests.ports import CPU, Driver, Tapped, clean_images, snapshot, unchanged
from tests.ports import port as made_port

QUICK = AttackTrainingSettings(epochs=1, batch_size=8, lr=0.05, augment={"crop": 0})


def drawn(count: int, seed: int, away: float = 0.0) -> Tensor:
    """Features of a class around a center of its own, or those of poisoned images, `away` from it in one direction."""
    draw = torch.Generator().manual_seed(seed)
    points = torch.randn(count, 12, generator=draw) * torch.linspace(2, 0.5, 12) + 3
    points[:, 5] += away
    return points


def a_class(own: int, poisoned: int) -> tuple[Tensor, Tensor, Tensor]:
    """Features, which of them are poisoned, and features of clean images."""
    seen = torch.cat([drawn(own, 0), drawn(poisoned, 1, away=12.0)])
    return seen, torch.arange(own + poisoned) >= own, drawn(30, 2)


@pytest.mark.parametrize(("own", "poisoned"), [(180, 20), (100, 100), (40, 160)])
@pytest.mark.parametrize("defense", [Ac(), Ss()], ids=["ac", "ss"])
def test_poisoned_images_are_found_be_they_few_or_most(defense, own, poisoned):
    seen, truth, clean = a_class(own, poisoned)
    found = defense.suspected(seen, clean, seed=0)
    assert bool(found[truth].all())
    assert float(found[~truth].float().mean()) <= 0.2


@pytest.mark.parametrize("defense", [Ac(), Ss()], ids=["ac", "ss"])
def test_of_a_clean_class_little_is_isolated(defense):
    seen, _, clean = a_class(200, 0)
    assert float(defense.suspected(seen, clean, seed=0).float().mean()) <= 0.15


def test_the_papers_rules_lose_their_hold_where_half_is_poisoned():
    """The smaller cluster is the poisoned one while few are; the farthest from the class's mean are, likewise."""
    for defense in (Ac(select="smaller", most=0.5), Ss(center="class", share=0.15)):
        seen, truth, clean = a_class(180, 20)
        found = defense.suspected(seen, clean, seed=0)
        assert bool(found[truth].all())
        seen, truth, clean = a_class(40, 160)
        found = defense.suspected(seen, clean, seed=0)
        assert float(found[truth].float().mean()) < 0.2


def test_poison_of_several_clusters_is_found_one_after_the_other():
    seen, _, clean = a_class(80, 0)
    kinds = [drawn(30, seed, away=12.0) + 10 * torch.eye(12)[seed] for seed in (7, 8, 9)]
    found = Ac().suspected(torch.cat([seen, *kinds]), clean, seed=0)
    assert bool(found[80:].all())
    assert float(found[:80].float().mean()) <= 0.2


def test_the_smaller_cluster_is_left_where_it_is_no_small_one():
    seen, truth, clean = a_class(120, 80)
    assert bool(Ac(select="smaller", most=0.5).suspected(seen, clean, seed=0)[truth].all())
    assert not bool(Ac(select="smaller", most=0.35).suspected(seen, clean, seed=0).any())


def test_reduced_features_are_uncorrelated_and_whitened_of_variance_one():
    seen, _, _ = a_class(150, 50)
    mean, basis = reduction(seen, 4, whiten=True)
    reduced = (seen - mean) @ basis
    assert reduced.shape == (200, 4)
    assert np.cov(reduced.numpy().T) == pytest.approx(np.eye(4), abs=1e-4)
    mean, basis = reduction(seen, 4, whiten=False)
    largest = np.linalg.eigvalsh(np.cov(seen.numpy().T))[::-1][:4]
    assert np.cov(((seen - mean) @ basis).numpy().T) == pytest.approx(np.diag(largest), abs=1e-3)
    flat = torch.cat([seen[:, :2], torch.zeros(200, 3)], dim=1)
    assert reduction(flat, 5, whiten=True)[1].shape == (5, 2), "where nothing varies there is no direction"


def test_two_means_parts_what_lies_apart():
    draw = torch.Generator().manual_seed(0)
    points = torch.cat([torch.randn(30, 2, generator=draw), torch.randn(10, 2, generator=draw) + 9])
    sides = nearest(points, two_means(points, torch.Generator().manual_seed(1)))
    assert len(sides[:30].unique()) == len(sides[30:].unique()) == 1
    assert sides[0] != sides[-1]
    centers = two_means(points, torch.Generator().manual_seed(1))[sides[[0, -1]]]
    assert torch.allclose(centers, torch.stack([points[:30].mean(dim=0), points[30:].mean(dim=0)]))
    same = two_means(torch.ones(4, 2), torch.Generator().manual_seed(1))
    assert same.tolist() == [[1, 1], [1, 1]]


def test_the_top_direction_is_numpys():
    rows = drawn(50, 4, away=3.0)
    centered = rows - rows.mean(dim=0)
    direction = top_direction(centered)
    _, _, right = np.linalg.svd(centered.double().numpy(), full_matrices=False)
    assert abs(float(direction.double() @ torch.tensor(right[0]))) == pytest.approx(1, abs=1e-5)
    assert outlyingness(centered, direction).numpy() == pytest.approx((centered.numpy() @ right[0]) ** 2, rel=1e-3)


def test_features_are_what_the_last_layer_is_fed():
    model, images = Tapped(0), clean_images(7).images
    seen = features(model, images, CPU)
    with torch.no_grad():
        wanted = model.eval()(images.float() / 255)
    assert seen.shape == (7, model.fc.in_features)
    assert torch.allclose(model.fc(seen), wanted, atol=1e-5)
    convolved = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Conv2d(5, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert features(convolved, images, CPU).shape == (7, 5)


@pytest.mark.parametrize("kind", [Ac, Ss])
def test_a_network_is_trained_anew_on_the_rest(kind):
    suspect, poisoned = Tapped(0), clean_images(40, seed=9)
    before = snapshot(suspect)
    driver = Driver(kind(training=QUICK), made_port(suspect, poisoned=poisoned))
    purified = driver.run()
    asked = driver.asked[-1]
    kept = torch.ones(40, dtype=torch.bool)
    kept[driver.isolated[kind.name]] = False
    assert torch.equal(asked.data.images, poisoned.images[kept])
    assert torch.equal(asked.data.labels, poisoned.labels[kept])
    assert not purified.training
    assert unchanged(suspect, before)


def test_nothing_is_said_of_a_class_without_a_clean_image():
    poisoned = clean_images(40, seed=9)
    port = made_port(Tapped(0), poisoned=poisoned)
    port.clean.labels[port.clean.labels == 1] = 0
    driver = Driver(Ss(training=QUICK, share=0.9), port)
    driver.run()
    assert set(poisoned.labels[driver.isolated["ss"]].tolist()) == {0, 2}


def test_all_isolated_is_refused():
    images = clean_images(5)
    assert len(without(images, torch.tensor([1, 3]))) == 3
    with pytest.raises(StageError, match="none is left to train on"):
        without(LabeledImages(images.images, images.labels), torch.arange(5))


@pytest.mark.parametrize("kind", [Ac, Ss])
def test_they_need_the_poisoned_set_and_are_slow(kind: type[Defense]):
    assert kind.needs == {"poisoned set"}
    assert kind.slow
