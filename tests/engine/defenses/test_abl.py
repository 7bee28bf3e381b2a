"""ABL: the trap by hand, what is learned first, and the three stages one after the other."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from engine.defenses.abl import Abl, losses
from tests.ports import Driver, Tapped, batch, clean_images, snapshot, unchanged
from tests.ports import port as made_port

QUICK = {"epochs": 2, "batch_size": 8, "lr": 0.05, "augment": {"crop": 0}}


def settings(**isolation: object) -> Abl:
    return Abl(
        isolation={"training": QUICK, **isolation},
        training=QUICK,
        unlearning={"training": {**QUICK, "lr": 0.01}},
    )


def test_flooding_and_ascent_by_hand():
    model, given = Tapped(0).eval(), batch()
    loss = F.cross_entropy(model(given.images), given.labels).item()
    for gamma, sign in ((loss - 0.2, 1), (loss + 0.2, -1)):
        flooded = settings(gamma=gamma)._trapped(model, given)["flooding"].item()
        assert flooded == pytest.approx(gamma + 0.2, rel=1e-4), "as far above gamma as it is from it"
        climbed = settings(gamma=gamma, trap="ascent")._trapped(model, given)["ascent"].item()
        assert climbed == pytest.approx(sign * loss, rel=1e-4)


def test_what_is_learned_first_is_isolated():
    poisoned = clean_images(40, seed=9)
    port = made_port(Tapped(0), poisoned=poisoned)
    model = Tapped(3).eval()
    each = losses(model, port)
    with torch.no_grad():
        logits = model(poisoned.images.float() / 255)
    assert each.tolist() == pytest.approx(F.cross_entropy(logits, poisoned.labels, reduction="none").tolist(), rel=1e-4)
    places = settings(share=0.1)._learned_first(model, port)
    assert len(places) == 4
    assert set(places.tolist()) == set(each.numpy().argsort()[:4].tolist())


def test_it_isolates_trains_on_and_unlearns():
    suspect, poisoned = Tapped(0), clean_images(40, seed=9)
    before = snapshot(suspect)
    driver = Driver(settings(share=0.2), made_port(suspect, poisoned=poisoned))
    purified = driver.run()
    assert [*driver.models] == ["abl-isolation", "abl-training", "abl"]
    places = driver.isolated["abl-isolation"]
    isolation, isolate, training, unlearning = driver.asked
    assert isolate.stage == "abl-isolation"
    assert torch.equal(isolation.data.images, poisoned.images)
    assert len(training.data) == 32
    assert torch.equal(unlearning.data.images, poisoned.images[places])
    port = made_port(suspect, poisoned=poisoned)
    trained, unlearned = (losses(driver.models[stage].eval(), port)[places].mean() for stage in ("abl-training", "abl"))
    assert unlearned > trained, "up the loss of what was isolated"
    assert not purified.training
    assert unchanged(suspect, before)


def test_a_single_image_can_be_isolated():
    driver = Driver(settings(share=0.001), made_port(Tapped(0), poisoned=clean_images(40, seed=9)))
    driver.run()
    assert len(driver.isolated["abl-isolation"]) == 1
