"""Quantities that round to nothing, or are nothing: refused or told, with the count, and in the record."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from engine import events as ev
from engine.config.presets import resolve
from engine.data.base import assemble
from engine.data.clean import set_apart
from engine.errors import RequestError
from engine.running import scarce
from engine.running.prepare import aimed
from tests.tiny import TINY, finished, run_all, runs_in

NAMES = ("ant", "bee", "cat", "dog")


def images(train, test, names=NAMES):
    """A data set with these labels."""
    parts = [(torch.zeros(len(labels), 3, 32, 32, dtype=torch.uint8), torch.tensor(labels)) for labels in (train, test)]
    return assemble("x", *parts, names, "x")


EVEN = images(list(range(4)) * 50, list(range(4)) * 5)


def config(preset, **attack):
    settings = attack.pop("settings", {})
    return resolve(preset, dataset="signs", overrides=[{"attack": attack, **settings}])


@pytest.mark.parametrize(
    ("preset", "attack", "told"),
    [
        ("badnets", {"poisoning_rate": 0.001}, "of 200 training images that is 0.2, so 0 images would be poisoned"),
        ("sig", {"poisoning_rate": 0.005}, "of 50 images of the target class that is 0.25, so 0 images"),
        ("blend", {"poisoning_rate": 0.0024}, "from 0.0026 on it is one"),
        ("dynamic", {"poisoning_rate": 0.001}, "of a batch of"),
        ("wanet", {"poisoning_rate": 1e-9}, "so 0 images would be poisoned"),
    ],
)
def test_a_rate_that_poisons_nothing_is_refused_with_the_count(preset, attack, told):
    with pytest.raises(RequestError) as caught:
        scarce.poisoned(config(preset, **attack), EVEN)
    assert "attack.poisoning_rate = " in str(caught.value)
    assert told in str(caught.value)


@pytest.mark.parametrize("of", [1, 3, 16, 50, 200, 10_000, 999_999])
def test_the_least_rate_that_is_told_poisons_one(of):
    least = scarce._least(of)
    assert round(least * of) == 1
    assert round(0.9 * least * of) == 0


@pytest.mark.parametrize(
    ("preset", "attack", "count"),
    [("badnets", {"poisoning_rate": 0.1}, 20), ("sig", {"poisoning_rate": 0.5}, 25), ("clean", {}, 0)],
)
def test_poisoned_images_are_counted(preset, attack, count):
    assert scarce.poisoned(config(preset, **attack), EVEN) == count


def test_what_is_not_counted_once_and_for_all(tmp_path):
    assert scarce.poisoned(config("dynamic"), EVEN) is None
    (tmp_path / "x.pt").touch()
    given = config("badnets", poisoning_rate=0.001, settings={"suspect": str(tmp_path / "x.pt")})
    assert scarce.poisoned(given, EVEN) is None
    assert scarce.poisoned(given.model_copy(update={"attack": None}), EVEN) is None
    assert scarce.poisoned(config("badnets", settings={"suspect": "zoo"}), EVEN) is None


def said(chosen, loaded):
    loaded, clean = set_apart(loaded, chosen.data, chosen.seed)
    return list(scarce.warnings(chosen, loaded, clean, scarce.poisoned(chosen, loaded)))


def with_fraction(fraction, preset="badnets", **data):
    return config(preset, settings={"data": {"clean_fraction": fraction, **data}})


def test_what_is_sound_is_not_worth_a_word():
    assert said(with_fraction(0.5), EVEN) == []


@pytest.mark.parametrize(
    ("chosen", "loaded", "told"),
    [
        (
            with_fraction(0.001),
            EVEN,
            ["of 200 training images that is 0.2; the clean subset is 1 image", "3 of 4 classes have no image in the"],
        ),
        (with_fraction(0.01), EVEN, ["classes have no image in the clean subset of 2 images"]),
        (
            with_fraction(0.5),
            images([0, 1, 2, 3] * 50, [0, 1, 1]),
            ["2 of 4 classes have no image in the test part of 3 images: 'cat', 'dog'; they have no accuracy"],
        ),
        (
            config("badnets", poisoning_rate=0, settings={"data": {"clean_fraction": 0.5}}),
            EVEN,
            ["0 images are"],
        ),
        (
            with_fraction(0.5, "clean"),
            images([0, 1, 2, 3] * 50, [0, 0, 0]),
            ["all 3 test images are of class 'ant' (id 0): no base rate", "3 of 4 classes have no image in the test"],
        ),
    ],
)
def test_what_comes_to_little_is_told_with_the_count(chosen, loaded, told):
    lines = said(chosen, loaded)
    assert len(lines) == len(told)
    for line, wanted in zip(lines, told, strict=True):
        assert wanted in line
        assert "\n" not in line


@pytest.mark.parametrize(
    ("names", "test", "target", "told"),
    [
        (NAMES, [1, 1, 1], "bee", "0 images to count ASR on: all 3 test images are of class 'bee' (id 1)"),
        (NAMES, [0], 0, "all 1 test images are of class 'ant' (id 0)"),
        (("7", "8", "9", "10"), [3, 3], "10", "all 2 test images are of class '10' (id 3)"),
    ],
)
def test_an_attack_whose_success_cannot_be_counted_is_refused(names, test, target, told):
    loaded = images([0, 1, 2, 3] * 50, test, names)
    chosen, _ = aimed(config("badnets", target=target), loaded)
    with pytest.raises(RequestError) as caught:
        scarce.check_eligible(chosen.attack, loaded)
    assert told in str(caught.value)


# --- a whole run ---


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    """A run on labels from 1, floats, a class that is nowhere tested, aimed by name; one epoch a stage."""
    root = tmp_path_factory.mktemp("strange")
    chance = np.random.default_rng(0)
    y_train, y_test = np.arange(120) % 3 + 1, np.arange(40) % 2 + 1
    pixels = [chance.integers(0, 256, (len(y), 16, 16, 3), dtype=np.uint8) for y in (y_train, y_test)]
    file = root / "strange.npz"
    np.savez(file, train_images=pixels[0] / 255, train_labels=y_train, test_images=pixels[1] / 255, test_labels=y_test)
    one_epoch = {"training": {"epochs": 1}}
    settings = {
        **{name: TINY[name] for name in ("precision", "threads", "model")},
        **one_epoch,
        "attack": {"target": "2"},
        "data": {"clean_fraction": 0.5},
        "defenses": {"fine-tuning": one_epoch},
        "evaluation": {"samples": 1},
    }
    chosen = resolve("badnets", dataset=str(file), overrides=[settings], defenses=["fine-tuning"])
    return run_all(chosen, root / "runs", cache=False), runs_in(root / "runs")[0]


def test_a_run_is_recorded_with_how_its_data_was_understood(strange):
    events, folder = strange
    (started,) = (event for event in events if isinstance(event, ev.RunStarted))
    assert started.config["attack"]["target"] == 1
    assert started.dataset["class_names"] == ["1", "2", "3"]
    assert started.dataset["poisoned"] == 12
    said = {event.text: event.level for event in events if isinstance(event, ev.Message) and event.seq}
    told = "\n".join(said)
    for wanted in (
        "train_images and train_labels train, test_images and test_labels test",
        "labels 1 to 3 read as classes 0 to 2",
        "badnets: 12 of 120 training images are poisoned; target: class '2' (id 1)",
        "float64 from 0 to 1 read as uint8 0-255",
        "attack.target = 2: read as a name, class '2' (id 1); not class '3' (id 2)",
        "1 of 3 classes has no image in the test part of 40 images: '3'",
    ):
        assert wanted in told
    assert [level for text, level in said.items() if "attack.target" in text or "no image" in text] == ["warning"] * 2
    summary = json.loads((folder / "summary.json").read_text())
    assert (summary["poisoned"], summary["target_class"]) == (12, "2")
    assert summary["class_names"] == ["1", "2", "3"]
    for stage in summary["stages"]:
        assert stage["absent"] == {"class_acc": "no test image of class '3'"}
        assert stage["class_acc"][2] is None


def test_a_repeated_configuration_means_the_same_class(strange):
    config_file = strange[1] / "config.yaml"
    again = resolve(None, config_file=config_file)
    assert again.attack.target == 1
    assert math.isfinite(finished(strange[0])["attack"].metrics.asr)
