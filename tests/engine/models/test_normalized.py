"""A normalization as a network's first layer: by numbers, by name, by what a file holds."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from engine import models
from engine.config.run import validate
from engine.errors import RequestError
from engine.models.normalized import Normalized, bare
from engine.models.preprocessing import KNOWN, Preprocessing
from engine.storage.checkpoints import fit, load_foreign, load_weights, read_for, save_weights
from engine.storage.state_dicts.normalization import OURS

IMAGENET = Preprocessing(*KNOWN["imagenet"])


@pytest.fixture
def network():
    return models.build("wrn-10-1", 5, seed=1).eval()


def settings(**values):
    return validate({"attack": {"name": "badnets"}, "model": values}).model


@pytest.mark.parametrize(
    ("mean", "std", "wanted"),
    [
        ("imagenet", None, IMAGENET),
        (None, "imagenet", IMAGENET),
        ("ImageNet", None, IMAGENET),
        ("Image-Net", "image_net", IMAGENET),
        ("0.485, 0.456,0.406", "[0.229,0.224,0.225]", IMAGENET),
        ("imagenet", "imagenet", IMAGENET),
        ([0.5], 0.25, Preprocessing((0.5,) * 3, (0.25,) * 3)),
        (0.5, [0.1, 0.2, 0.3], Preprocessing((0.5,) * 3, (0.1, 0.2, 0.3))),
        (None, None, None),
    ],
)
def test_it_is_asked_for_by_name_or_by_numbers(mean, std, wanted):
    assert settings(mean=mean, std=std).preprocessing == wanted


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"mean": "cifar11"}, "cifar10"),
        ({"mean": [0.1, 0.2], "std": 1}, "one number or three"),
        ({"mean": 0.5}, "go together"),
        ({"std": [0.5, 0.5, 0.5]}, "go together"),
        ({"mean": 0.5, "std": 0}, "above 0"),
        ({"mean": 0.5, "std": [1, -1, 1]}, "above 0"),
        ({"mean": True, "std": 1}, "yes/no"),
    ],
)
def test_what_is_no_normalization_is_refused(values, told):
    with pytest.raises(RequestError, match=told):
        settings(**values)


def test_it_is_in_the_key_of_the_suspect():
    keys = [validate({"attack": {"name": "sig"}, "model": each}) for each in ({}, {"mean": "gtsrb"}, {"mean": "half"})]
    assert len({str(each.suspect_shapers()) for each in keys}) == len({each.sha256() for each in keys}) == 3


def test_the_first_layer_normalizes_and_the_images_stay_as_they_are(network):
    images = torch.rand(2, 3, 32, 32)
    kept = images.clone()
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in (IMAGENET.mean, IMAGENET.std))
    dressed = Normalized(network, IMAGENET).eval()
    wanted, maps = network.forward_with_taps((images - mean) / std)
    torch.testing.assert_close(dressed(images), wanted)
    logits, seen = dressed.forward_with_taps(images)
    torch.testing.assert_close(logits, wanted)
    for one, other in zip(seen, maps, strict=True):
        torch.testing.assert_close(one, other)
    assert torch.equal(images, kept)
    assert dressed.tap_names == network.tap_names


def test_its_weights_keep_their_names_and_come_back(network, tmp_path):
    dressed = Normalized(network, IMAGENET)
    assert list(dressed.state_dict()) == [*network.state_dict(), *OURS]
    save_weights(tmp_path / "w.safetensors", dressed.state_dict(), {})
    other = Normalized(models.build("wrn-10-1", 5, seed=2), Preprocessing((0, 0, 0), (1, 1, 1)))
    fit(other, load_weights(tmp_path / "w.safetensors")[0], tmp_path / "w.safetensors")
    assert other.preprocessing.near(IMAGENET)
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(other.eval()(images), dressed.eval()(images))
    twin = copy.deepcopy(dressed)
    twin.load_state_dict(other.state_dict())
    assert torch.equal(twin(images), dressed(images))
    assert bare(dressed) is network


def test_our_own_file_brings_its_normalization_along(network, tmp_path):
    save_weights(tmp_path / "w.safetensors", Normalized(network, IMAGENET).state_dict(), {})
    found = read_for(tmp_path / "w.safetensors", network).normalization
    assert Preprocessing(found.mean, found.std).near(IMAGENET)


class Normalize(nn.Module):
    """As its owner wrote it."""

    def __init__(self, shape, names=("mean", "std"), scale=1.0):
        super().__init__()
        for name, values in zip(names, (IMAGENET.mean, IMAGENET.std), strict=True):
            self.register_buffer(name, scale * torch.tensor(values).reshape(shape))


@pytest.mark.parametrize("module", ["0", "normalize", "norm", "preprocess.normalizer"])
@pytest.mark.parametrize("shape", [(3,), (1, 3, 1, 1), (3, 1, 1)], ids=str)
def test_a_normalization_in_the_state_dict_is_recognized_whatever_it_is_called(network, tmp_path, module, shape):
    state = {f"{module}.{name}": each for name, each in Normalize(shape).state_dict().items()}
    state |= {f"1.{name}": each for name, each in network.state_dict().items()}
    torch.save(state, tmp_path / "m.pt")
    fitted = read_for(tmp_path / "m.pt", network)
    assert Preprocessing(fitted.normalization.mean, fitted.normalization.std).near(IMAGENET)
    assert fitted.origin["normalization"]["names"] == [f"{module}.mean", f"{module}.std"]
    assert any(f"{module}.mean" in note for note in fitted.notes)


@pytest.mark.parametrize(
    "names", [("means", "sds"), ("new_mean", "new_std"), ("pixel_mean", "pixel_std"), ("mu", "sigma")]
)
def test_other_words_for_it_and_images_of_0_to_255(network, tmp_path, names):
    for scale in (1, 255):
        held = Normalize((1, 3, 1, 1), names, scale).state_dict()
        state = {**{f"norm.{name}": each for name, each in held.items()}, **network.state_dict()}
        torch.save({"state_dict": state}, tmp_path / "m.pt")
        found = read_for(tmp_path / "m.pt", network).normalization
        assert Preprocessing(found.mean, found.std).near(IMAGENET)
        assert found.of_bytes is (scale == 255)


@pytest.mark.parametrize("section", [None, "normalize", "args", "data_config"])
def test_one_that_stands_beside_the_state_dict_is_recognized(network, tmp_path, section):
    numbers = {"mean": list(IMAGENET.mean), "std": IMAGENET.std}
    torch.save(
        {"state_dict": network.state_dict(), **(numbers if section is None else {section: numbers})}, tmp_path / "m.pt"
    )
    found = read_for(tmp_path / "m.pt", network).normalization
    assert Preprocessing(found.mean, found.std).near(IMAGENET)


def test_one_that_changes_nothing_is_none_and_one_without_a_place_is_refused(network, tmp_path):
    state = {"0.mean": torch.zeros(3), "0.std": torch.ones(3)}
    state |= {f"1.{name}": each for name, each in network.state_dict().items()}
    torch.save(state, tmp_path / "idle.pt")
    assert read_for(tmp_path / "idle.pt", network).normalization is None
    fit(network, load_foreign(tmp_path / "idle.pt"), tmp_path / "idle.pt")
    torch.save({**state, "0.mean": torch.full((3,), 0.4)}, tmp_path / "m.pt")
    for state in (load_foreign(tmp_path / "m.pt"), load_foreign(tmp_path / "m.pt", network)):
        with pytest.raises(RequestError, match=r"model\.mean and model\.std"):
            fit(network, state, tmp_path / "m.pt")
        dressed = Normalized(models.build("wrn-10-1", 5), IMAGENET)
        fit(dressed, state, tmp_path / "m.pt")
        assert dressed.preprocessing.mean == pytest.approx((0.4, 0.4, 0.4))


class Own(nn.Module):
    """A person's network that has a normalization of its own, called as anybody would call it."""

    def __init__(self):
        super().__init__()
        self.normalize = Normalize((1, 3, 1, 1))
        self.fc = nn.Linear(3, 5)

    name, tap_names = "own", ()


def test_a_network_with_a_normalization_of_its_own_keeps_it(tmp_path):
    own = Own()
    own.normalize.mean.fill_(0.3)
    torch.save({"state_dict": own.state_dict()}, tmp_path / "m.pt")
    other = Own()
    fitted = read_for(tmp_path / "m.pt", other)
    assert fitted.normalization is None
    fit(other, fitted.tensors, tmp_path / "m.pt")
    assert float(other.normalize.mean[0, 0, 0, 0]) == pytest.approx(0.3)


def test_with_taps_of_ones_own(network):
    tapped = models.build("wrn-10-1", 5, seed=1, taps=["block2", "block1.layer.0.conv1"]).eval()
    dressed = Normalized(tapped, IMAGENET).eval()
    images = torch.rand(2, 3, 32, 32)
    logits, maps = dressed.forward_with_taps(images)
    assert dressed.tap_names == ("block2", "block1.layer.0.conv1")
    assert torch.equal(logits, Normalized(network, IMAGENET).eval()(images))
    assert [tuple(each.shape) for each in maps] == [(2, 32, 16, 16), (2, 16, 32, 32)]
    other = Normalized(models.build("wrn-10-1", 5, seed=2, taps=["block2"]), Preprocessing((0, 0, 0), (1, 1, 1)))
    fit(other, dressed.state_dict(), "elsewhere")
    assert torch.equal(other.eval()(images), logits)
