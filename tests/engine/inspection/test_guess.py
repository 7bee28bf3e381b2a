"""A network by the shapes of its weights alone."""

from __future__ import annotations

import pytest
import torch

from engine import models
from engine.errors import RequestError
from engine.inspection.guess import classes_of, guess
from engine.inspection.report import inspect


def shapes(name, classes, prefix="", rename=lambda name: name):
    with torch.device("meta"):
        state = models.build(name, classes).state_dict()
    return {prefix + rename(key): tuple(tensor.shape) for key, tensor in state.items()}


@pytest.mark.parametrize("name", ["wrn-10-1", "wrn-16-1", "wrn-16-2", "wrn-22-4", "wrn-40-2"])
@pytest.mark.parametrize("prefix", ["", "module.", "a.b."])
def test_a_network_of_ours_is_told_by_depth_and_width(name, prefix):
    found = guess(shapes(name, 7, prefix))
    assert (found.name, found.classes, found.fits) == (name, 7, True)


@pytest.mark.parametrize(
    "name",
    [
        *("preact-resnet-18", "preact-resnet-18@0.25", "resnet-18", "resnet-34@0.5", "resnet-50", "cifar-resnet-32"),
        *("vgg-11@0.25", "vgg-16", "mobilenet-v2@0.5", "densenet-121", "efficientnet-b0", "convnext-tiny@0.5"),
        *("vit-tiny", "vit-small"),
    ],
)
def test_networks_of_other_families_are_told_by_kind_and_width(name):
    found = guess(shapes(name, 7))
    assert (found.name, found.classes, found.fits) == (name, 7, True)


def test_under_other_names_its_shapes_tell():
    found = guess(shapes("wrn-16-2", 10, rename=lambda name: name.replace("block", "stage").replace("bn", "norm")))
    assert (found.name, found.fits, found.share) == ("wrn-16-2", False, 1)
    assert "other names" in found.said()


def test_what_is_like_nothing_is_not_guessed():
    assert guess({"0.weight": (64, 32), "0.bias": (64,)}) is None
    assert guess({"w": (3,)}) is None
    assert guess({}) is None


def test_every_family_takes_part():
    for word, family in models.FAMILIES.loaded().items():
        if family.smallest:
            found = guess(shapes(family.smallest, 6))
            assert found is not None, word
            assert (found.fits, found.classes) == (True, 6), word


def test_classes_are_the_rows_of_the_last_linear_layer():
    assert classes_of({"fc1.weight": (64, 32), "fc1.bias": (64,), "fc2.weight": (9, 64), "fc2.bias": (9,)}) == 9
    assert classes_of({"head.weight": (4, 8), "pos_embed": (1, 5, 8)}) == 4
    assert classes_of({"conv.weight": (10, 64, 1, 1)}) == 10
    assert classes_of({"bn.weight": (3,)}) is None


def test_an_inspection_reads_no_tensor_and_tells_what_there_is(tmp_path):
    state = models.build("wrn-10-1", 5).state_dict()
    held = {"0.mean": torch.full((3,), 0.5), "0.std": torch.full((3,), 0.5)}
    held |= {f"1.{name}": each.half() if each.is_floating_point() else each for name, each in state.items()}
    torch.save({"state_dict": held, "epoch": 3, "optimizer": {"state": {}}}, tmp_path / "m.pt")
    told = inspect(tmp_path / "m.pt").to_dict()
    assert told["network"]["name"] == "wrn-10-1"
    assert told["network"]["fits"]
    assert told["classes"] == 5
    assert told["preprocessing"]["is"] == "half"
    assert told["mappings"][0]["path"] == ["state_dict"]
    assert {"name": "1.fc.weight", "shape": [5, 64], "dtype": "float16", "layout": "dense"} in told["tensors"]


def test_what_cannot_be_inspected_says_why(tmp_path):
    (tmp_path / "m.pt").write_bytes(b"<html>")
    with pytest.raises(RequestError, match="web page"):
        inspect(tmp_path / "m.pt")
    torch.save({"epoch": 3}, tmp_path / "m.pt")
    with pytest.raises(RequestError, match=r"no state dict but 'epoch' \(int\)"):
        inspect(tmp_path / "m.pt")
