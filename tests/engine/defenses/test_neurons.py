"""Channels under masks and noise, and pruned: against what each means for one norm by hand."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import Tensor, nn

from engine import models
from engine.defenses.neurons import (
    by_batch,
    by_norm,
    channels_of,
    fold,
    logits_under,
    norms_of,
    pruned,
    worst_noise,
)
from engine.models.inference import freeze

IMAGES = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])


class Small(nn.Module):
    """A convolution to four channels, a norm, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.norm(self.conv(images)).relu().mean((2, 3)))


@pytest.fixture
def small() -> nn.Module:
    torch.manual_seed(0)
    network = Small()
    with torch.no_grad():
        network.norm.weight.uniform_(0.5, 2)
        network.norm.bias.uniform_(-1, 1)
    network(IMAGES)
    return freeze(network)


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("batch", [False, True], ids=["running", "batch"])
def test_a_network_under_masks_is_the_edited_one_and_stays_itself(small, batch):
    model = by_batch(small) if batch else small
    before = state(model)
    weight, bias = torch.tensor([0.5, 1, 0, 2]), torch.tensor([1, 1.5, 1, 0.2])
    edited = copy.deepcopy(model)
    with torch.no_grad():
        edited.norm.weight *= weight
        edited.norm.bias *= bias
    torch.testing.assert_close(logits_under(model, IMAGES, weight=weight, bias=bias), edited(IMAGES))
    assert same(before, state(model))


def test_folded_masks_are_plain_weights(small):
    row = torch.tensor([0.5, 1, 0, 2])
    wanted = logits_under(small, IMAGES, weight=row)
    torch.testing.assert_close(fold(small, row)(IMAGES), wanted)


@pytest.mark.parametrize("bias", [False, True])
def test_a_pruned_channel_is_dead_and_no_other_is(small, bias):
    dead = torch.tensor([False, True, False, True])
    network = pruned(copy.deepcopy(small), dead, bias=bias)
    after = network.norm(network.conv(IMAGES))
    before = small.norm(small.conv(IMAGES))
    assert torch.equal(after[:, dead], (0 if bias else small.norm.bias[dead, None, None]) * torch.ones(6, 2, 6, 6))
    assert torch.equal(after[:, ~dead], before[:, ~dead])


def test_a_row_goes_through_all_norms_in_their_order():
    network = models.build("wrn-10-1", 4, 0)
    row = torch.arange(float(channels_of(network)))
    parts = by_norm(network, row)
    assert list(parts) == list(norms_of(network))
    assert torch.equal(torch.cat(list(parts.values())), row)
    assert [len(part) for part in parts.values()] == [norm.num_features for norm in norms_of(network).values()]


def test_the_worst_noise_is_the_worst_corner_where_the_loss_is_as_good_as_linear_in_it(small):
    """Against all 2^4 corners of the biases: in so small a range."""
    eps = 0.05
    weight, bias = worst_noise(small, IMAGES, LABELS, torch.Generator().manual_seed(3), eps=eps, steps=4)
    assert weight.abs().max() <= eps and bias.abs().max() <= eps

    def loss(corner: Tensor) -> float:
        logits = logits_under(small, IMAGES, weight=1 + weight, bias=1 + corner)
        return float(nn.functional.cross_entropy(logits.double(), LABELS))

    losses = [loss(torch.tensor(signs) * eps) for signs in itertools.product((-1.0, 1.0), repeat=4)]
    assert loss(bias.sign() * eps) == pytest.approx(max(losses), abs=1e-6)
    assert max(losses) - min(losses) > 1e-5
