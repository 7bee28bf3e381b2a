"""What learns beside a model: optimized with it, saved with it, and no part of it; Adam as the settings say."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from engine.control import Control
from engine.settings import AugmentSettings, TrainingSettings
from engine.training.loop import Batch, Loop, augmentation
from engine.training.steps import adam
from tests.ports import CPU, Tapped, clean_images, snapshot, unchanged

SETTINGS = TrainingSettings(epochs=3, batch_size=8, lr=0.05, augment=AugmentSettings(crop=0))


def made(**changes: Any) -> tuple[Loop, nn.Module]:
    """A loop of a network and a map of its logits that learns beside it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        beside = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))

    def objective(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        return {"ce": nn.functional.cross_entropy(beside(model(batch.images)), batch.labels)}

    data = clean_images()
    augment = augmentation(SETTINGS.augment, mirror=False)
    common = {"augment": augment, "seed": 3, "device": CPU, "control": Control(), "beside": beside, **changes}
    return Loop("stage", Tapped(0), objective, data.images, data.labels, SETTINGS, **common), beside


def epochs(loop: Loop, count: int) -> None:
    for _ in range(count):
        list(loop.run_epoch())


def test_it_learns_with_the_model_and_is_no_part_of_it():
    loop, beside = made()
    drawn = snapshot(beside)
    epochs(loop, 1)
    assert not torch.equal(beside[0].weight, drawn["0.weight"])
    assert beside[1].num_batches_tracked > 0, "it is in training mode"
    tensors, _ = loop.state()
    whole = {name.removeprefix("model.") for name in tensors if name.startswith("model.")}
    assert whole == set(loop.model.state_dict())
    assert {name for name in tensors if name.startswith("beside.")} == {f"beside.{name}" for name in drawn}


def test_resumed_it_is_where_it_was():
    for changes in ({}, {"optimizer": adam}):
        whole, beside = made(**changes)
        epochs(whole, 3)
        first, _ = made(**changes)
        epochs(first, 1)
        tensors, numbers = first.state()
        second, again = made(**changes)
        second.restore({name: value.clone() for name, value in tensors.items()}, numbers)
        epochs(second, 2)
        assert unchanged(second.model, snapshot(whole.model))
        assert unchanged(again, snapshot(beside))
