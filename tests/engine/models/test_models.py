"""Networks: names, parameter names, shapes, determinism, and agreement with the published implementation."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from engine import models
from engine.errors import RequestError
from engine.storage.checkpoints import fit


class PublishedBlock(nn.Module):
    """The block of the PyTorch WideResNet in common use, written down independently of ours."""

    def __init__(self, in_planes, out_planes, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_planes)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(in_planes, out_planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_planes)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out_planes, out_planes, kernel_size=3, stride=1, padding=1, bias=False)
        self.equalInOut = in_planes == out_planes
        self.convShortcut = (
            (not self.equalInOut)
            and nn.Conv2d(in_planes, out_planes, kernel_size=1, stride=stride, padding=0, bias=False)
        ) or None

    def forward(self, x):
        if not self.equalInOut:
            x = self.relu1(self.bn1(x))
        else:
            out = self.relu1(self.bn1(x))
        out = self.relu2(self.bn2(self.conv1(out if self.equalInOut else x)))
        out = self.conv2(out)
        return torch.add(x if self.equalInOut else self.convShortcut(x), out)


class PublishedGroup(nn.Module):
    def __init__(self, count, in_planes, out_planes, stride):
        super().__init__()
        self.layer = nn.Sequential(
            *[
                PublishedBlock(in_planes if i == 0 else out_planes, out_planes, stride if i == 0 else 1)
                for i in range(count)
            ]
        )

    def forward(self, x):
        return self.layer(x)


class PublishedWideResNet(nn.Module):
    def __init__(self, depth, classes, widen_factor):
        super().__init__()
        channels = [16, 16 * widen_factor, 32 * widen_factor, 64 * widen_factor]
        count = (depth - 4) // 6
        self.conv1 = nn.Conv2d(3, channels[0], kernel_size=3, stride=1, padding=1, bias=False)
        self.block1 = PublishedGroup(count, channels[0], channels[1], 1)
        self.block2 = PublishedGroup(count, channels[1], channels[2], 2)
        self.block3 = PublishedGroup(count, channels[2], channels[3], 2)
        self.bn1 = nn.BatchNorm2d(channels[3])
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(channels[3], classes)

    def forward(self, x):
        out1 = self.block1(self.conv1(x))
        out2 = self.block2(out1)
        out3 = self.block3(out2)
        out = F.avg_pool2d(self.relu(self.bn1(out3)), 8)
        return self.fc(out.view(-1, self.bn1.num_features)), (out1, out2, out3)


def published(depth, width, classes):
    """A published network, its weights and batch norm statistics all unlike their defaults."""
    torch.manual_seed(3)
    network = PublishedWideResNet(depth, classes, width)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 1.5)
    return network


@pytest.mark.parametrize(("depth", "width"), [(10, 1), (16, 1), (10, 2)])
def test_a_published_state_dict_gives_the_published_logits_and_groups(depth, width, tmp_path):
    reference = published(depth, width, 10).eval()
    ours = models.build(f"wrn-{depth}-{width}", 10, seed=0).eval()
    assert list(ours.state_dict()) == list(reference.state_dict())
    fit(ours, reference.state_dict(), tmp_path / "published.pth")
    images = torch.rand(4, 3, 32, 32)
    with torch.no_grad():
        logits, groups = reference(images)
        our_logits, taps = ours.forward_with_taps(images)
    assert (logits - our_logits).abs().max() < 1e-5
    for group, tap in zip(groups, taps, strict=True):
        torch.testing.assert_close(group, tap)


def test_parameters_of_wrn_16_1():
    network = models.build("wrn-16-1", 10, seed=0)
    assert sum(parameter.numel() for parameter in network.parameters()) == 175_066
    names = set(dict(network.named_parameters()))
    assert {"conv1.weight", "block1.layer.0.bn1.weight", "block2.layer.0.convShortcut.weight"} <= names
    assert {"bn1.weight", "fc.weight", "fc.bias"} <= names
    # At width 1 the first group keeps its 16 planes: there is nothing for a shortcut to convert.
    assert "block1.layer.0.convShortcut.weight" not in names
    assert "block1.layer.0.convShortcut.weight" in dict(models.build("wrn-10-2", 10).named_parameters())


@pytest.mark.parametrize("size", [(32, 32), (48, 40), (28, 28)])
def test_any_image_size(size):
    network = models.build("wrn-10-1", 7, seed=0).eval()
    height, width = size
    images = torch.rand(2, 3, height, width)
    with torch.no_grad():
        logits, taps = network.forward_with_taps(images)
        assert torch.equal(network(images), logits)
    assert logits.shape == (2, 7)
    assert [tuple(tap.shape) for tap in taps] == [
        (2, 16, height, width),
        (2, 32, height // 2, width // 2),
        (2, 64, height // 4, width // 4),
    ]
    assert len(network.tap_names) == len(taps)


def test_taps_carry_gradient_and_are_not_overwritten_by_what_follows():
    network = models.build("wrn-10-1", 5, seed=0)
    logits, taps = network.forward_with_taps(torch.rand(2, 3, 16, 16))
    # An in-place operation on a tap would make this raise.
    (logits.sum() + sum(tap.pow(2).mean() for tap in taps)).backward()
    assert network.conv1.weight.grad.abs().sum() > 0
    assert taps[2].min() < 0  # before the last activation


def test_the_seed_decides_the_weights_and_the_global_generator_is_untouched():
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    first = models.build("wrn-10-1", 10, seed=4)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(12)
    second = models.build("wrn-10-1", 10, seed=4)
    third = models.build("wrn-10-1", 10, seed=5)
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name]), name
    assert not torch.equal(first.conv1.weight, third.conv1.weight)


def test_initialization_is_he_normal_by_fan_out():
    network = models.build("wrn-10-4", 10, seed=0)
    weight = network.block3.layer[0].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.01)
    assert network.fc.bias.abs().max() == 0


@pytest.mark.parametrize("name", ["wrn-16-1", "wrn-10-1", "wrn-40-2", "wrn-28-10"])
def test_valid_names(name):
    models.check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "wrn-15-1",
        "wrn-4-1",
        "wrn-16-0",
        "wrn-16",
        "WRN-16-1",
        "wrn-16-1 ",
        "wrn-016-1",
        "resnext",
        "",
        "../wrn-16-1",
    ],
)
def test_an_invalid_name_is_refused_with_the_allowed_forms(name):
    with pytest.raises(RequestError, match="wrn-DEPTH-WIDTH") as caught:
        models.check_name(name)
    assert repr(name) in str(caught.value)
    with pytest.raises(RequestError):
        models.build(name, 10)


def test_names_are_checked_and_taps_known_without_torch():
    check = "from engine import models; models.check_name('wrn-16-1'); models.tap_names('wrn-16-1')"
    code = f"{check}; import sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["wrn-10-1", "wrn-16-2"])
def test_declared_taps_are_the_networks(name):
    network = models.build(name, 3, seed=0)
    declared = models.known_taps(name)
    assert models.tap_names(name) == tuple(tap.name for tap in declared) == network.tap_names
    kept = {}
    for tap in declared:
        network.get_submodule(tap.module).register_forward_hook(
            lambda module, given, output, name=tap.name: kept.__setitem__(name, output)
        )
    _, maps = network.forward_with_taps(torch.rand(2, 3, 32, 24))
    for tap, found in zip(declared, maps, strict=True):
        assert tuple(found.shape) == (2, tap.channels, 32 // tap.stride, 24 // tap.stride)
        assert kept[tap.name] is found


def test_the_taps_of_no_network_are_refused_like_its_name():
    with pytest.raises(RequestError, match="unknown model 'wrn-17-1'; allowed: wrn-DEPTH-WIDTH"):
        models.tap_names("wrn-17-1")
