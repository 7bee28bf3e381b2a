"""A resumed run goes on with what it began with: data, files and weights that are others by now are refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from engine import events as ev
from engine import run
from engine.config.run import RunConfig
from engine.control import Control
from engine.errors import RequestError
from engine.models import build
from engine.record.reading import read_events
from engine.running.request import RunRequest
from engine.storage.checkpoints import load_weights, save_weights
from tests.tiny import runs_in, tiny_config

FEW = ("data.train_images=null", "data.test_images=null", "training.epochs=2", "evaluation.samples=1")


@pytest.fixture(autouse=True)
def _one_cache(module_cache, monkeypatch) -> None:
    monkeypatch.setenv("NADTUI_CACHE", str(module_cache))


def npz(file: Path, images: int = 120, test: int = 40, seed: int = 0) -> Path:
    """A few images of 16 pixels, in four classes."""
    draw = np.random.default_rng(seed)
    arrays = {}
    for part, count in (("train", images), ("test", test)):
        arrays[f"x_{part}"] = draw.integers(0, 255, (count, 16, 16, 3), dtype=np.uint8)
        arrays[f"y_{part}"] = np.arange(count) % 4
    np.savez(file, **arrays)
    return file


def weights(file: Path, seed: int) -> Path:
    save_weights(file, build("wrn-10-1", 4, seed).state_dict(), {})
    return file


def pictures(folder: Path, count: int = 3) -> Path:
    folder.mkdir(exist_ok=True)
    for number in range(count):
        Image.new("RGB", (16, 16), (80 * number, 9, 9)).save(folder / f"{number}.png")
    return folder


def config_of(tmp_path: Path, preset: str, *overrides: str) -> RunConfig:
    return tiny_config(preset, *FEW, *overrides, dataset=str(npz(tmp_path / "own.npz")))


def stopped(config: RunConfig, out: Path, *, stage: str = "attack", typed: bool = False) -> Path:
    """The folder of a run that was stopped within its first stage, or in another."""
    control = Control()
    for event in run(RunRequest(config=config, out=out, cache=False, typed_model=typed), control):
        if isinstance(event, ev.Evaluation) and event.stage == stage:
            control.stop()
    assert isinstance(event, ev.RunStopped), event
    return runs_in(out)[0]


def resumed(config: RunConfig, folder: Path, *, typed: bool = False) -> list[ev.Event]:
    request = RunRequest(config=config, out=folder.parent, resume=folder, cache=False, typed_model=typed)
    return list(run(request))


def refused(config: RunConfig, folder: Path, **request: bool) -> str:
    """The line with which it is refused to go on; nothing of the run folder has changed."""
    before = (folder / "events.jsonl").read_bytes()
    with pytest.raises(RequestError) as caught:
        resumed(config, folder, **request)
    assert (folder / "events.jsonl").read_bytes() == before
    assert not (folder / "heartbeat.json").exists()
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_other_images_are_refused_with_what_was_and_what_is(tmp_path):
    config = config_of(tmp_path, "badnets")
    folder = stopped(config, tmp_path / "runs")
    started = next(event for event in read_events(folder).events if isinstance(event, ev.RunStarted))
    npz(tmp_path / "own.npz", images=80, test=20, seed=9)
    said = refused(config, folder)
    assert "the data set is not the one the run began with" in said
    assert f"then 120 training and 40 test images, sha256 {started.dataset['fingerprint'][:12]}" in said
    assert "now 80 training and 20 test images" in said and str(tmp_path / "own.npz") in said
    npz(tmp_path / "own.npz")
    assert isinstance(resumed(config, folder)[-1], ev.RunFinished)


def test_clean_images_of_another_data_set_are_looked_at_too(tmp_path):
    other = npz(tmp_path / "other.npz", seed=3)
    config = config_of(tmp_path, "badnets", f"data.clean_from={other}")
    folder = stopped(config, tmp_path / "runs")
    npz(other, seed=4)
    assert "the clean images are not those the run began with" in refused(config, folder)
    npz(other, seed=3)
    assert isinstance(resumed(config, folder)[-1], ev.RunFinished)


def test_as_many_other_images_are_refused_too(tmp_path):
    config = config_of(tmp_path, "badnets")
    folder = stopped(config, tmp_path / "runs")
    npz(tmp_path / "own.npz", seed=9)
    assert "the data set is not the one the run began with" in refused(config, folder)


def image_preset(tmp_path: Path) -> RunConfig:
    pictures(tmp_path / "image")
    return config_of(tmp_path, "blend", f"attack.image={tmp_path / 'image' / '1.png'}")


def reflecting(tmp_path: Path) -> RunConfig:
    folder = pictures(tmp_path / "mirror")
    return config_of(tmp_path, "refool", f"attack.reflection_folder={folder}", "attack.reflections=3")


def with_suspect(tmp_path: Path) -> RunConfig:
    return config_of(tmp_path, "badnets", f"suspect={weights(tmp_path / 's.safetensors', 1)}")


def with_teacher(tmp_path: Path) -> RunConfig:
    return config_of(tmp_path, "badnets", f"defenses.nad.teacher.file={weights(tmp_path / 't.safetensors', 1)}")


CHANGES: dict[str, tuple[Callable[[Path], RunConfig], str, Callable[[Path], object]]] = {
    "an image to blend in": (
        image_preset,
        "attack's images",
        lambda here: Image.new("RGB", (16, 16), (1, 2, 3)).save(here / "image" / "1.png"),
    ),
    "a reflection more": (reflecting, "attack's images", lambda here: pictures(here / "mirror", 6)),
    "another suspect": (with_suspect, "suspect", lambda here: weights(here / "s.safetensors", 2)),
    "another teacher": (with_teacher, "file of defense nad", lambda here: weights(here / "t.safetensors", 2)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changed_is_refused(change, tmp_path):
    make, what, strike = CHANGES[change]
    config = make(tmp_path)
    folder = stopped(config, tmp_path / "runs")
    strike(tmp_path)
    said = refused(config, folder)
    if change == "a reflection more":  # three are taken of those there are, evenly spread: which ones has changed
        assert "then 3 files of" in said
    assert f"the {what} is not the one the run began with: then " in said
    assert " bytes, sha256 " in said and "now " in said and str(tmp_path) in said


@pytest.mark.parametrize("change", ["another suspect", "another teacher"])
def test_a_file_that_is_gone_is_told_with_what_it_was(change, tmp_path):
    config = CHANGES[change][0](tmp_path)
    folder = stopped(config, tmp_path / "runs")
    for file in tmp_path.glob("?.safetensors"):
        file.unlink()
    said = refused(config, folder)
    assert f"the {CHANGES[change][1]} cannot be read any more: {tmp_path}" in said
    assert "No such file or directory; the run began with " in said
    assert "the run began with " in said and " bytes, sha256 " in said


def test_reflections_that_are_gone_are_told_with_what_they_were(tmp_path):
    config = reflecting(tmp_path)
    folder = stopped(config, tmp_path / "runs")
    shutil.rmtree(tmp_path / "mirror")
    said = refused(config, folder)
    assert "the attack's images cannot be read any more: attack.reflection_folder" in said
    assert "no such folder; the run began with 3 files of " in said


NETWORK = """
from pathlib import Path
from torch import nn

Path(__file__).with_name("executed").touch()


def small(classes):
    maps = nn.Sequential(nn.Conv2d(3, {width}, 3, padding=1), nn.ReLU())
    return nn.Sequential(maps, nn.Flatten(), nn.Linear({width} * 256, classes))
"""


def test_a_network_of_ones_own_that_changed_is_not_executed(tmp_path):
    file = tmp_path / "net.py"
    file.write_text(NETWORK.format(width=4))
    config = config_of(tmp_path, "badnets", f"model.name={file}:small")
    folder = stopped(config, tmp_path / "runs", typed=True)
    file.write_text(NETWORK.format(width=5))
    (tmp_path / "executed").unlink()
    assert "the network's file is not the one the run began with" in refused(config, folder, typed=True)
    assert not (tmp_path / "executed").exists()


def test_weights_that_changed_since_their_stage_ended_are_refused(tmp_path):
    config = config_of(tmp_path, "badnets")
    folder = stopped(config, tmp_path / "runs", stage="teacher")
    file = folder / "checkpoints" / "attack.safetensors"
    save_weights(file, {name: value * 0 for name, value in load_weights(file)[0].items()}, {})
    said = refused(config, folder)
    assert "the checkpoint of attack is not the one the run began with" in said
    assert "without that file the stage is done again" in said
    file.unlink()
    assert isinstance(resumed(config, folder)[-1], ev.RunFinished)


def test_a_learned_trigger_that_changed_is_refused(tmp_path):
    config = config_of(tmp_path, "dynamic", "attack.width=4", "attack.mask_steps=2", "training.batch_size=32")
    folder = stopped(config, tmp_path / "runs", stage="teacher")
    file = folder / "attack" / "learned.safetensors"
    learned = load_weights(file)[0]
    first = next(name for name, value in learned.items() if value.is_floating_point())
    save_weights(file, {**learned, first: learned[first] + 1}, {})
    assert "the checkpoint of attack's trigger is not the one the run began with" in refused(config, folder)


def test_a_record_without_fingerprints_is_resumed_as_it_is(tmp_path):
    config = with_suspect(tmp_path)
    folder = stopped(config, tmp_path / "runs")
    lines = (folder / "events.jsonl").read_text().splitlines(keepends=True)
    first = json.loads(lines[0])
    del first["inputs"], first["dataset"]["fingerprint"], first["dataset"]["clean_fingerprint"]
    (folder / "events.jsonl").write_text(json.dumps(first) + "\n" + "".join(lines[1:]))
    npz(tmp_path / "own.npz", seed=9)
    weights(tmp_path / "s.safetensors", 2)
    assert isinstance(resumed(config, folder)[-1], ev.RunFinished)


def test_a_record_whose_fingerprints_make_no_sense_is_resumed_as_it_is(tmp_path):
    config = with_suspect(tmp_path)
    folder = stopped(config, tmp_path / "runs")
    record = folder / "events.jsonl"
    first, rest = record.read_text().split("\n", 1)
    started = json.loads(first)
    started["inputs"] = {"suspect": {"files": "many", "sha256": 5}}
    record.write_text(json.dumps(started) + "\n" + rest)
    assert isinstance(resumed(config, folder)[-1], ev.RunFinished)


def test_the_same_content_at_the_same_place_goes_on(tmp_path):
    config = with_suspect(tmp_path)
    folder = stopped(config, tmp_path / "runs")
    shutil.copy(tmp_path / "own.npz", tmp_path / "copy.npz")
    (tmp_path / "copy.npz").replace(tmp_path / "own.npz")
    done = resumed(config, folder)
    assert isinstance(done[-1], ev.RunFinished)
    assert torch.isfinite(load_weights(folder / "checkpoints" / "nad.safetensors")[0]["fc.weight"]).all()
