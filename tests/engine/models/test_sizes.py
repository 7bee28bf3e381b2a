"""Every family at several sizes of images and widths: what its maps are, and which names there are."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import torch

from engine import models
from engine.errors import RequestError
from engine.models import FAMILIES
from engine.models.finding import with_taps

SMALLEST = {word: FAMILIES.get(word).smallest for word in FAMILIES.ours}
SIDES = {
    "wrn": (32, 16, 8),
    "preact-resnet": (32, 16, 8, 4),
    "resnet": (32, 16, 8, 4),
    "cifar-resnet": (32, 16, 8),
    "vgg": (32, 16, 8, 4, 2),
    "mobilenet": (32, 16, 8, 4),
    "densenet": (32, 16, 8, 4),
    "efficientnet": (32, 16, 8, 4, 2),
    "convnext": (16, 8, 4, 2),
    "vit": (8, 8, 8),
}
"""The sides of each family's maps of images of 32x32."""


def maps_of(name: str, size: tuple[int, int], **more) -> list[tuple[int, ...]]:
    """The shapes of the maps of a batch of two, its logits checked beside."""
    images = torch.rand(2, 3, *size)
    network = with_taps(models.build(name, 5, seed=0, size=size, **more), images).eval()
    with torch.no_grad():
        logits, maps = network.forward_with_taps(images)
        assert torch.equal(network(images), logits)
    assert logits.shape == (2, 5)
    return [tuple(found.shape) for found in maps]


TAPS = {
    "preact-resnet-18@0.1": ("layer1", "layer2", "layer3", "layer4"),
    "resnet-50@0.05": ("layer1", "layer2", "layer3", "layer4"),
    "vgg-11@0.1": ("features.2", "features.6", "features.13", "features.20", "features.27"),
    "mobilenet-v2@0.25": ("features.3", "features.6", "features.13", "features"),
    "densenet-121@0.05": ("features.denseblock1", "features.denseblock2", "features.denseblock3", "features"),
    "efficientnet-b0@0.1": ("features.1", "features.2", "features.3", "features.5", "features"),
    "convnext-tiny@0.1": ("features.1", "features.3", "features.5", "features"),
    "torchvision:shufflenet_v2_x0_5": ("conv1", "maxpool", "stage2", "stage3"),
}


@pytest.mark.parametrize(("name", "taps"), TAPS.items())
def test_taps_are_the_ends_of_blocks(name, taps):
    images = torch.rand(2, 3, 32, 32)
    assert with_taps(models.build(name, 5, seed=0), images).tap_names == taps


def test_every_family_is_looked_at():
    assert {*SIDES, "torchvision", "timm"} == set(FAMILIES.ours)


@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize("word", SIDES)
def test_taps_are_the_last_map_of_each_resolution(word, side):
    grows = 1 if word == "vit" else side // 32
    wanted = [grows * each for each in SIDES[word]]
    if (word, side) == ("vgg", 64):
        wanted.append(2)  # of what it pools five times
    assert [shape[2:] for shape in maps_of(SMALLEST[word], (side, side))] == [(each, each) for each in wanted]


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (48, 32), (30, 41)])
@pytest.mark.parametrize("word", [word for word in SIDES if word != "convnext"])
def test_images_of_other_sizes(word, size):
    assert all(min(shape[2:]) >= 1 for shape in maps_of(SMALLEST[word], size))


@pytest.mark.parametrize(
    ("name", "sides"),
    [
        ("preact-resnet-18@0.1", (48, 24, 12, 6, 3)),
        ("resnet-18@0.1", (48, 24, 12, 6, 3)),
        ("mobilenet-v2@0.1", (48, 24, 12, 6, 3)),
        ("convnext-tiny@0.1", (24, 12, 6, 3)),
        ("vit-tiny@0.1", (6, 6, 6)),
    ],
)
def test_above_64_pixels_networks_begin_as_on_imagenet(name, sides):
    assert [shape[2] for shape in maps_of(name, (96, 96))] == list(sides)


def test_the_taps_of_a_transformer_are_those_after_each_third_of_its_blocks():
    network = with_taps(models.build("vit-tiny@0.1", 5, seed=0), torch.rand(2, 3, 32, 32)).eval()
    assert network.tap_names == ("blocks.3", "blocks.7", "blocks.11")
    images, given = torch.rand(2, 3, 32, 32), []
    network.network.blocks[7].register_forward_hook(lambda module, inputs, output: given.append(output))
    _, (_, second, _) = network.forward_with_taps(images)
    tokens = given[0]
    assert tokens.shape == (2, 65, 24)
    assert torch.equal(second[:, :, 2, 5], tokens[:, 1 + 2 * 8 + 5]), "the class token first, then row by row"


def test_a_transformer_takes_images_of_another_size_than_it_was_made_for():
    network = models.build("vit-tiny@0.1", 5, seed=0, size=(32, 32)).eval()
    own = network.network.pos_embed
    torch.nn.init.normal_(own)
    assert network(torch.rand(2, 3, 48, 36)).shape == (2, 5)
    assert network.network._positions((8, 8)) is own
    assert network.network._positions((12, 9)).shape == (1, 109, 24)


# --- widths and names ---


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("preact-resnet-18@0.25", (16, 32, 64, 128)),
        ("resnet-18@0.5", (32, 64, 128, 256)),
        ("resnet-50@0.125", (64, 64, 128, 256)),
        ("cifar-resnet-8@2", (32, 64, 128)),
        ("vgg-11@0.25", (16, 32, 64, 128, 128)),
        ("mobilenet-v2@0.5", (16, 16, 48, 1280)),
        ("convnext-tiny@0.25", (24, 48, 96, 192)),
        ("vit-tiny@0.25", (48, 48, 48)),
        ("vit-small@0.25", (96, 96, 96)),
    ],
)
def test_a_width_scales_the_channels(name, channels):
    assert tuple(shape[1] for shape in maps_of(name, (32, 32))) == channels


@pytest.mark.parametrize(
    "name",
    ["resnet-34", "resnet-50@0.5", "cifar-resnet-110", "cifar-resnet-1202", "vgg-19@1.5", "densenet-121@0.05"],
)
def test_names_that_there_are(name):
    models.check_name(name)
    assert models.known_taps(name) is None


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("resnet-20", "resnet-18|34|50[@WIDTH from 0.05 to 4]"),
        ("resnet", "resnet-18|34|50[@WIDTH from 0.05 to 4]"),
        ("resnet-18@", "resnet-18|34|50[@WIDTH from 0.05 to 4]"),
        ("resnet-18@0", "from 0.05 to 4"),
        ("resnet-18@0.01", "from 0.05 to 4"),
        ("resnet-18@5", "from 0.05 to 4"),
        ("resnet-18@0.50", "from 0.05 to 4"),
        ("resnet-18@-1", "from 0.05 to 4"),
        ("preact-resnet-34", "preact-resnet-18[@WIDTH from 0.05 to 4]"),
        ("cifar-resnet-33", "(6n + 2)"),
        ("cifar-resnet-2", "(6n + 2)"),
        ("vgg-13", "vgg-11|16|19[@WIDTH from 0.05 to 4]"),
        ("mobilenet-v3", "mobilenet-v2[@WIDTH from 0.05 to 4]"),
        ("vit-base", "vit-tiny|small[@WIDTH from 0.05 to 4]"),
        ("torchvision:", "torchvision:NAME"),
        ("torchvision:../x", "torchvision:NAME"),
        ("timm:hf_hub:some/one", "timm:NAME"),
        ("alexnet", "wrn-DEPTH-WIDTH"),
    ],
)
def test_names_that_there_are_not_are_refused_with_the_allowed_forms(name, allowed):
    with pytest.raises(RequestError) as caught:
        models.check_name(name)
    said = str(caught.value)
    assert said.startswith(f"unknown model {name!r}; allowed: ") and allowed in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ResNet18", "resnet-18|34|50"),
        ("preactresnet18", "preact-resnet-18"),
        ("vgg16_bn", "vgg-11|16|19"),
        ("MobileNetV2", "mobilenet-v2"),
        ("densenet121", "densenet-121"),
        ("WRN-16-1", "wrn-DEPTH-WIDTH"),
    ],
)
def test_what_is_written_otherwise_elsewhere_is_guessed(name, meant):
    with pytest.raises(RequestError, match=re.escape(f"unknown model '{name}', did you mean {meant}")):
        models.check_name(name)


def test_names_are_checked_without_torch():
    names = [name for name in SMALLEST.values() if name] + ["timm:resnet18d"]
    code = (
        f"from engine import models; import sys; [models.check_name(name) for name in {names}]; "
        "assert not {'torch', 'torchvision', 'timm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_weights_are_drawn_by_the_seed_alone():
    for name in ("vit-tiny@0.1", "densenet-121@0.05"):
        torch.manual_seed(1)
        before = torch.random.get_rng_state()
        one, same, other = (models.build(name, 3, seed=seed).state_dict() for seed in (4, 4, 5))
        assert torch.equal(torch.random.get_rng_state(), before)
        assert all(torch.equal(value, same[key]) for key, value in one.items())
        assert any(not torch.equal(value, other[key]) for key, value in one.items())
