"""`torchvision:NAME` and `timm:NAME`: any of their classifiers, without weights, and what is said of none."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch
import torchvision
from torch import nn

from engine import models
from engine.errors import RequestError
from engine.models.finding import with_taps
from engine.models.foreign import check_logits


def maps_of(name: str, side: int) -> list[tuple[int, ...]]:
    images = torch.rand(2, 3, side, side)
    network = with_taps(models.build(name, 7, seed=0, size=(side, side)), images).eval()
    with torch.no_grad():
        logits, maps = network.forward_with_taps(images)
    assert logits.shape == (2, 7) and network.name == name
    return [tuple(found.shape[1:]) for found in maps]


@pytest.mark.parametrize(
    ("name", "side", "maps"),
    [
        ("torchvision:shufflenet_v2_x0_5", 32, [(24, 16, 16), (24, 8, 8), (48, 4, 4), (96, 2, 2)]),
        ("torchvision:squeezenet1_1", 64, [(64, 31, 31), (128, 15, 15), (256, 7, 7), (512, 3, 3)]),
        ("torchvision:regnet_y_400mf", 32, [(32, 16, 16), (48, 8, 8), (104, 4, 4), (208, 2, 2)]),
        ("torchvision:swin_t", 32, [(96, 8, 8), (192, 4, 4), (384, 2, 2)]),
    ],
)
def test_classifiers_of_torchvision_with_their_maps(name, side, maps):
    assert maps_of(name, side) == maps


def test_a_transformer_of_torchvision_is_made_for_the_images_size():
    with torch.device("meta"):
        network = models.build("torchvision:vit_b_16", 5, size=(48, 48))
    assert network.state_dict()["encoder.pos_embedding"].shape == (1, 10, 768)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_heads_beside_the_last_one_are_left_out(name):
    with torch.device("meta"):
        network = models.build(f"torchvision:{name}", 5)
    assert not any("aux" in key.lower() for key in network.state_dict())


def test_names_and_shapes_are_torchvisions():
    with torch.device("meta"):
        ours = models.build("torchvision:mnasnet0_5", 10).state_dict()
        theirs = torchvision.models.get_model("mnasnet0_5", num_classes=10).state_dict()
    assert {name: value.shape for name, value in ours.items()} == {name: value.shape for name, value in theirs.items()}


@pytest.mark.parametrize(
    ("name", "size", "message"),
    [
        ("resnet81", (32, 32), "torchvision has no such classifier, did you mean 'torchvision:resnet18'"),
        ("fcn_resnet50", (32, 32), "torchvision has no such classifier, did you mean"),
        ("zzz", (32, 32), "torchvision has no such classifier; allowed: alexnet, "),
        ("vit_b_16", (40, 40), "none can be built for images of 40x40"),
        ("maxvit_t", (32, 32), "none can be built for images of 32x32"),
    ],
)
def test_what_torchvision_cannot_build_is_refused_in_a_line(name, size, message):
    with pytest.raises(RequestError) as caught:
        models.build(f"torchvision:{name}", 5, size=size)
    said = str(caught.value)
    assert said.startswith(f"model.name = 'torchvision:{name}': ") and message in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("name", "size"), [("torchvision:alexnet", (32, 32)), ("torchvision:vit_b_16", (32, 64)), ("convnext-tiny", (8, 8))]
)
def test_images_that_it_cannot_take_are_named_by_their_size(name, size):
    with torch.device("meta"):
        network = models.build(name, 5, size=size)
        images = torch.zeros(2, 3, *size)
    with pytest.raises(RequestError) as caught:
        check_logits(network, images, 5)
    said = str(caught.value)
    assert said.startswith(f"model.name = {name!r}: it cannot take images of {size[0]}x{size[1]} (")
    assert "\n" not in said


# --- timm, which need not be installed ---


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """A timm of two networks; what was asked of it."""
    asked: list[dict] = []

    def create_model(name, **given):
        asked.append({"name": name, **given})
        return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 7))

    known = {"resnet18d": SimpleNamespace(fixed_input_size=False), "vit_nano": SimpleNamespace(fixed_input_size=True)}
    fake = SimpleNamespace(
        is_model=known.__contains__,
        list_models=lambda: list(known),
        get_pretrained_cfg=known.get,
        create_model=create_model,
    )
    monkeypatch.setitem(sys.modules, "timm", fake)
    return asked


def test_classifiers_of_timm_are_built_without_weights(timm):
    assert maps_of("timm:resnet18d", 16) == [(4, 16, 16)]
    maps_of("timm:vit_nano", 16)
    assert timm == [
        {"name": "resnet18d", "pretrained": False, "num_classes": 7},
        {"name": "vit_nano", "pretrained": False, "num_classes": 7, "img_size": (16, 16)},
    ]


def test_what_timm_does_not_have_is_refused_in_a_line(timm):
    with pytest.raises(RequestError) as caught:
        models.build("timm:resnet18x", 5)
    assert str(caught.value) == (
        "model.name = 'timm:resnet18x': timm has no such classifier, did you mean 'timm:resnet18d'"
    )


def test_where_timm_is_not_installed_a_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    models.check_name("timm:resnet18d")
    with pytest.raises(RequestError) as caught:
        models.build("timm:resnet18d", 5)
    assert str(caught.value) == "model.name = 'timm:resnet18d': timm is not installed: pip install 'nadtui[timm]'"
