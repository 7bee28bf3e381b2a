"""A suspect from a file: its preprocessing is a part of it, and one that seems to lack its own is told of."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from engine import models
from engine.config.layers import merge, parse_override
from engine.config.presets import resolve
from engine.errors import RequestError
from engine.events import Message, RunStarted
from engine.models.preprocessing import KNOWN
from engine.record.reading import read_events
from engine.record.view import fold
from engine.running.doubts import chance, no_better_than_chance
from engine.storage.checkpoints import load_weights
from engine.storage.state_dicts.normalization import OURS
from nadtui.runs.digest import Report
from nadtui.runs.loading import load
from tests.tiny import TINY, finished, run_all, runs_in

MEAN, STD = (torch.tensor(each).view(3, 1, 1) for each in KNOWN["cifar10"])


def images(count, seed):
    """Four classes of low contrast, as photographs have it: without its normalization a network sees little."""
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    pixels = draw.integers(90, 130, (count, 16, 16, 3), dtype=np.uint8)
    for place, label in enumerate(labels):
        pixels[place, label * 4 : label * 4 + 4] += 14
    return pixels, labels.astype(np.int64)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A data set, and a network trained on it the usual way, on normalized images."""
    folder = tmp_path_factory.mktemp("home")
    train, test = images(320, 0), images(120, 1)
    np.savez(folder / "d.npz", x_train=train[0], y_train=train[1], x_test=test[0], y_test=test[1])
    torch.manual_seed(0)
    model = models.build("wrn-10-1", 4, seed=0)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    inputs, labels = (torch.from_numpy(train[0]).permute(0, 3, 1, 2) / 255 - MEAN) / STD, torch.from_numpy(train[1])
    for _ in range(5):
        for part in torch.randperm(len(inputs)).split(32):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs[part]), labels[part]).backward()
            optimizer.step()
    model.eval()
    assert (model(inputs).argmax(1) == labels).float().mean() > 0.95
    torch.save({"state_dict": model.state_dict(), "epoch": 5}, folder / "plain.pth.tar")
    state = {f"1.{name}": each for name, each in model.state_dict().items()}
    torch.save({"0.mean": MEAN, "0.std": STD, **state}, folder / "sequential.pth")
    torch.save(
        {"state_dict": model.state_dict(), "mean": MEAN.flatten().tolist(), "std": STD.flatten().tolist()},
        folder / "beside.pt",
    )
    return folder


def adopted(home, tmp_path, suspect, *overrides):
    """Only taken over and measured: no defense."""
    sections = {name: section for name, section in TINY.items() if name != "defenses"}
    values = merge(sections, {"data": {"train_images": None, "test_images": None}})
    asked = [values, *map(parse_override, (f"suspect={home / suspect}", *overrides))]
    config = resolve("badnets", dataset=str(home / "d.npz"), overrides=asked, defenses=[])
    events = run_all(config, tmp_path)
    return events, runs_in(tmp_path)[0]


def warnings(events):
    return [event.text for event in events if isinstance(event, Message) and event.level == "warning"]


@pytest.mark.parametrize(
    ("suspect", "overrides"),
    [
        ("plain.pth.tar", ["model.mean=cifar10"]),
        ("plain.pth.tar", [f"model.mean={list(KNOWN['cifar10'][0])}", f"model.std={list(KNOWN['cifar10'][1])}"]),
        ("sequential.pth", []),
        ("sequential.pth", ["model.mean=cifar10"]),
        ("beside.pt", []),
    ],
)  # fmt: skip
def test_with_its_preprocessing_it_is_what_it_was(home, tmp_path, suspect, overrides):
    events, folder = adopted(home, tmp_path, suspect, *overrides)
    assert finished(events)["attack"].metrics.acc > 95
    assert warnings(events) == []
    started = next(event for event in events if isinstance(event, RunStarted))
    assert started.model["mean"] == pytest.approx(list(KNOWN["cifar10"][0]))
    assert started.origin["form"] == "torch.save"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["model"]["std"] == pytest.approx(list(KNOWN["cifar10"][1]))
    facts = dict(load(str(folder), None).facts())
    assert "0.4914" in facts["images"]
    assert "torch.save" in facts["suspect"]
    # The run's own checkpoint says it too: taken over again, it is the same model.
    weights, _ = load_weights(folder / "checkpoints" / "attack.safetensors")
    assert weights[OURS[0]].flatten().tolist() == pytest.approx(list(KNOWN["cifar10"][0]))
    again, _ = adopted(home, tmp_path / "again", folder / "checkpoints" / "attack.safetensors")
    assert finished(again)["attack"].metrics == finished(events)["attack"].metrics


@pytest.mark.parametrize("wrong", [None, "bytes", "[0.9,0.9,0.9]"])
def test_one_near_chance_is_told_of_with_what_was_tried(home, tmp_path, wrong):
    asked = [] if wrong is None else [f"model.mean={wrong}", *["model.std=[0.9,0.9,0.9]"] * wrong.startswith("[")]
    events, folder = adopted(home, tmp_path, "plain.pth.tar", *asked)
    (said,) = warnings(events)
    assert "\n" not in said
    for told in ("near chance", "cifar10 100.0", "none ", "imagenet ", "half ", "the data's own "):
        assert told in said
    assert "--set model.mean=" in said or "--set model.std=" in said
    view = fold(read_events(folder).events)
    assert any("near chance" in line.text for line in view.messages)


def test_another_normalization_than_the_files_is_refused(home, tmp_path):
    with pytest.raises(RequestError, match="leave them out"):
        adopted(home, tmp_path, "sequential.pth", "model.mean=imagenet")


def test_what_fits_another_network_says_which(home, tmp_path):
    torch.save({"gen": models.build("wrn-16-2", 4).state_dict()}, tmp_path / "wide.pt")
    with pytest.raises(RequestError) as caught:
        adopted(home, tmp_path / "runs", tmp_path / "wide.pt")
    assert "its tensors are those of wrn-16-2 for 4 classes (--model wrn-16-2)" in str(caught.value)


def test_what_was_taken_and_left_out_is_in_the_log(home, tmp_path):
    state = {f"module.{name}": each for name, each in models.build("wrn-10-1", 4, seed=1).state_dict().items()}
    torch.save({"net": {**state, "total_ops": torch.zeros(1)}, "epoch": 2}, tmp_path / "m.pt")
    events, folder = adopted(home, tmp_path / "runs", tmp_path / "m.pt")
    said = " ".join(event.text for event in events if isinstance(event, Message) and event.level == "info")
    for told in ("took net", "'module.'", "total_ops"):
        assert told in said
    report: Report = load(str(folder), None)
    assert report.view.origin["prefix"] == "module."
    assert report.view.origin["beside"] == [{"epoch": 2}]
    assert report.view.origin["file"] == str(tmp_path / "m.pt")


def test_chance_is_the_most_frequent_class():
    labels = torch.tensor([0] * 60 + [1] * 40)
    assert chance(labels) == 60
    metrics = finished_metrics(61.0)
    assert no_better_than_chance(metrics, labels)
    assert not no_better_than_chance(finished_metrics(90.0), labels)


def finished_metrics(acc):
    from engine.figures import Metrics

    nothing = dict.fromkeys(("acc_ci", "asr_ci", "ra_ci", "base_ci"), (0.0, 0.0))
    return Metrics(images=100, eligible=0, acc=acc, asr=0, ra=0, base=0, **nothing)
