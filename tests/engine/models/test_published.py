"""The families' networks are the published ones: their parameters' names and shapes, and what they compute."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from engine import models
from engine.storage.checkpoints import fit

LARGE = (224, 224)
TORCHVISION = {
    "resnet-18": "resnet18",
    "resnet-34": "resnet34",
    "resnet-50": "resnet50",
    "vgg-11": "vgg11_bn",
    "vgg-16": "vgg16_bn",
    "vgg-19": "vgg19_bn",
    "mobilenet-v2": "mobilenet_v2",
    "densenet-121": "densenet121",
    "efficientnet-b0": "efficientnet_b0",
    "convnext-tiny": "convnext_tiny",
}


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def drawn(network: nn.Module) -> nn.Module:
    """The network in eval mode, its weights and batch norm statistics all unlike their defaults."""
    torch.manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize(("ours", "theirs"), TORCHVISION.items())
def test_for_large_images_names_and_shapes_are_torchvisions(ours, theirs):
    with torch.device("meta"):
        network = models.build(ours, 1000, size=LARGE)
        reference = torchvision.models.get_model(theirs, weights=None)
    assert shapes(network) == shapes(reference)
    assert list(network.state_dict()) == list(reference.state_dict())


@pytest.mark.parametrize("name", ["mobilenet-v2", "efficientnet-b0", "convnext-tiny"])
def test_for_small_images_the_same_weights_fit(name):
    with torch.device("meta"):
        assert shapes(models.build(name, 1000)) == shapes(models.build(name, 1000, size=LARGE))


def test_a_resnet_computes_what_torchvisions_does(tmp_path):
    reference = drawn(torchvision.models.resnet18(num_classes=10))
    network = models.build("resnet-18", 10, seed=0, size=(80, 72)).eval()
    fit(network, reference.state_dict(), tmp_path / "published.pth")
    images = torch.rand(2, 3, 80, 72)
    with torch.no_grad():
        torch.testing.assert_close(network(images), reference(images))


@pytest.mark.parametrize("name", ["vgg-11", "vgg-16"])
def test_a_vgg_has_torchvisions_layers(name):
    with torch.device("meta"):
        network = models.build(name, 1000, size=LARGE).network
        reference = torchvision.models.get_model(TORCHVISION[name], weights=None)
    for part in ("features", "classifier"):
        assert repr(getattr(network, part)) == repr(getattr(reference, part))
    assert network.avgpool.output_size == 7


# --- networks for small images ---


@pytest.mark.parametrize(
    ("name", "classes", "size", "parameters"),
    [
        ("preact-resnet-18", 10, (32, 32), 11_171_146),
        ("resnet-18", 10, (32, 32), 11_173_962),
        ("cifar-resnet-20", 10, (32, 32), 269_722),
        ("cifar-resnet-32", 10, (32, 32), 464_154),
        ("cifar-resnet-56", 10, (32, 32), 853_018),
        ("vgg-16", 10, (32, 32), 14_728_266),
        ("mobilenet-v2", 10, (32, 32), 2_236_682),
        ("vit-tiny", 1000, LARGE, 5_717_416),
        ("vit-small", 1000, LARGE, 22_050_664),
    ],
)
def test_there_are_as_many_parameters_as_are_published(name, classes, size, parameters):
    with torch.device("meta"):
        network = models.build(name, classes, size=size)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


@pytest.mark.parametrize(
    ("name", "telling"),
    [
        (
            "preact-resnet-18",
            {
                "conv1.weight": (64, 3, 3, 3),
                "layer1.0.bn1.running_mean": (64,),
                "layer2.0.shortcut.0.weight": (128, 64, 1, 1),
                "layer4.1.conv2.weight": (512, 512, 3, 3),
                "linear.weight": (10, 512),
            },
        ),
        (
            "cifar-resnet-32",
            {
                "conv1.weight": (16, 3, 3, 3),
                "bn1.weight": (16,),
                "layer3.0.conv1.weight": (64, 32, 3, 3),
                "layer3.4.bn2.bias": (64,),
                "linear.weight": (10, 64),
            },
        ),
        (
            "vgg-16",
            {"features.0.weight": (64, 3, 3, 3), "features.40.bias": (512,), "classifier.weight": (10, 512)},
        ),
        (
            "resnet-50",
            {
                "conv1.weight": (64, 3, 3, 3),
                "layer1.0.downsample.0.weight": (256, 64, 1, 1),
                "layer4.2.conv3.weight": (2048, 512, 1, 1),
                "fc.weight": (10, 2048),
            },
        ),
        ("densenet-121", {"features.conv0.weight": (64, 3, 3, 3), "classifier.weight": (10, 1024)}),
        (
            "vit-tiny",
            {
                "cls_token": (1, 1, 192),
                "pos_embed": (1, 65, 192),
                "patch_embed.proj.weight": (192, 3, 4, 4),
                "blocks.0.norm1.weight": (192,),
                "blocks.11.attn.qkv.weight": (576, 192),
                "blocks.11.attn.proj.bias": (192,),
                "blocks.3.mlp.fc1.weight": (768, 192),
                "blocks.3.mlp.fc2.weight": (192, 768),
                "norm.weight": (192,),
                "head.weight": (10, 192),
            },
        ),
    ],
)
def test_names_and_shapes_at_32_pixels(name, telling):
    with torch.device("meta"):
        found = shapes(models.build(name, 10))
    assert telling.items() <= found.items()


class PublishedPreActBlock(nn.Module):
    """The block of kuangliu/pytorch-cifar, written down independently of ours."""

    def __init__(self, in_planes, planes, stride=1):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_planes)
        self.conv1 = nn.Conv2d(in_planes, planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, kernel_size=3, stride=1, padding=1, bias=False)
        if stride != 1 or in_planes != planes:
            self.shortcut = nn.Sequential(nn.Conv2d(in_planes, planes, kernel_size=1, stride=stride, bias=False))

    def forward(self, x):
        out = F.relu(self.bn1(x))
        shortcut = self.shortcut(out) if hasattr(self, "shortcut") else x
        out = self.conv1(out)
        out = self.conv2(F.relu(self.bn2(out)))
        out += shortcut
        return out


class PublishedBasicBlock(nn.Module):
    """The block of akamaster/pytorch_resnet_cifar10 with option A, written down independently of ours."""

    def __init__(self, in_planes, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, kernel_size=3, stride=1, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shrinks = stride != 1 or in_planes != planes

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        quarter = out.shape[1] // 4
        out += F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter), "constant", 0) if self.shrinks else x
        return F.relu(out)


class Published(nn.Module):
    """Both networks around such blocks."""

    def __init__(self, block, planes, blocks, normed):
        super().__init__()
        self.conv1 = nn.Conv2d(3, planes[0], kernel_size=3, stride=1, padding=1, bias=False)
        if normed:
            self.bn1 = nn.BatchNorm2d(planes[0])
        before = planes[0]
        for number, after in enumerate(planes):
            strides = [1 if number == 0 else 2] + [1] * (blocks - 1)
            row = []
            for stride in strides:
                row.append(block(before, after, stride))
                before = after
            setattr(self, f"layer{number + 1}", nn.Sequential(*row))
        self.linear = nn.Linear(before, 10)
        self.levels = len(planes)

    def forward(self, x):
        out = self.conv1(x)
        if hasattr(self, "bn1"):
            out = F.relu(self.bn1(out))
        taps = []
        for number in range(self.levels):
            out = getattr(self, f"layer{number + 1}")(out)
            taps.append(out)
        return self.linear(F.avg_pool2d(out, out.size()[3]).view(out.size(0), -1)), taps


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("preact-resnet-18", lambda: Published(PublishedPreActBlock, (64, 128, 256, 512), 2, normed=False)),
        ("cifar-resnet-20", lambda: Published(PublishedBasicBlock, (16, 32, 64), 3, normed=True)),
    ],
)
def test_a_published_state_dict_gives_the_published_logits_and_maps(name, reference, tmp_path):
    published = drawn(reference())
    taps = [f"layer{number + 1}" for number in range(published.levels)]
    network = models.build(name, 10, seed=0, taps=taps).eval()
    assert list(network.state_dict()) == list(published.state_dict())
    fit(network, published.state_dict(), tmp_path / "published.pth")
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        (logits, maps), (ours, our_maps) = published(images), network.forward_with_taps(images)
    torch.testing.assert_close(ours, logits, rtol=1e-4, atol=1e-4)
    for one, other in zip(our_maps, maps, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_the_initialization_of_a_resnet_is_torchvisions():
    network = models.build("resnet-18@0.5", 10, seed=0)
    weight = network.network.layer4[1].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.01)
