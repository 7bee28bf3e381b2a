"""Which convolutions a norm stands behind, and who reads the last map, in networks of several kinds."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine import models
from engine.defenses.neurons import norms_of
from engine.defenses.tracing import convolutions_before_norms, norm_of_head, reader_of
from engine.models.inference import settled

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(2))


def before(name: str) -> dict[str, str]:
    """By norm, the convolution before it, where it is the same for all its channels."""
    network = models.build(name, 4, 0)
    found = {}
    for norm, channels in convolutions_before_norms(network, IMAGES).items():
        (found[norm],) = {name for name, _ in channels}
        assert [row for _, row in channels] == list(range(norms_of(network)[norm].num_features))
    assert list(found) == list(norms_of(network))
    return found


def test_before_activations_a_norm_stands_behind_the_last_that_wrote_into_the_trunk():
    """And not behind the shortcut, which is defined after it."""
    found = before("wrn-10-1")
    assert found["block1.layer.0.bn1"] == "conv1"
    assert found["block1.layer.0.bn2"] == "block1.layer.0.conv1"
    assert found["block2.layer.0.bn1"] == "block1.layer.0.conv2"
    assert found["block3.layer.0.bn1"] == "block2.layer.0.conv2"
    assert found["bn1"] == "block3.layer.0.conv2"
    other = before("preact-resnet-18@0.125")
    assert other["network.layer3.0.bn1"] == "network.layer2.1.conv2"
    assert other["network.layer3.1.bn1"] == "network.layer3.0.conv2"


def test_behind_activations_a_norm_stands_behind_its_one_convolution():
    found = before("cifar-resnet-8")
    assert found == {norm: norm.replace("bn", "conv") for norm in found}


def test_concatenated_maps_keep_their_channels():
    network = models.build("densenet-121@0.125", 4, 0)
    channels = convolutions_before_norms(network, IMAGES)
    norm, wide = max(channels.items(), key=lambda each: len(each[1]))
    names = [name for name, _ in wide]
    assert len(set(names)) > 2
    rows = [row for name in dict.fromkeys(names) for row in range(names.count(name))]
    assert [row for _, row in wide] == rows
    assert len(wide) == norms_of(network)[norm].num_features


@pytest.mark.parametrize("name", ["wrn-10-1", "resnet-18@0.125", "vgg-11@0.125", "densenet-121@0.125"])
def test_who_reads_the_last_map_reads_each_channel_where_it_says(name):
    """What it is given changes with a channel of the last norm in that channel's places alone."""
    network = settled(models.build(name, 4, 0), IMAGES)
    reader = reader_of(network, IMAGES)
    linear = network.get_submodule(reader.name)
    assert reader.channels == list(norms_of(network).values())[-1].num_features
    assert linear.in_features % reader.channels == 0
    given: list[torch.Tensor] = []
    linear.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0].detach()))
    with torch.no_grad():
        network(IMAGES)
        list(norms_of(network).values())[-1].bias[3] += 5
        network(IMAGES)
    moved = (given[0] != given[1]).any(0).reshape(reader.channels, -1).any(1)
    assert moved.nonzero().flatten().tolist() == [3]


def test_without_a_linear_layer_behind_a_convolution_there_is_no_reader():
    assert reader_of(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4)), IMAGES) is None
    assert reader_of(nn.Sequential(nn.Conv2d(3, 4, 32), nn.Flatten()), IMAGES) is None


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("wrn-10-1", "bn1"),
        ("preact-resnet-18@0.125", None),
        ("densenet-121@0.125", "network.features.norm5"),
        ("resnet-18@0.125", None),
        ("cifar-resnet-8", None),
    ],
)
def test_the_heads_own_norm_is_the_last_where_no_sum_is_in_between(name, last):
    network = settled(models.build(name, 4, 0), IMAGES)
    assert norm_of_head(network, IMAGES) == last
    assert norm_of_head(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4)), IMAGES) is None
