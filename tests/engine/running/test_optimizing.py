"""Optimizations that defenses ask for: repeatable, bounded, and resumed bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.control import Control, Stopped
from engine.defenses.base import LabeledImages, Optimize
from engine.device import Device
from engine.errors import StageError
from engine.events import Preparing
from engine.running import optimizing
from engine.running.optimizing import Optimization
from engine.running.passes import Passes
from engine.settings import BARE, AugmentSettings, ScheduleSettings
from engine.training.loop import Batch

CPU = Device(torch.device("cpu"), "fp32")
IMAGES = LabeledImages(
    torch.randint(0, 256, (10, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)),
    torch.arange(10) % 3,
)


def asked(mask: Tensor, steps: int = 12, **changes) -> Optimize:
    def loss(batch: Batch) -> dict[str, Tensor]:
        noise = torch.rand(batch.images.shape, generator=batch.generator)
        return {"fit": (batch.images * mask - noise).square().mean(), "size": 0.01 * mask.abs().mean()}

    def adam(tensors: list[Tensor]) -> torch.optim.Optimizer:
        return torch.optim.Adam(tensors, lr=0.1)

    given = {
        "stage": "spy",
        "name": "mask",
        "parameters": {"mask": mask},
        "loss": loss,
        "steps": steps,
        "batch_size": 4,
        "optimizer": adam,
        "project": None,
    }
    return Optimize(**{**given, **changes})


def mask() -> Tensor:
    return torch.full((3, 8, 8), 0.5, requires_grad=True)


def work(ask: Optimize, file: Path, control: Control | None = None, seed: int = 3, mirror: bool = True) -> Optimization:
    given = {"seed": seed, "device": CPU, "control": control or Control(), "passes": Passes((8, 8))}
    return Optimization(ask, IMAGES, file, **given, mirror=mirror)


def test_it_minimizes_and_tells_of_its_steps(tmp_path):
    wanted = mask()
    events = list(work(asked(wanted), tmp_path / "a.safetensors").run())
    assert not torch.equal(wanted, mask())
    assert isinstance(events[-1], Preparing)
    assert (events[-1].what, events[-1].done, events[-1].total) == ("mask", 12, 12)


def test_equal_seeds_give_equal_results_and_others_do_not(tmp_path):
    results = []
    for number, seed in enumerate((3, 3, 4)):
        one = mask()
        list(work(asked(one), tmp_path / f"{number}.safetensors", seed=seed).run())
        results.append(one.detach())
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_one_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path):
    whole = mask()
    list(work(asked(whole), tmp_path / "whole.safetensors").run())
    control, stopped = Control(), mask()
    steps = 0

    def counting(batch: Batch) -> dict[str, Tensor]:
        nonlocal steps
        steps += 1
        if steps == 5:
            control.stop()
        return asked(stopped).loss(batch)

    file = tmp_path / "cut.safetensors"
    with pytest.raises(Stopped):
        list(work(asked(stopped, loss=counting), file, control).run())
    assert steps == 5
    assert not torch.equal(stopped, whole)
    resumed = mask()
    after = work(asked(resumed), file)
    list(after.run())
    assert torch.equal(resumed, whole)
    assert after.seconds > 0


def test_images_are_augmented_where_that_is_asked_for_and_mirrored_where_that_keeps_the_label(tmp_path):
    def seen(name: str, augment: AugmentSettings | None, *, mirror: bool = True) -> Tensor:
        batches = []

        def loss(batch: Batch) -> dict[str, Tensor]:
            batches.append(batch.images.clone())
            return {"fit": wanted.square().mean()}

        wanted = mask()
        list(work(asked(wanted, loss=loss, augment=augment), tmp_path / name, mirror=mirror).run())
        return torch.cat(batches)

    plain = seen("a", None)
    assert torch.equal(plain, seen("b", BARE))
    flipped = AugmentSettings(crop=0, flip=True)
    assert torch.equal(plain, seen("c", flipped, mirror=False))
    mirrored = [not torch.equal(one, other) for one, other in zip(plain, seen("d", flipped), strict=True)]
    assert 0 < sum(mirrored) < len(mirrored)
    assert torch.equal(seen("e", AugmentSettings()), seen("f", AugmentSettings()))
    assert not torch.equal(plain, seen("g", AugmentSettings(crop=1, flip=False)))


def test_the_rate_follows_its_schedule_and_does_after_a_stop(tmp_path):
    """Of a slope that is 1 everywhere and plain SGD at 0.5: twelve steps down in a straight line."""
    falling = ScheduleSettings(name="one-cycle", warmup=0.0)

    def asked_of(wanted: Tensor) -> Optimize:
        def sgd(tensors: list[Tensor]) -> torch.optim.Optimizer:
            return torch.optim.SGD(tensors, lr=0.5)

        return asked(wanted, loss=lambda batch: {"fit": wanted.sum()}, optimizer=sgd, schedule=falling)

    wanted, control = mask(), Control()
    goes = work(asked_of(wanted), tmp_path / "a.safetensors", control).run()
    next(goes)
    control.stop()
    with pytest.raises(Stopped):
        list(goes)
    wanted = mask()
    list(work(asked_of(wanted), tmp_path / "a.safetensors").run())
    gone = sum(0.5 * (1 - step / 12) for step in range(12))
    torch.testing.assert_close(wanted.detach(), mask().detach() - gone)


def test_a_finished_one_is_not_done_again(tmp_path):
    first = mask()
    list(work(asked(first), tmp_path / "a.safetensors").run())

    def never(batch: Batch) -> dict[str, Tensor]:
        raise AssertionError("it is done already")

    again = mask()
    list(work(asked(again, loss=never), tmp_path / "a.safetensors").run())
    assert torch.equal(again, first)


def test_one_that_is_killed_loses_no_more_than_since_the_last_saving(tmp_path, monkeypatch):
    monkeypatch.setattr(optimizing, "SAVE_S", -1.0)
    file, one = tmp_path / "a.safetensors", mask()
    run = work(asked(one), file).run()
    next(run)
    assert file.is_file()


def test_the_parameters_are_brought_back_into_their_bounds(tmp_path):
    one = mask()
    ask = asked(one, project=lambda: one.clamp_(0.45, 0.55))
    list(work(ask, tmp_path / "a.safetensors").run())
    assert torch.equal(one.detach(), one.detach().clamp(0.45, 0.55))


def test_a_loss_that_is_no_longer_finite_is_named(tmp_path):
    one = mask()
    ask = asked(one, loss=lambda batch: {"fit": one.sum() * float("nan")})
    with pytest.raises(StageError, match="stage spy: the loss of mask is no longer finite at step 1"):
        list(work(ask, tmp_path / "a.safetensors").run())
