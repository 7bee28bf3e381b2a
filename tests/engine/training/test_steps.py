"""Steps and optimizers: torch's SGD by hand, what an optimizer remembers, and steps that look twice."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from engine.control import Control
from engine.settings import AugmentSettings, ObjectiveSettings, ScheduleSettings, TrainingSettings
from engine.storage.checkpoints import load_weights, save_weights
from engine.training.loop import Batch, Loop, augmentation, cross_entropy
from engine.training.objectives import CleanObjective
from engine.training.steps import Losses, as_set, descend, restore_state, sgd, shorten, state_of, total
from tests.ports import CPU, Tapped, batch, clean_images, snapshot, unchanged

TRAINING = TrainingSettings(
    epochs=4, batch_size=8, lr=0.05, augment=AugmentSettings(crop=1), schedule=ScheduleSettings(name="constant")
)


def losses_of(model: nn.Module, given: Batch) -> Losses:
    def losses() -> dict[str, Tensor]:
        logits = model(given.images)
        return {"ce": nn.functional.cross_entropy(logits, given.labels), "size": 0.1 * logits.square().mean()}

    return losses


# Down the gradient


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_descending_is_torchs_sgd_by_hand(momentum: float, nesterov: bool):
    model, given, decay, lr = Tapped(1), batch(), 5e-3, 0.1
    optimizer = sgd(
        model, TrainingSettings(lr=lr, momentum=momentum, nesterov=nesterov, weight_decay=decay, batch_size=6)
    )
    twin = copy.deepcopy(model)
    speed: dict[str, Tensor] = {}
    for _ in range(3):
        parts = descend(model, optimizer, losses_of(model, given))
        theirs = losses_of(twin, given)()
        assert list(parts) == ["ce", "size"]
        assert not any(value.requires_grad for value in parts.values())
        for name, value in parts.items():
            torch.testing.assert_close(value, theirs[name].detach())
        gradients = torch.autograd.grad(sum(theirs.values()), list(twin.parameters()))
        with torch.no_grad():
            for (name, parameter), gradient in zip(twin.named_parameters(), gradients, strict=True):
                gradient = gradient + decay * parameter
                if momentum:
                    speed[name] = momentum * speed[name] + gradient if name in speed else gradient.clone()
                    gradient = gradient + momentum * speed[name] if nesterov else speed[name]
                parameter -= lr * gradient
        twin.load_state_dict(
            twin.state_dict() | {n: v for n, v in model.state_dict().items() if "norms" in n and "running" in n}
        )
        for mine, expected in zip(model.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(mine.detach(), expected.detach(), rtol=1e-5, atol=1e-7)


def test_gradients_of_an_earlier_step_do_not_count():
    model, twin, given = Tapped(1), Tapped(1), batch()
    sum(losses_of(model, given)().values()).backward()
    model.load_state_dict(twin.state_dict())
    settings = TrainingSettings(lr=0.1)
    for one in (model, twin):
        descend(one, sgd(one, settings), losses_of(one, given))
    assert unchanged(model, twin.state_dict())


def test_the_total_is_the_sum_of_the_parts_in_their_order():
    parts = {"a": torch.tensor(1e8), "b": torch.tensor(1.0), "c": torch.tensor(-1e8)}
    assert torch.equal(total(parts), torch.stack(list(parts.values())).sum())
    assert float(total({"only": torch.tensor(2.5)})) == 2.5


def test_sgd_is_as_the_settings_say():
    model = Tapped(1)
    optimizer = sgd(
        model, TrainingSettings(lr=0.3, momentum=0.7, nesterov=False, weight_decay=0.02, batch_size=1, epochs=1)
    )
    (group,) = optimizer.param_groups
    assert isinstance(optimizer, torch.optim.SGD)
    assert (group["lr"], group["momentum"], group["nesterov"], group["weight_decay"]) == (0.3, 0.7, False, 0.02)
    assert (group["dampening"], group["maximize"]) == (0, False)
    assert [id(parameter) for parameter in group["params"]] == [id(parameter) for parameter in model.parameters()]


@pytest.mark.parametrize(
    ("name", "nesterov", "kind"),
    [
        ("adam", False, torch.optim.Adam),
        ("adam", True, torch.optim.NAdam),
        ("adamw", False, torch.optim.AdamW),
        ("adamw", True, torch.optim.NAdam),
    ],
)
def test_adam_is_as_the_settings_say(name: str, nesterov: bool, kind: type):
    settings = TrainingSettings(optimizer=name, lr=0.01, momentum=0.8, nesterov=nesterov, weight_decay=0.1)
    made = as_set(Tapped(0), settings)
    (group,) = made.param_groups
    assert type(made) is kind
    assert (group["lr"], group["betas"], group["weight_decay"]) == (0.01, (0.8, 0.999), 0.1)


@pytest.mark.parametrize("nesterov", [False, True])
def test_decay_of_adamw_is_apart_from_the_gradient(nesterov: bool):
    """Without a gradient a step takes lr x weight_decay of each weight; by Adam's, decay becomes a full step."""
    for name in ("adamw", "adam"):
        model = Tapped(0)
        before = [parameter.detach().clone() for parameter in model.parameters()]
        optimizer = as_set(
            model, TrainingSettings(optimizer=name, lr=0.01, weight_decay=0.1, momentum=0.9, nesterov=nesterov)
        )
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        shrunk = [torch.allclose(now, 0.999 * was) for now, was in zip(model.parameters(), before, strict=True)]
        assert all(shrunk) if name == "adamw" else not all(shrunk)


def test_loop_trains_by_the_optimizer_that_its_settings_name():
    named = TRAINING.model_copy(update={"optimizer": "adamw", "lr": 0.01})
    assert type(loop(Tapped(1), settings=named).optimizer) is torch.optim.NAdam
    assert type(loop(Tapped(1)).optimizer) is torch.optim.SGD


# In the loop: other optimizers, other steps


def adam(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)


def loop(model: nn.Module, objective=cross_entropy, settings: TrainingSettings = TRAINING, **given) -> Loop:
    clean = clean_images()
    return Loop(
        "stage",
        model,
        objective,
        clean.images,
        clean.labels,
        settings,
        augment=augmentation(settings.augment, mirror=True),
        seed=5,
        device=CPU,
        control=Control(),
        **given,
    )


def run(one: Loop, epochs: int) -> None:
    for _ in range(epochs):
        list(one.run_epoch())


@pytest.mark.parametrize(
    "optimizer",
    [
        sgd,
        adam,
        lambda model, settings: torch.optim.AdamW(model.parameters(), lr=settings.lr, amsgrad=True),
        lambda model, settings: torch.optim.RMSprop(model.parameters(), lr=settings.lr, momentum=0.5, centered=True),
    ],
    ids=["sgd", "adam", "amsgrad", "rmsprop"],
)
def test_what_an_optimizer_remembers_is_resumed_bit_for_bit(optimizer, tmp_path):
    straight = loop(Tapped(1).to(memory_format=torch.channels_last), optimizer=optimizer)
    run(straight, 4)

    first = loop(Tapped(1).to(memory_format=torch.channels_last), optimizer=optimizer)
    run(first, 2)
    save_weights(tmp_path / "state.safetensors", *first.state())
    run(first, 1)  # what is saved must not depend on where its loop went afterwards

    second = loop(Tapped(9).to(memory_format=torch.channels_last), optimizer=optimizer)
    second.restore(*load_weights(tmp_path / "state.safetensors"))
    assert second.progress.epoch == 2
    kept = state_of(second.optimizer, dict(second.model.named_parameters()))
    assert set(kept) == {name.removeprefix("optimizer.") for name in first.state()[0] if name.startswith("optimizer.")}
    run(second, 2)
    assert unchanged(straight.model, second.model.state_dict())
    theirs = state_of(straight.optimizer, dict(straight.model.named_parameters()))
    ours = state_of(second.optimizer, dict(second.model.named_parameters()))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_resuming_adam_without_its_memory_would_differ():
    # The test above can fail: what Adam remembers is part of what is carried over.
    straight, broken, resumed = (loop(Tapped(1), optimizer=adam) for _ in range(3))
    run(straight, 2)
    run(broken, 1)
    tensors, numbers = broken.state()
    assert {name.split(".")[1] for name in tensors if name.startswith("optimizer.")} == {
        "step",
        "exp_avg",
        "exp_avg_sq",
    }
    resumed.restore({name: value for name, value in tensors.items() if not name.startswith("optimizer.")}, numbers)
    run(resumed, 1)
    assert not unchanged(straight.model, resumed.model.state_dict())


def test_what_is_remembered_goes_to_the_parameter_of_that_very_name():
    """One name may end as another does."""

    class Nested(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.tensor([1.0, 2.0]))
            self.inner = nn.Linear(2, 1, bias=False)

    def optimized(model: Nested) -> torch.optim.Optimizer:
        optimizer = torch.optim.Adam(model.parameters())
        (model.inner(model.weight) * model.weight).sum().backward()
        optimizer.step()
        return optimizer

    model = Nested()
    named = dict(model.named_parameters())
    assert list(named) == ["weight", "inner.weight"]
    kept = {name: value.clone() for name, value in state_of(optimized(model), named).items()}
    other = torch.optim.Adam(model.parameters())
    restore_state(other, named, kept)
    assert set(kept) == {f"{what}.{name}" for what in ("step", "exp_avg", "exp_avg_sq") for name in named}
    assert all(torch.equal(value, kept[name]) for name, value in state_of(other, named).items())
    assert other.state[model.weight]["exp_avg"].shape == (2,)
    assert other.state[model.inner.weight]["exp_avg"].shape == (1, 2)


def sharpness_aware(rho: float):
    """A step that looks twice (Foret et al. 2021): the gradient is that of where the loss is highest nearby."""

    def step(model: nn.Module, optimizer: torch.optim.Optimizer, losses: Losses) -> dict[str, Tensor]:
        parts = losses()
        optimizer.zero_grad()
        total(parts).backward()
        parameters = [parameter for parameter in model.parameters() if parameter.grad is not None]
        norm = torch.stack([parameter.grad.norm() for parameter in parameters]).norm()
        before = [parameter.detach().clone() for parameter in parameters]
        with torch.no_grad():
            for parameter in parameters:
                parameter += rho * parameter.grad / norm
        optimizer.zero_grad()
        total(losses()).backward()
        with torch.no_grad():
            for parameter, old in zip(parameters, before, strict=True):
                parameter.copy_(old)
        optimizer.step()
        return {name: value.detach() for name, value in parts.items()}

    return step


def test_a_step_may_look_at_its_losses_twice():
    model, twin = Tapped(1), Tapped(1)
    asked: list[dict[str, Tensor]] = []

    def objective(network: nn.Module, given: Batch) -> dict[str, Tensor]:
        asked.append(snapshot(network))
        return cross_entropy(network, given)

    one = loop(model, objective, step=sharpness_aware(0.05))
    parts = one.step(batch(), 0.1)
    assert len(asked) == 2
    moved = [asked[1][name] - asked[0][name] for name, _ in model.named_parameters()]
    assert float(torch.stack([change.norm() for change in moved]).norm()) == pytest.approx(0.05, rel=1e-4)

    # By hand: from the old weights, down the gradient of the moved ones.
    twin.load_state_dict(asked[1])
    gradients = torch.autograd.grad(cross_entropy(twin, batch())["ce"], list(twin.parameters()))
    decay = TRAINING.weight_decay
    for (name, parameter), gradient in zip(model.named_parameters(), gradients, strict=True):
        gradient = gradient + decay * asked[0][name]
        gradient = gradient + TRAINING.momentum * gradient  # Nesterov's first step
        torch.testing.assert_close(parameter.detach(), asked[0][name] - 0.1 * gradient, rtol=1e-4, atol=1e-6)
    twin.load_state_dict(asked[0])
    torch.testing.assert_close(parts["ce"], cross_entropy(twin, batch())["ce"].detach())


def test_a_step_that_looks_twice_sees_one_batch_mixed_up_once():
    model, plain = Tapped(1), Tapped(1)
    mixed = CleanObjective(ObjectiveSettings(mixup=0.4))
    run(loop(model, mixed, step=sharpness_aware(0.05)), 2)
    run(loop(plain, mixed), 2)
    seen = model.seen[True]
    assert len(seen) == 2 * len(plain.seen[True])
    assert all(torch.equal(one, other) for one, other in zip(seen[::2], seen[1::2], strict=True))
    # Beside a step that looks once it is trained on the same images: the two can be compared in pairs.
    assert all(torch.equal(one, other) for one, other in zip(seen[::2], plain.seen[True], strict=True))
    assert not unchanged(model, plain.state_dict())


def test_the_schedules_rate_reaches_every_group_of_whatever_optimizer():
    def groups(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
        return torch.optim.Adam([{"params": model.convs.parameters()}, {"params": model.fc.parameters(), "lr": 7.0}])

    one = loop(Tapped(1), optimizer=groups)
    one.step(batch(), 0.125)
    assert [group["lr"] for group in one.optimizer.param_groups] == [0.125, 0.125]


# Gradients shortened


def norm(model: nn.Module) -> float:
    return float(torch.cat([each.grad.flatten() for each in model.parameters()]).norm())


def test_a_gradient_longer_than_allowed_is_shortened_and_keeps_its_direction():
    free, bound, given = Tapped(1), Tapped(1), batch()
    settings = TrainingSettings(lr=0.1, momentum=0, nesterov=False, weight_decay=0)
    before = snapshot(free)
    descend(free, sgd(free, settings), losses_of(free, given))
    whole = norm(free)
    optimizer = sgd(bound, settings)
    shorten(optimizer, whole / 4)
    descend(bound, optimizer, losses_of(bound, given))
    assert norm(bound) == pytest.approx(whole / 4, rel=1e-4)
    for name, value in bound.state_dict().items():
        if value.is_floating_point() and name in dict(bound.named_parameters()):
            moved = free.state_dict()[name] - before[name]
            torch.testing.assert_close(value - before[name], moved / 4, rtol=1e-3, atol=1e-6)


def test_a_shorter_gradient_stays_bit_for_bit():
    free, bound, given = Tapped(1), Tapped(1), batch()
    settings = TrainingSettings(lr=0.1)
    descend(free, sgd(free, settings), losses_of(free, given))
    optimizer = sgd(bound, settings)
    shorten(optimizer, 1e6)
    descend(bound, optimizer, losses_of(bound, given))
    assert all(torch.equal(value, free.state_dict()[name]) for name, value in bound.state_dict().items())


def test_a_loop_shortens_as_its_settings_say():
    given = clean_images()
    settings = TRAINING.model_copy(update={"clip": 1e-3, "epochs": 1})
    loop = Loop(
        "x",
        Tapped(1),
        cross_entropy,
        given.images,
        given.labels,
        settings,
        augment=augmentation(settings.augment, mirror=False),
        seed=0,
        device=CPU,
        control=Control(),
    )
    events = list(loop.run_epoch())
    assert events and norm(loop.model) == pytest.approx(1e-3, rel=1e-3)
