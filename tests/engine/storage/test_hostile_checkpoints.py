"""Checkpoints made to do harm, or damaged: nothing is executed, one line is said, little memory is taken."""

from __future__ import annotations

import io
import pickle
import random
from pathlib import Path

import pytest
import torch

from engine.errors import RequestError
from engine.storage.checkpoints import load_foreign
from tests import hostile
from tests.hostile import GREEDY, MB, RUNNING, watched


def said(path: Path) -> str:
    """The one line of a refusal; empty where the file was read."""
    try:
        load_foreign(path)
    except RequestError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 600
        return str(error)
    return ""


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "zip"])
@pytest.mark.parametrize("name", RUNNING)
def test_what_is_known_to_run_things_is_refused_by_name(tmp_path, monkeypatch, name, packed):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.pth"
    path.write_bytes(hostile.zipped(RUNNING[name]) if packed else RUNNING[name])
    with watched() as watch:
        line = said(path)
    assert name in line
    assert "not executed" in line
    assert watch.seen == []
    assert sorted(each.name for each in tmp_path.iterdir()) == ["model.pth"]


def test_the_watch_sees_what_it_is_there_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with watched() as watch:
        pickle.loads(RUNNING["os.system"])
    assert any(event.startswith("os.system") for event in watch.seen)
    assert (tmp_path / "CANARY").exists()
    with pytest.raises(MemoryError), watched(20 * MB):
        bytearray(8_000 * MB)  # more than earlier tests can have left free in this process


@pytest.mark.parametrize("name", GREEDY)
def test_what_asks_for_memory_or_nonsense_gets_one_line(tmp_path, name):
    path = tmp_path / "model.pth"
    path.write_bytes(GREEDY[name])
    with watched(200 * MB + 4 * len(GREEDY[name])) as watch:
        said(path)
    assert watch.seen == []


def bases() -> list[bytes]:
    """Small honest files of every form."""
    state = {"a.weight": torch.rand(4, 3), "a.bias": torch.rand(4), "n": torch.tensor(3)}
    content = {"state_dict": state, "epoch": 3, "args": (1, [2.5, None], {"x": "y"})}
    files = []
    for zipped in (True, False):
        buffer = io.BytesIO()
        torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
        files.append(buffer.getvalue())
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    return files + [pickle.dumps(arrays, protocol) for protocol in range(6)] + [pickle.dumps(state, 4)]


def mutated(draw: random.Random, base: bytes) -> bytes:
    """A few bytes changed, put in, taken out or cut off; now and then a call of what must not be called."""
    content = bytearray(base)
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(content) + 1)
        match draw.randrange(6):
            case 0:
                content[at : at + 1] = bytes([draw.randrange(256)])
            case 1:
                content[at:at] = draw.randbytes(draw.randint(1, 8))
            case 2:
                del content[at : at + draw.randint(1, 16)]
            case 3:
                content[at:at] = hostile.call("os", "system", "touch CANARY")
            case 4:
                content[at:at] = draw.choice([b"(", b"]", b"}", b"R", b"b", b"o", b"\x81", b"\x93", b"Q", b"0", b"2"])
            case 5:
                del content[max(1, at) :]
    return bytes(content)


def test_two_thousand_mutated_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw = random.Random(20261126)
    files = bases()
    path = tmp_path / "model.pth"
    refused = 0
    with watched() as watch:
        for place in range(2_000):
            base = files[place % len(files)]
            content = mutated(draw, base)
            if place % 3 == 0 and not content.startswith(b"PK"):
                content = hostile.zipped(content)  # else an archive's checksum is all that a change meets
            path.write_bytes(content)
            refused += bool(said(path))
    assert watch.seen == []
    assert not (tmp_path / "CANARY").exists()
    assert 1_000 < refused < 2_000  # some changes meet a weight alone, and leave the file whole
