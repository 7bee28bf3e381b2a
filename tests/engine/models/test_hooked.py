"""Taps by hooks: the same figures as a family's own, whatever the network does to its tensors."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from engine import models
from engine.errors import RequestError
from engine.models.finding import find_taps
from engine.models.hooked import Hooked
from engine.models.inference import as_input

BLOCKS = {"group1": "block1", "group2": "block2", "group3": "block3"}


def batch(size: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    return as_input(torch.randint(0, 256, (6, 3, size, size), dtype=torch.uint8, generator=generator))


def stepped(network: nn.Module, *, bf16: bool) -> list[Tensor]:
    """Everything that a step of distillation reads of a network: logits, maps, gradients, buffers."""
    network = network.to(memory_format=torch.channels_last).train()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        logits, maps = network.forward_with_taps(batch())
    loss = logits.float().square().mean() + sum(one.float().square().mean() for one in maps)
    loss.backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    return [logits.detach(), *(one.detach() for one in maps), *gradients, *network.buffers()]


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("name", ["wrn-10-1", "wrn-16-2"])
def test_hooks_give_to_the_bit_what_the_network_itself_gives(name, bf16):
    own = stepped(models.build(name, 5, seed=3), bf16=bf16)
    hooked = stepped(Hooked(models.build(name, 5, seed=3), BLOCKS), bf16=bf16)
    assert len(own) == len(hooked)
    for one, other in zip(own, hooked, strict=True):
        assert one.dtype == other.dtype and torch.equal(one, other)


def test_a_network_is_built_with_the_taps_that_are_asked_for():
    plain = models.build("wrn-10-1", 5, seed=3)
    chosen = models.build("wrn-10-1", 5, seed=3, taps=["block3.layer.0.bn1", "group1"])
    assert chosen.name == "wrn-10-1"
    assert chosen.tap_names == ("block3.layer.0.bn1", "group1")
    logits, maps = plain.eval().forward_with_taps(batch())
    same, (inner, first) = chosen.eval().forward_with_taps(batch())
    assert torch.equal(logits, same) and torch.equal(maps[0], first)
    assert inner.shape == (6, 32, 8, 8)
    assert type(models.build("wrn-10-1", 5, taps=("group1", "group2", "group3"))) is type(plain)


@pytest.mark.parametrize(
    ("taps", "message"),
    [
        (["blok1"], "tap 'blok1': wrn-10-1 has no such module, did you mean 'block1'"),
        (["group1", "group1"], "tap 'group1' is named more than once"),
    ],
)
def test_taps_that_do_not_exist_are_refused(taps, message):
    with pytest.raises(RequestError) as caught:
        models.build("wrn-10-1", 5, taps=taps)
    assert str(caught.value) == message


def test_weights_keep_their_names_alone_and_inside_another_module():
    plain = models.build("wrn-10-1", 5, seed=3)
    hooked = Hooked(models.build("wrn-10-1", 5, seed=4), {"block1": "block1"})
    state = plain.state_dict()
    assert list(hooked.state_dict()) == list(state)
    hooked.load_state_dict(state)
    assert all(torch.equal(value, state[name]) for name, value in hooked.state_dict().items())
    outer = nn.ModuleDict({"classifier": Hooked(models.build("wrn-10-1", 5, seed=4), {"block1": "block1"})})
    assert list(outer.state_dict()) == [f"classifier.{name}" for name in state]
    outer.load_state_dict({f"classifier.{name}": value for name, value in state.items()})
    assert all(torch.equal(value, state[name]) for name, value in outer["classifier"].state_dict().items())
    with pytest.raises(RuntimeError, match="Unexpected key"):
        hooked.load_state_dict({**state, "more.weight": torch.zeros(1)})
    with pytest.raises(RuntimeError, match="Missing key"):
        hooked.load_state_dict({name: value for name, value in state.items() if name != "fc.bias"})


class Net(nn.Module):
    """A module called `network`, ReLUs in place, one of them used again and again, a tuple, a layer never reached."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Conv2d(3, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.relu = nn.ReLU(inplace=True)
        self.down = nn.Sequential(nn.Conv2d(4, 5, 3, stride=2, padding=1), nn.BatchNorm2d(5))
        self.pair = Pair()
        self.spare = nn.Conv2d(3, 3, 1)
        self.fc = nn.Linear(5, 3)

    def forward(self, images: Tensor) -> Tensor:
        x = self.relu(self.bn(self.network(images)))
        x = self.relu(self.down(x))
        x, _ = self.pair(x)
        return self.fc(x.mean(dim=(2, 3)))


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


def test_a_tap_is_what_its_module_gave_whatever_is_done_to_it_afterwards():
    network = Net().eval()
    hooked = Hooked(network, {"bn": "bn", "down": "down", "relu": "relu"})
    _, (bn, down, relu) = hooked.forward_with_taps(batch())
    before = network.bn(network.network(batch()))
    assert torch.equal(bn, before) and bn.min() < 0
    assert torch.equal(down, network.down(before.relu())) and down.min() < 0
    assert torch.equal(relu, down.relu()), "the last time that it is used"
    stepped(hooked, bf16=False)
    assert network.network.weight.grad.abs().sum() > 0


def test_one_tap_and_a_network_with_a_module_called_network():
    hooked = Hooked(Net(), {"network": "network"})
    assert "network.weight" in hooked.state_dict()
    hooked.load_state_dict(Net().state_dict())
    _, maps = hooked.forward_with_taps(batch())
    assert [tuple(one.shape) for one in maps] == [(6, 4, 16, 16)]
    assert hooked.name == "Net"


@pytest.mark.parametrize(
    ("tap", "message"),
    [
        ("fc", "tap 'fc': Net gives 6x3 there, no map [N, C, H, W]"),
        ("pair", "tap 'pair': Net gives a tuple there, no map [N, C, H, W]"),
        ("spare", "tap 'spare': a pass through Net does not reach it"),
    ],
)
def test_a_tap_that_is_no_map_is_refused_by_name(tap, message):
    hooked = Hooked(Net(), {"down": "down", tap: tap})
    with pytest.raises(RequestError) as caught:
        hooked.forward_with_taps(batch())
    assert str(caught.value) == message
    assert hooked(batch()).shape == (6, 3)


def test_hooks_are_there_during_a_pass_alone_and_copies_stand_by_themselves():
    hooked = Hooked(Net(), {"down": "down"})
    twin = copy.deepcopy(hooked)
    hooked.forward_with_taps(batch())
    hooked.forward_with_taps(batch())

    def broken(images: Tensor) -> Tensor:
        raise ValueError("no")

    hooked.network.fc.forward = broken
    with pytest.raises(ValueError, match="no"):
        hooked.forward_with_taps(batch())
    assert not any(module._forward_hooks for module in hooked.modules())
    with torch.no_grad():
        hooked.network.bn.weight.fill_(0)
    _, (own,) = twin.forward_with_taps(batch())
    assert own.std() > 0
    twin.load_state_dict(hooked.state_dict())
    assert not twin.network.bn.weight.any()


def test_mode_reaches_the_network():
    hooked = Hooked(Net(), {"down": "down"}).eval()
    assert not hooked.network.bn.training
    assert hooked.train().network.bn.training


# --- finding taps ---


def test_the_last_map_of_each_resolution_is_found():
    network = Net().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    # relu writes in place and is used twice: of the larger maps bn's is the last that can be named.
    assert find_taps(network, batch()) == ("bn", "relu")
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    hooked = Hooked(network, {"down": "down"})
    assert find_taps(hooked, batch()) == ("bn", "relu")


def test_the_outermost_of_those_that_give_one_tensor_is_named():
    def block(into: int, out: int, stride: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(into, out, 3, stride=stride, padding=1), nn.ReLU(inplace=True))

    body = nn.Sequential(block(3, 4, 1), nn.Sequential(block(4, 6, 2), block(6, 6, 1)), nn.Dropout(0.5))
    network = nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    assert find_taps(network, batch()) == ("0.0", "0")
    _, maps = Hooked(network.eval(), {"0.0": "0.0", "0": "0"}).forward_with_taps(batch())
    assert [tuple(one.shape) for one in maps] == [(6, 4, 16, 16), (6, 6, 8, 8)]


def test_what_comes_before_the_first_layer_that_learns_says_nothing():
    class Normalized(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return (images - 0.5) / 0.25

    stem = nn.Conv2d(3, 4, 3, stride=2, padding=1)
    network = nn.Sequential(Normalized(), stem, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    assert find_taps(network, batch()) == ("1",)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([nn.Flatten(), nn.Linear(768, 4)], "Sequential has nothing to tap: no module of it gives a map [N, C, H, W]"),
        (
            [nn.Conv2d(3, 4, 16), nn.Flatten(), nn.Linear(4, 2)],
            "Sequential has nothing to tap: all its maps are 1x1 for images of 16x16",
        ),
    ],
)
def test_a_network_without_maps_is_refused_in_a_line(layers, message):
    with pytest.raises(RequestError) as caught:
        find_taps(nn.Sequential(*layers), batch())
    assert str(caught.value) == message
