"""`nadtui inspect`: facts and tensors, as text and as JSON; exit code 2 with one line for what is none."""

from __future__ import annotations

import argparse
import json

import pytest
import torch

from engine import models
from nadtui.cli.exits import ExitCode
from nadtui.cli.main import dispatch
from tests import hostile


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "last.ckpt"
    state = {f"module.{name}": tensor for name, tensor in models.build("wrn-10-1", 5).state_dict().items()}
    torch.save(
        {"net": state, "ema": {"w": torch.rand(3)}, "args": argparse.Namespace(lr=0.1), "mean": [0.5], "std": [0.5]},
        path,
    )
    return path


def test_as_text(checkpoint, capsys):
    assert dispatch(["inspect", str(checkpoint)]) == ExitCode.DONE
    out = capsys.readouterr().out
    for told in (
        "net",
        "prefix        module.",
        "wrn-10-1 for 5 classes",
        "argparse.Namespace",
        "half, by mean and std",
    ):
        assert told in out
    assert "module.fc.weight" in out
    assert "5x64" in out
    assert "also there    ema, 1 tensor" in out


def test_as_json(checkpoint, capsys):
    assert dispatch(["inspect", str(checkpoint), "--json"]) == ExitCode.DONE
    told = json.loads(capsys.readouterr().out)
    assert told["network"]["name"] == "wrn-10-1"
    assert told["stubs"] == {"argparse.Namespace": 1}
    assert told["prefix"] == "module."


@pytest.mark.parametrize("content", [b"", b"<html>", hostile.RUNNING["os.system"], hostile.RUNNING["builtins.eval"]])
def test_what_is_no_checkpoint_is_a_wrong_request(tmp_path, capsys, content):
    (tmp_path / "m.pt").write_bytes(content)
    assert dispatch(["inspect", str(tmp_path / "m.pt")]) == ExitCode.WRONG_REQUEST
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1


def test_names_that_steer_a_terminal_are_shown_escaped(tmp_path, capsys):
    torch.save({"a\x1b[31mred.weight": torch.rand(2, 2)}, tmp_path / "m.pt")
    assert dispatch(["inspect", str(tmp_path / "m.pt")]) == ExitCode.DONE
    assert "\x1b" not in capsys.readouterr().out
