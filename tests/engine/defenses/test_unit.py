"""UNIT: where bounds begin, what they do, and the controller that keeps to the budget."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from engine import models
from engine.defenses import tightening
from engine.defenses.base import LabeledImages, Port
from engine.defenses.neurons import norms_of
from engine.defenses.tightening import BAD, BEST, COST, GOOD, Tightening, first_bounds
from engine.device import Device
from engine.events import Chosen
from engine.models.bounded import bind, taking
from engine.models.inference import as_input, freeze, settled
from engine.record.layout import checkpoint_file
from engine.storage.checkpoints import load_weights
from engine.testing.world import World
from engine.training.loop import Batch
from nadtui.export import checkpoint
from nadtui.runs.loading import load

CPU = Device(torch.device("cpu"), "fp32")
IMAGES = torch.randint(0, 256, (12, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))


@pytest.fixture
def network() -> nn.Module:
    return freeze(settled(models.build("wrn-10-1", 4, 0), as_input(IMAGES)))


def test_bounds_begin_so_many_deviations_above_the_mean_of_what_a_relu_leaves(network, monkeypatch):
    monkeypatch.setattr(tightening, "CHUNK", 5)
    found = first_bounds(network, IMAGES, 4.0)
    given = []
    network.block2.layer[0].bn1.register_forward_hook(lambda _, __, output: given.append(output.clone().relu()))
    network(as_input(IMAGES))
    wanted = given[0].mean(0) + 4 * given[0].std(0)
    torch.testing.assert_close(found["block2.layer.0.bn1"], wanted, rtol=1e-3, atol=1e-4)
    assert list(found) == list(norms_of(network))


def test_a_bound_network_gives_no_more_and_its_state_dict_brings_the_bounds(network):
    bounds = {name: torch.full(each.shape, 0.2) for name, each in first_bounds(network, IMAGES, 4.0).items()}
    bound = bind(copy.deepcopy(network), bounds)
    given = []
    bound.block2.layer[0].bn1.register_forward_hook(lambda _, __, output: given.append(output.clone()))
    logits = bound(as_input(IMAGES))
    assert given[0].max() == pytest.approx(0.2) and not torch.equal(logits, network(as_input(IMAGES)))
    state = bound.state_dict()
    assert set(state) - set(network.state_dict()) == {f"{name}.bound" for name in bounds}
    again = settled(models.build("wrn-10-1", 4, 1, taps=["block2", "bn1"]), as_input(IMAGES))
    for prefix in ("", "module."):  # the first norm of a block is named as the last of the network
        taking(again, {f"{prefix}{name}": tuple(tensor.shape) for name, tensor in state.items()})
        again.load_state_dict(dict(state))
        assert torch.equal(again(as_input(IMAGES)), logits)
    free = network.state_dict()
    taking(again, {name: tuple(tensor.shape) for name, tensor in free.items()})
    again.load_state_dict(dict(free))
    assert torch.equal(again(as_input(IMAGES)), network(as_input(IMAGES)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_of_a_bound_are_those_of_the_minimum(dtype):
    draw = torch.Generator().manual_seed(3)
    given = torch.randn(5, 3, 4, 2, generator=draw).to(memory_format=torch.channels_last)
    weight = torch.randn(5, 3, 4, 2, generator=draw)
    found = []
    bound_norm = bind(nn.Sequential(nn.BatchNorm2d(3)), {"0": torch.zeros(3, 4, 2)}).eval()
    level = torch.randn(3, 4, 2, generator=draw).requires_grad_()
    for through in (
        lambda output: functional_call(bound_norm, {"0.bound": level}, (output,)),
        lambda output: functional_call(bound_norm, {"0.bound": torch.full((3, 4, 2), 9.0)}, (output,)).minimum(level),
    ):
        images = given.to(dtype).requires_grad_()
        (through(images) * weight).sum().backward()
        found.append((images.grad, level.grad))
        level.grad = None
    for ours, reference in zip(*found, strict=True):
        assert reference.any() and not reference.all()
        torch.testing.assert_close(ours, reference)


def controller(network: nn.Module, budget: float, patience: int = 2, device: Device = CPU) -> Tightening:
    held = LabeledImages(IMAGES, network(as_input(IMAGES)).argmax(1))
    port = Port(network, held, held, 4, (), device, 0)
    first = first_bounds(network, IMAGES, 4.0)
    bound = freeze(bind(copy.deepcopy(network), first))
    return Tightening(port, bound, first, cost=0.5, patience=patience, budget=budget)


def test_the_tightest_inside_the_budget_are_kept_and_the_cost_follows(network):
    work = controller(network, budget=0.0)
    state = work.tensors["controller"]
    bounds = [work.tensors[name] for name in norms_of(network)]
    work.judge()
    first = {name: tensor.clone() for name, tensor in work.tightest().items()}
    assert (state[GOOD], state[BAD], state[COST]) == (1, 0, 0.5)
    kept = float(state[BEST])
    with torch.no_grad():
        for bound in bounds:
            bound.zero_()  # nothing passes any more
    for cost in (0.5, 0.5 / 2**1.5):
        work.judge()
        assert float(state[COST]) == pytest.approx(cost)
    assert float(state[BEST]) == kept
    assert all(torch.equal(first[name], tensor) for name, tensor in work.tightest().items())
    free = controller(network, budget=100.0)
    with torch.no_grad():
        for name in norms_of(network):
            free.tensors[name].fill_(-1.0)
    for cost in (0.5, 1.0):
        free.judge()
        assert float(free.tensors["controller"][COST]) == cost
    assert all(not tensor.any() for tensor in free.tightest().values()), "a bound is never below 0"


def test_gradients_taken_in_pieces_are_those_of_the_whole_batch(network, monkeypatch):
    """Against autograd over all images at once."""
    work = controller(network, budget=0.0)
    bounds = {name: work.tensors[name] for name in norms_of(network)}
    with torch.no_grad():
        for each in bounds.values():
            each.fill_(0.2)
    batch = Batch(as_input(IMAGES), torch.arange(len(IMAGES)) % 4, torch.Generator())
    bound = functional_call(
        bind(copy.deepcopy(network), bounds), {f"{name}.bound": each for name, each in bounds.items()}, batch.images
    )
    whole = cross_entropy(bound, batch.labels)
    wanted = torch.autograd.grad(whole, list(bounds.values()))
    monkeypatch.setattr(tightening, "CHUNK", 5)
    error = work.losses(batch)["ce"]
    torch.testing.assert_close(error, whole)
    for found, of_whole in zip(torch.autograd.grad(error, list(bounds.values())), wanted, strict=True):
        assert of_whole.any()
        torch.testing.assert_close(found, of_whole, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_bounds_are_judged_in_the_precision_in_which_the_tightest_is_chosen(network, precision):
    """One image of 450 that only bf16 mistook once cost a whole run its bounds."""
    work = controller(network, budget=0.0, device=Device(torch.device("cpu"), precision))
    given = []
    work._model.fc.register_forward_hook(lambda _, __, logits: given.append(logits.dtype))
    work.judge()
    assert given == [torch.float32 if precision == "fp32" else torch.bfloat16]


def test_bounds_that_cost_the_budget_to_the_image_are_inside(network, monkeypatch):
    """Shares of a hundred images are no round numbers in fp32."""

    def share(right: int) -> float:
        return 100 * float((torch.arange(100) < right).float().mean())

    for right in range(75, 101):
        inside = {}
        for lost in (3, 4):
            looks = iter([share(right), share(right - lost)])
            monkeypatch.setattr(tightening, "held_accuracy", lambda *_, looks=looks: next(looks))
            work = controller(network, budget=3.0)
            work.judge()
            inside[lost] = bool(work.tensors["controller"][GOOD])
        assert inside == {3: True, 4: False}, right


@pytest.mark.parametrize(("budget", "choice"), [(100.0, "of the first"), (0.0, "none")])
def test_what_it_came_to_is_recorded_and_bounds_that_all_cost_more_are_left_out(tmp_path, budget, choice):
    with World(tmp_path).entered():
        world = World(tmp_path)
        unit = {"unit": {"steps": 3, "batch_size": 16, "lr": 0.1, "budget": budget, "start": 0.0}}
        ran = world.whole(world.config({"suspect": str(world.suspect())}, defenses=unit), "a run")
    (chosen,) = [event for event in ran.events if isinstance(event, Chosen)]
    assert (chosen.stage, chosen.what) == ("unit", "bounds") and chosen.choice.endswith(choice)
    assert chosen.cost.budget == budget and chosen.cost.within and chosen.cost.images > 0


def test_a_bound_model_of_a_run_is_exported_and_taken_for_a_suspect(tmp_path):
    """Through its folder's checkpoint, and through the shape in which its suspect's file came, under other names."""
    with World(tmp_path).entered():
        world = World(tmp_path)
        foreign = tmp_path / "given.pth"
        weights, _ = load_weights(world.suspect())
        torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in weights.items()}}, foreign)
        unit = {"unit": {"steps": 3, "batch_size": 16, "lr": 0.1}}
        ran = world.whole(world.config({"suspect": str(foreign)}, defenses=unit), "a run")
        figures = ran.finished["unit"].metrics
        content, _ = checkpoint.render(load(str(ran.folder), None), "unit", Path("out.pth"))
        (tmp_path / "out.pth").write_bytes(content)
        held = torch.load(tmp_path / "out.pth", weights_only=True)["state_dict"]
        assert any(name.startswith("module.") and name.endswith(".bound") for name in held)
        for file in (tmp_path / "out.pth", checkpoint_file(ran.folder, "unit")):
            again = world.whole(world.config({"suspect": str(file)}), "a run of what it came to")
            assert again.finished["attack"].metrics == figures
