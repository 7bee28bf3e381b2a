"""ABL: the trap by hand, what is learned first, and the three stages one after the other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from engine.defenses.abl import Abl, IsolationSettings, Trap, losses
from engine.defenses.base import LabeledImages
from tests.ports import Driver, Tapped, batch, clean_images, snapshot, unchanged
from tests.ports import port as made_port

QUICK = {"epochs": 2, "batch_size": 8, "lr": 0.05, "augment": {"crop": 0}}


def settings(**isolation: object) -> Abl:
    return Abl(
        isolation={"training": QUICK, **isolation},
        training=QUICK,
        unlearning={"training": {**QUICK, "lr": 0.01}},
    )


def trap(poisoned: LabeledImages | None = None, **isolation: object) -> Trap:
    poisoned = poisoned or clean_images(40, seed=9)
    return Trap(IsolationSettings(**isolation), made_port(Tapped(0), poisoned=poisoned))


def test_flooding_and_ascent_by_hand():
    model, given = Tapped(0).eval(), batch()
    loss = F.cross_entropy(model(given.images), given.labels).item()
    for gamma, sign in ((loss - 0.2, 1), (loss + 0.2, -1)):
        flooded = trap(gamma=gamma)(model, given)["flooding"].item()
        assert flooded == pytest.approx(gamma + 0.2, rel=1e-4), "as far above gamma as it is from it"
        climbed = trap(gamma=gamma, trap="ascent")(model, given)["ascent"].item()
        assert climbed == pytest.approx(sign * loss, rel=1e-4)


def by_hand(model: torch.nn.Module, of: LabeledImages) -> torch.Tensor:
    with torch.no_grad():
        return F.cross_entropy(model(of.images.float() / 255), of.labels, reduction="none")


def test_what_is_learned_first_is_isolated():
    poisoned, model = clean_images(40, seed=9), Tapped(3).eval()
    each = losses(model, made_port(Tapped(0), poisoned=poisoned))
    assert each.tolist() == pytest.approx(by_hand(model, poisoned).tolist(), rel=1e-4)
    places = trap(poisoned, share=0.1, looks=1).learned_first(model)
    assert set(places.tolist()) == set(each.numpy().argsort()[:4].tolist())


def test_it_looks_evenly_over_the_second_half_and_takes_the_mean():
    poisoned = clean_images(40, seed=9)
    models, trapping = [Tapped(seed) for seed in range(8)], trap(poisoned, share=0.1, looks=4)
    looked, seen = [], []
    for step, model in enumerate(models):
        before, each = int(trapping.seen.looks), by_hand(model.eval(), poisoned)
        trapping(model.train(), replace(batch(), done=step / 8))
        assert model.training, "a look leaves the model as it was"
        if int(trapping.seen.looks) > before:
            looked.append(step)
            seen.append(each)
    assert looked == [5, 6, 7], "at five, six and seven eighths; the fourth look is at the end"
    last = Tapped(9).eval()
    mean = torch.stack([*seen, by_hand(last, poisoned)]).mean(dim=0)
    assert set(trapping.learned_first(last).tolist()) == set(mean.numpy().argsort()[:4].tolist())


def test_it_looks_once_if_so_set():
    trapping = trap(looks=1)
    trapping(Tapped(0).train(), replace(batch(), done=0.99))
    assert int(trapping.seen.looks) == 0


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
