"""Maps computed anew from checkpoints are those of the record."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from engine import models
from engine.attention.capture import Capture
from engine.attention.recompute import NEWEST, recapture
from engine.device import Device
from engine.errors import RequestError
from engine.models.normalized import Normalized
from engine.models.preprocessing import KNOWN, Preprocessing
from engine.storage.checkpoints import save_weights

CPU = Device(torch.device("cpu"), "fp32")
TAPS = ["block1", "block2", "block3", "bn1"]


@pytest.mark.parametrize("triggered", [True, False])
@pytest.mark.parametrize("taps", [1, 4])
def test_recomputed_maps_are_those_of_the_record(tmp_path: Path, taps: int, triggered: bool):
    images = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    places = torch.arange(3)
    twins = images.flip(-1) if triggered else None
    capture = Capture(images, twins, places, places, operator="mean_p", p=3.0, device=CPU)
    recorded, files = [], {"absent": tmp_path / "absent.safetensors"}
    for seed, stage in enumerate(("attack", "nad")):
        network = models.build("wrn-10-1", 3, seed=seed, taps=TAPS[:taps])
        recorded += capture.look(stage, NEWEST, network)[0]
        files[stage] = tmp_path / f"{stage}.safetensors"
        save_weights(files[stage], network.state_dict(), {})
    network = models.build("wrn-10-1", 3, seed=9, taps=TAPS[:taps])
    found = list(recapture(files, list(capture.samples()), network, operator="mean_p", p=3.0))
    assert len(found) == 2 * 3 * taps
    for one, other in zip(found, recorded, strict=True):
        assert one.peak == pytest.approx(other.peak)
        assert dataclasses.replace(one, peak=0.0) == dataclasses.replace(other, peak=0.0)
        assert bool(one.triggered) == triggered


def test_a_normalization_that_came_with_the_weights_is_heeded(tmp_path: Path):
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    capture = Capture(images, None, torch.arange(2), torch.arange(2), operator="sum_p", p=2.0, device=CPU)
    plain = models.build("wrn-10-1", 3, seed=1)
    stages = {"attack": Normalized(plain, Preprocessing(*KNOWN["half"])), "nad": plain}
    files = {stage: tmp_path / f"{stage}.safetensors" for stage in stages}
    for stage, network in stages.items():
        save_weights(files[stage], network.state_dict(), {})
    recorded = [each for stage, network in stages.items() for each in capture.look(stage, NEWEST, network)[0]]
    network = models.build("wrn-10-1", 3, seed=9)
    found = list(recapture(files, list(capture.samples()), network, operator="sum_p", p=2.0))
    for one, other in zip(found, recorded, strict=True):
        assert one.peak == pytest.approx(other.peak)
        assert one.clean == other.clean
    assert found[0].clean != found[len(found) // 2].clean


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path):
    save_weights(tmp_path / "nad.safetensors", models.build("wrn-10-2", 3).state_dict(), {})
    place = torch.arange(1)
    images = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    samples = list(Capture(images, images, place, place, operator="sum", p=2.0, device=CPU).samples())
    network = models.build("wrn-10-1", 3)
    with pytest.raises(RequestError, match=r"nad\.safetensors does not fit wrn-10-1"):
        list(recapture({"nad": tmp_path / "nad.safetensors"}, samples, network, operator="sum", p=2.0))
