"""Which maps of a network are taps: ends of blocks, not their insides; no levelled maps, no tables of tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.models.finding import find_taps
from engine.models.hooked import Hooked
from engine.models.inference import settled


def images(height: int = 16, width: int = 16) -> Tensor:
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(1))


class Bottleneck(nn.Module):
    """Widens a map before it makes it smaller."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(before, 2 * after, 1)
        self.act = nn.ReLU()
        self.reduce = nn.Conv2d(2 * after, after, 3, stride=stride, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.reduce(self.act(self.expand(x)))


def classifier(*layers: nn.Module, planes: int) -> nn.Sequential:
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(planes, 3))


def test_the_inside_of_a_block_that_makes_maps_smaller_does_not_count():
    stem = nn.Conv2d(3, 4, 3, padding=1)
    network = classifier(stem, Bottleneck(4, 4, 1), Bottleneck(4, 6, 2), Bottleneck(6, 6, 1), planes=6)
    assert find_taps(network, images()) == ("1", "3")
    assert find_taps(classifier(Bottleneck(3, 6, 2), planes=6), images()) == ("0.act", "0"), "but for the only ones"
    rows = nn.Sequential(Bottleneck(4, 4, 1), Bottleneck(4, 6, 2))
    assert find_taps(classifier(stem, rows, planes=6), images()) == ("1.0", "1"), "a row of blocks is no block"


class Level(nn.LayerNorm):
    """Over the channels of a map."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def test_what_a_layer_norm_gives_is_alike_everywhere_and_does_not_count():
    network = classifier(nn.Conv2d(3, 4, 3, padding=1), Level(4), nn.Conv2d(4, 6, 2, stride=2), Level(6), planes=6)
    assert find_taps(network, images()) == ("0", "2")
    hooked = Hooked(network, {"1": "1"}).eval()
    _, (level,) = hooked.forward_with_taps(images())
    places = level.square().sum(dim=1)
    assert places.std() < 1e-2 * places.mean()


class Tokens(nn.Module):
    """Patches, blocks that keep a table of tokens by tokens, a norm at the end; the first token decides."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.blocks = nn.ModuleList(Mixing() for _ in range(blocks))
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([x.mean(dim=1, keepdim=True), x], dim=1)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class Mixing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.softmax = nn.Softmax(dim=-1)
        self.mix = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        table = self.softmax(x @ x.transpose(1, 2)).unsqueeze(1)
        return x + self.mix(table[:, 0] @ x)


def test_a_transformers_taps_are_after_a_third_two_thirds_and_all_of_its_blocks():
    taps = {3: "012", 4: "123", 6: "135", 7: "246", 12: ("3", "7", "11")}
    for count, places in taps.items():
        assert find_taps(Tokens(count), images(32, 32)) == tuple(f"blocks.{place}" for place in places), count
        assert find_taps(Tokens(count), images(24, 32)) == tuple(f"blocks.{place}" for place in places), count
    assert find_taps(Tokens(1), images(32, 32)) == ("blocks.0",)


def test_a_network_that_nobody_trained_has_maps_that_do_not_vanish():
    layers = [
        layer for _ in range(12) for layer in (nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    ]
    network = nn.Sequential(nn.Conv2d(3, 4, 1), *layers).eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.weight.mul_(0.02)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    fresh, alone = settled(network, images()), settled(network, images()[:1])
    assert network.training and not fresh.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    with torch.no_grad():
        assert network.eval()(images()).std() < 1e-10
        assert fresh(images()).std() > 0.1
        assert alone(images()[:1]).std() > 0.1, "of a single image, too"
