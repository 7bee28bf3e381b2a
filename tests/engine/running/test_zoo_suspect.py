"""A suspect of the zoo in a run: taken as it is, with its trigger, or refused in a line."""

from __future__ import annotations

import pytest
import torch

from engine import zoo
from engine.config.run import RunConfig
from engine.errors import RequestError
from engine.events import Message, RunStarted, StageFinished
from engine.running.pipeline import run
from engine.running.request import RunRequest
from engine.storage.checkpoints import load_weights
from engine.zoo.contents import load
from tests.tiny import tiny_config

FEW = {"data": {"test_images": 400, "size": 32}, "model": {"name": "wrn-16-1"}}


def zoo_config(preset: str, *overrides: str, **layers: object) -> RunConfig:
    return tiny_config(preset, "suspect=zoo", *overrides, **{**FEW, **layers})


def _events(config, root):
    return list(run(RunRequest(config, root)))


@pytest.mark.parametrize(
    "preset", [each for each in ("badnets", "dynamic", "clean") if f"{each}-signs-0" in zoo.cards()]
)
def test_it_is_taken_with_its_trigger_and_nothing_is_trained(preset, tmp_path):
    told = _events(zoo_config(preset, "seed=3", defended_by=()), tmp_path)
    finished = next(event for event in told if isinstance(event, StageFinished))
    card = zoo.card(f"{preset}-signs-0")
    assert finished.epochs == 0
    assert finished.metrics.acc == pytest.approx(card.figures["acc"].value, abs=4)
    if "asr" in card.figures:
        assert finished.metrics.asr == pytest.approx(card.figures["asr"].value, abs=5)
    said = [event.text for event in told if isinstance(event, Message)]
    assert any(f"{preset}-signs-0 of the zoo, trained in fp32" in text for text in said)
    weights, _ = load_weights(next(tmp_path.rglob("checkpoints/attack.safetensors")))
    kept = load(card).weights
    assert all(torch.equal(weights[name], kept[name].to(weights[name].dtype)) for name in weights)


def test_images_other_than_its_own_are_warned_of(tmp_path):
    told = _events(zoo_config("badnets", defended_by=()), tmp_path)
    warned = [event.text for event in told if isinstance(event, Message) and event.level == "warning"]
    assert any("was trained on other images of signs than these" in text for text in warned)


@pytest.mark.parametrize(
    ("overrides", "seed"),
    [((), 0), (("attack.seed=1",), 1), (("seed=1",), 0), (("suspect=zoo:badnets-signs-1",), 1)],
)
def test_its_attack_seed_is_its_own_whatever_the_runs(overrides, seed):
    config = zoo_config("badnets", *overrides)
    assert config.attack_seed == seed
    assert config.zoo_name == f"badnets-signs-{seed}"
    assert config.suspect_file is None


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("attack.seed=9",), "the zoo has no suspect 'badnets-signs-9'"),
        (("suspect=zoo:nothing-at-all",), "the zoo has no suspect 'nothing-at-all'"),
        (("attack.poisoning_rate=0.2",), "attack.poisoning_rate = 0.2: badnets-signs-0 of the zoo was made with 0.1"),
        (("suspect=zoo:sig-signs-0",), "attack.name = 'badnets': sig-signs-0 of the zoo was made with 'sig'"),
        (
            ("suspect=zoo:badnets-signs-0", "attack.seed=1"),
            "attack.seed = 1: badnets-signs-0 of the zoo was made with 0",
        ),
        (
            ("suspect=zoo:badnets-cifar10-0",),
            "data.name = 'signs': badnets-cifar10-0 of the zoo was made with 'cifar10'",
        ),
        (("model.name=wrn-10-1",), "the zoo has no suspect 'badnets-signs-wrn-10-1-0'"),
    ],
)
def test_what_it_is_not_is_refused(overrides, said):
    with pytest.raises(RequestError) as refused:
        zoo_config("badnets", *overrides)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_images_of_another_size_are_refused(tmp_path):
    with pytest.raises(
        RequestError, match="badnets-signs-0 knows 10 classes in images of 32x32 pixels, not 10 in 24x24"
    ):
        _events(zoo_config("badnets", "data.size=24"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_record_says_it_whole_when_resumed(tmp_path):
    told = _events(zoo_config("badnets"), tmp_path)
    started = next(event for event in told if isinstance(event, RunStarted))
    assert started.config["suspect"] == "zoo"
    folder = tmp_path / started.run
    lines = (folder / "events.jsonl").read_bytes().splitlines(keepends=True)
    stop = next(number for number, line in enumerate(lines) if b'"kind":"stage-finished"' in line)
    (folder / "events.jsonl").write_bytes(b"".join(lines[: stop + 1]))
    (folder / "summary.json").unlink()
    before, _ = load_weights(folder / "checkpoints" / "nad.safetensors")
    config = zoo_config("badnets")
    list(run(RunRequest(config, tmp_path, resume=folder)))
    again, _ = load_weights(folder / "checkpoints" / "nad.safetensors")
    assert all(torch.equal(again[name], before[name]) for name in before)
