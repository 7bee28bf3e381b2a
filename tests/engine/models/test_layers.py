"""The layers of a network by what they are to it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from engine import models
from engine.errors import RequestError
from engine.models.finding import with_taps
from engine.models.layers import layer_paths
from engine.models.normalized import Normalized
from engine.models.preprocessing import preprocessing
from tests.ports import Tapped

IMAGES = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def network(name: str) -> nn.Module:
    return with_taps(models.build(name, 10, 0).eval(), IMAGES)


def paths(model: nn.Module, *names: str) -> tuple[str, ...]:
    return layer_paths(model, IMAGES, names, "layers")


@pytest.mark.parametrize("family", models.FAMILIES.loaded())
def test_the_head_of_every_family_gives_the_logits(family):
    if family == "timm":
        pytest.importorskip("timm")
    model = network(models.FAMILIES.get(family).smallest)
    (path,) = paths(model, "head")
    assert model.get_submodule(path).weight.shape[0] == 10
    given = {}
    with torch.no_grad():
        handle = model.get_submodule(path).register_forward_hook(lambda module, x, out: given.setdefault("out", out))
        logits = model(IMAGES)
        handle.remove()
    assert torch.equal(given["out"].flatten(1), logits)


def test_a_tap_is_all_layers_since_the_tap_before():
    model = network("wrn-10-1")
    before = ("conv1", "block1.layer.0.conv1", "block1.layer.0.conv2")
    between = tuple(f"block2.layer.0.{name}" for name in ("convShortcut", "conv1", "conv2"))
    assert paths(model, "group1") == before
    assert paths(model, "group2") == between
    assert paths(model, "head", "group1", "block1.layer.0.conv2") == (*before, "fc")


def test_a_module_is_all_layers_in_it():
    model = network("preact-resnet-18@0.25")
    assert paths(model, "linear") == ("network.linear",)
    assert paths(model, "network.linear") == ("network.linear",)
    assert paths(model, "layer4.1") == ("network.layer4.1.conv1", "network.layer4.1.conv2")
    assert set(paths(model, *model.tap_names)) == {
        path for path, module in model.named_modules() if isinstance(module, nn.Conv2d)
    }


def test_behind_a_normalization_the_names_are_the_same():
    plain = network("wrn-10-1")
    behind = Normalized(plain, preprocessing("cifar10", None))
    assert paths(behind, "head", "group3") == tuple(f"network.{path}" for path in paths(plain, "head", "group3"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("grop2", "layers: there is no tap and no module 'grop2', did you mean 'group2'"),
        ("zzz", "there is no tap and no module 'zzz'; allowed: head, group1, group2, group3, a module's dotted name"),
        ("", "there is no tap and no module ''"),
        ("bn1", "layers: 'bn1' has no convolution and no linear layer"),
    ],
)
def test_what_is_not_there_is_refused(name, said):
    with pytest.raises(RequestError) as refused:
        paths(network("wrn-10-1"), name)
    assert said in str(refused.value)


def test_a_network_of_ones_own_is_known_by_its_modules():
    model = Tapped(0)
    assert paths(model, "head") == ("fc",)
    assert paths(model, "convs") == ("convs.0", "convs.1")
    with pytest.raises(RequestError, match="no tap and no module 'two'"):
        paths(model, "two")
