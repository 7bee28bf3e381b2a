"""The training loop: its schedules, its repeatability, and how it is steered and watched."""

from __future__ import annotations

import itertools
import math
import threading
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import engine.training.loop as loop_module
from engine.control import Control, Stopped
from engine.data.augment import Augment
from engine.device import Device
from engine.errors import StageError
from engine.events import RunPaused, Step
from engine.settings import AugmentSettings, ScheduleSettings, TrainingSettings
from engine.training.loop import Batch, Loop, augmentation, cross_entropy, learning_rate

CPU = Device(torch.device("cpu"), "fp32")
PLAIN = Augment(crop=0, flip=False, cutout=0)


def settings(**changes) -> TrainingSettings:
    given = {"epochs": 3, "batch_size": 8, "lr": 0.1, "schedule": ScheduleSettings(name="constant")}
    return TrainingSettings(**{**given, **changes})


def network(seed: int = 0, size: int = 8) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * size * size, 2)
    )


def toy(count: int = 20) -> tuple[Tensor, Tensor]:
    """Dark images of class 0 and bright ones of class 1."""
    generator = torch.Generator().manual_seed(7)
    labels = torch.arange(count) % 2
    noise = torch.randint(0, 60, (count, 3, 8, 8), generator=generator)
    return (noise + 150 * labels.view(-1, 1, 1, 1)).to(torch.uint8), labels


def loop(model: nn.Module | None = None, objective=cross_entropy, data=None, **changes) -> Loop:
    given = {"settings": settings(), "augment": PLAIN, "seed": 0, "control": Control()} | changes
    images, labels = data or toy()
    return Loop(
        "student",
        model or network(),
        objective,
        images,
        labels,
        given["settings"],
        augment=given["augment"],
        seed=given["seed"],
        device=CPU,
        control=given["control"],
    )


def run(one: Loop, epochs: int) -> list:
    return [event for _ in range(epochs) for event in one.run_epoch()]


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# The learning rate


def rates(schedule: ScheduleSettings, steps_per_epoch: int, epochs: int, lr: float = 1.0) -> list[float]:
    return [learning_rate(schedule, lr, step, steps_per_epoch, epochs) for step in range(steps_per_epoch * epochs)]


def test_constant_rate():
    assert rates(ScheduleSettings(name="constant"), 2, 3, lr=0.3) == [0.3] * 6


def test_step_rate_is_multiplied_after_each_milestone_epoch():
    schedule = ScheduleSettings(name="step", milestones=(1, 3), gamma=0.5)
    expected = [0.8, 0.8, 0.4, 0.4, 0.4, 0.4, 0.2, 0.2]
    assert rates(schedule, 2, 4, lr=0.8) == pytest.approx(expected)


def test_paper_rate_is_a_tenth_from_the_third_epoch_on():
    schedule = ScheduleSettings(name="step", milestones=(2,), gamma=0.1)
    assert rates(schedule, 1, 10, lr=0.1) == pytest.approx([0.1, 0.1] + [0.01] * 8)


def test_one_cycle_rises_and_falls_linearly():
    # Eight steps, a quarter of them (two) rising: thirds of the peak, the peak, then sixths down.
    expected = [1 / 3, 2 / 3, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]
    assert rates(ScheduleSettings(name="one-cycle", warmup=0.25), 4, 2) == pytest.approx(expected)


def test_cosine_follows_half_a_wave_after_its_rise():
    expected = [1 / 2, 1, 0.5 + math.sqrt(3) / 4, 0.75, 0.5, 0.25, 0.5 - math.sqrt(3) / 4]
    assert rates(ScheduleSettings(name="cosine", warmup=1 / 7), 7, 1) == pytest.approx(expected)


def test_cosine_without_warmup_begins_at_its_peak():
    expected = [1, 0.5 + math.sqrt(2) / 4, 0.5, 0.5 - math.sqrt(2) / 4]
    assert rates(ScheduleSettings(name="cosine", warmup=0), 4, 1) == pytest.approx(expected)


@given(
    name=st.sampled_from(["one-cycle", "cosine"]),
    warmup=st.floats(0, 0.99),
    steps=st.integers(1, 9),
    epochs=st.integers(1, 9),
)
def test_rate_stays_in_bounds_and_does_not_jump(name: str, warmup: float, steps: int, epochs: int):
    total = steps * epochs
    found = rates(ScheduleSettings(name=name, warmup=warmup), steps, epochs, lr=0.4)
    assert all(0 < rate <= 0.4 + 1e-12 for rate in found)
    peak = found.index(max(found))
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)
    rise = warmup * total
    steepest = 0.4 * max(1 / (rise + 1), math.pi / 2 / max(1.0, total - rise))
    assert all(abs(b - a) <= steepest + 1e-9 for a, b in itertools.pairwise(found))


# What is learned


def test_one_step_is_plain_gradient_descent():
    images, labels = toy(6)
    model, twin = nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    twin.load_state_dict(model.state_dict())
    one = loop(
        model,
        data=(images, labels),
        settings=settings(batch_size=6, lr=0.5, momentum=0, nesterov=False, weight_decay=0.01),
    )
    run(one, 1)
    nn.functional.cross_entropy(twin(images.float() / 255), labels).backward()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        expected = theirs.detach() - 0.5 * (theirs.grad + 0.01 * theirs.detach())
        torch.testing.assert_close(ours.detach(), expected, rtol=1e-5, atol=1e-6)


def test_loss_falls_on_separable_images():
    one = loop(settings=settings(epochs=5, lr=0.02))
    losses = [event.loss for event in run(one, 5) if isinstance(event, Step)]
    assert losses[-1] < losses[0] / 3
    images, labels = toy()
    one.model.eval()
    assert torch.equal(one.model(images.float() / 255).argmax(1), labels)


def test_same_seed_same_weights_other_seed_other_weights():
    # Augmented, so that order and augmentation are both drawn.
    trained = []
    for seed in (1, 1, 2):
        one = loop(seed=seed, augment=Augment(crop=2, flip=True, cutout=3))
        run(one, 2)
        trained.append(weights(one.model))
    assert equal(trained[0], trained[1])
    assert not equal(trained[0], trained[2])


def test_global_generator_plays_no_part():
    torch.manual_seed(1)
    one = loop(network(3))
    run(one, 1)
    other = loop(network(3))
    torch.manual_seed(99)
    before = torch.get_rng_state()
    run(other, 1)
    assert equal(weights(one.model), weights(other.model))
    assert torch.equal(before, torch.get_rng_state())


def test_resumed_loop_ends_bit_for_bit_where_an_unbroken_one_does():
    changes = {
        "augment": Augment(crop=2, flip=True, cutout=3),
        "seed": 5,
        "settings": settings(schedule=ScheduleSettings(name="one-cycle")),
    }
    straight = loop(**changes)
    run(straight, 3)

    first = loop(**changes)
    run(first, 1)
    tensors, numbers = first.state()
    tensors = {name: value.clone() for name, value in tensors.items()}
    run(first, 1)  # what is saved must not depend on where its loop went afterwards

    second = loop(network(123), **changes)
    second.restore(tensors, numbers)
    assert second.progress.epoch == 1
    assert second.progress.train_images == 20
    events = run(second, 2)
    assert [event.epoch for event in events] == [2, 3]
    assert equal(weights(straight.model), weights(second.model))


def test_restoring_without_momentum_would_differ():
    # The test above can fail: the momentum is part of what is carried over.
    straight, broken = loop(), loop()
    run(straight, 2)
    run(broken, 1)
    tensors, numbers = broken.state()
    resumed = loop()
    resumed.restore({name: value for name, value in tensors.items() if not name.startswith("optimizer.")}, numbers)
    run(resumed, 1)
    assert not equal(weights(straight.model), weights(resumed.model))


# Batches


def numbered(count: int) -> tuple[Tensor, Tensor]:
    """Images whose pixels say which they are."""
    labels = torch.arange(count)
    return labels.view(-1, 1, 1, 1).expand(-1, 3, 8, 8).to(torch.uint8).contiguous(), labels


def test_last_partial_batch_is_used():
    one = loop(data=numbered(10), settings=settings(batch_size=4))
    batches = list(one.batches(0))
    assert [len(batch.labels) for batch in batches] == [4, 4, 2]
    assert one.steps_per_epoch == 3
    assert sorted(torch.cat([batch.labels for batch in batches]).tolist()) == list(range(10))


def test_images_and_labels_stay_together_and_are_scaled_to_one():
    for batch in loop(data=numbered(10)).batches(0):
        assert batch.images.dtype == torch.float32
        torch.testing.assert_close(batch.images[:, 2, 7, 7], batch.labels.float() / 255)


def test_every_epoch_has_an_order_of_its_own():
    one = loop(data=numbered(40))
    orders = [torch.cat([batch.labels for batch in one.batches(epoch)]).tolist() for epoch in range(3)]
    assert len({tuple(order) for order in orders}) == 3
    assert list(range(40)) not in orders


@pytest.mark.parametrize(
    ("count", "size", "batches"),
    [(17, 8, [8, 9]), (9, 8, [9]), (18, 8, [8, 8, 2]), (16, 8, [8, 8]), (3, 2, [3]), (3, 1, [1, 1, 1]), (1, 8, [1])],
)
def test_a_single_image_that_is_left_joins_the_batch_before(count, size, batches):
    """A batch norm of maps of 1x1 cannot learn from a batch of one: it raises."""
    one = loop(data=toy(count), settings=settings(batch_size=size))
    assert [len(batch.labels) for batch in one.batches(0)] == batches
    assert one.steps_per_epoch == len(batches)
    assert run(one, 1)[-1].step == len(batches)
    deep = nn.Sequential(nn.Conv2d(3, 4, 8), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    if min(batches) > 1:
        run(loop(deep, data=toy(count), settings=settings(batch_size=size)), 1)


def test_an_objective_that_draws_sees_the_same_batches():
    seen = {}

    def objective(draws: bool):
        def call(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
            seen.setdefault(draws, []).append(batch.images.clone())
            if draws:
                torch.rand(1000, generator=batch.generator)
            return cross_entropy(model, batch)

        return call

    for draws in (False, True):
        run(loop(objective=objective(draws), augment=Augment(crop=2, flip=True, cutout=2)), 2)
    assert all(torch.equal(a, b) for a, b in zip(seen[False], seen[True], strict=True))


def test_images_handed_in_are_left_alone():
    images, labels = toy()
    before = images.clone()
    run(loop(data=(images, labels), augment=Augment(crop=2, flip=True, cutout=3)), 1)
    assert torch.equal(images, before)


@pytest.mark.parametrize(("flip", "mirror", "mirrored"), [(True, False, 0), (False, True, 0), (True, True, None)])
def test_no_flip_where_mirroring_would_change_the_label(flip: bool, mirror: bool, mirrored: int | None):
    images = torch.arange(8).view(1, 1, 1, 8).expand(200, 3, 8, 8).to(torch.uint8).contiguous()
    augment = augmentation(AugmentSettings(crop=0, flip=flip, cutout=0), mirror)
    result = augment(images, torch.Generator().manual_seed(0))
    turned = int((result == images.flip(3)).flatten(1).all(1).sum())
    kept = int((result == images).flatten(1).all(1).sum())
    assert turned + kept == 200
    assert turned == mirrored if mirrored is not None else 60 < turned < 140


def test_augmentation_takes_crop_and_cutout_from_the_settings():
    augment = augmentation(AugmentSettings(crop=3, flip=True, cutout=5), mirror=True)
    assert (augment.crop, augment.flip, augment.cutout) == (3, True, 5)


# Failing, stopping, pausing


def test_loss_that_is_not_finite_ends_the_stage_by_name():
    def broken(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        good = cross_entropy(model, batch)["ce"]
        return {"ce": good, "attention": good.detach() * math.nan}

    with pytest.raises(StageError, match=r"stage student.*\(attention\).*epoch 1") as caught:
        run(loop(objective=broken, settings=settings(batch_size=20)), 1)
    assert "\n" not in str(caught.value)


def test_a_diverging_loss_is_found_in_the_middle_of_an_epoch_that_reports_once(monkeypatch: pytest.MonkeyPatch):
    # Means over many steps: one bad step must not be averaged away.
    monkeypatch.setattr(loop_module, "REPORT_SECONDS", 1000)
    calls = []

    def once(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        calls.append(1)
        return {"ce": cross_entropy(model, batch)["ce"] * (math.inf if len(calls) == 1 else 1)}

    with pytest.raises(StageError, match="student"):
        run(loop(objective=once), 1)


def test_stop_raises_between_two_steps_and_the_epoch_does_not_count():
    control = Control()
    steps = []

    def objective(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        steps.append(1)
        control.stop()
        return cross_entropy(model, batch)

    one = loop(objective=objective, control=control)
    with pytest.raises(Stopped):
        run(one, 1)
    assert len(steps) == 1
    assert one.progress.epoch == 0


def test_paused_loop_waits_until_another_thread_lets_it_go_on():
    control = Control()
    steps = []

    def objective(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        steps.append(1)
        return cross_entropy(model, batch)

    one = loop(objective=objective, control=control)
    control.pause()
    events = one.run_epoch()
    assert next(events) == RunPaused(paused=True)
    assert control.paused
    assert steps == []
    timer = threading.Timer(0.05, control.resume)
    timer.start()
    assert next(events) == RunPaused(paused=False)
    timer.join()
    rest = list(events)
    assert len(steps) == 3
    assert not any(isinstance(event, RunPaused) for event in rest)

    unbroken = loop()
    run(unbroken, 1)
    assert equal(weights(unbroken.model), weights(one.model))


def test_stop_ends_a_paused_loop():
    control = Control()
    control.pause()
    events = loop(control=control).run_epoch()
    assert next(events) == RunPaused(paused=True)
    timer = threading.Timer(0.05, control.stop)
    timer.start()
    with pytest.raises(Stopped):
        next(events)
    timer.join()


def test_waiting_ends_when_a_stop_is_asked_for():
    control = Control()
    control.wait(0.001)
    control.stop()
    with pytest.raises(Stopped):
        control.wait(1000)


# Step events, against a clock of our own


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(loop_module, "time", SimpleNamespace(perf_counter=lambda: self.now))

    def objective(self, seconds: float, losses: list[float] | None = None):
        """Each step takes `seconds`; the losses, if given, in turn."""
        turn = iter(losses or [])

        def call(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
            self.now += seconds
            nothing = sum(parameter.sum() for parameter in model.parameters()) * 0
            value = next(turn, 1.0)
            return {"ce": nothing + value, "attention": nothing + 10 * value}

        return call


def test_one_step_event_an_epoch_when_the_clock_stands_still(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loop_module, "REPORT_SECONDS", 1000)
    events = run(loop(settings=settings(batch_size=2)), 3)
    assert [(event.epoch, event.step) for event in events] == [(1, 10), (2, 20), (3, 30)]


def test_step_events_come_a_few_times_a_second_with_means_since_the_last(monkeypatch: pytest.MonkeyPatch):
    clock = Clock(monkeypatch)
    losses = [1.0, 2.0, 6.0, 4.0, 4.0, 4.0, 5.0, 7.0]
    one = loop(objective=clock.objective(0.1, losses), data=numbered(16), settings=settings(batch_size=2))
    events = run(one, 1)
    assert [event.step for event in events] == [3, 6, 8]
    assert [event.parts["ce"] for event in events] == pytest.approx([3, 4, 6])
    assert [event.parts["attention"] for event in events] == pytest.approx([30, 40, 60])
    assert [event.loss for event in events] == pytest.approx([33, 44, 66])
    assert [event.images_per_second for event in events] == pytest.approx([20, 20, 20])
    assert {(event.stage, event.epoch, event.lr) for event in events} == {("student", 1, 0.1)}


def test_pauses_do_not_count_as_training_time(monkeypatch: pytest.MonkeyPatch):
    clock = Clock(monkeypatch)

    class Slow(Control):
        def checkpoint(self, keep=None):
            clock.now += 500
            yield from super().checkpoint(keep)

    one = loop(objective=clock.objective(1.0), data=numbered(16), settings=settings(batch_size=4), control=Slow())
    events = run(one, 2)
    assert one.progress.train_seconds == pytest.approx(8)
    assert one.progress.train_images == 32
    assert [event.images_per_second for event in events] == pytest.approx([4] * 8)
