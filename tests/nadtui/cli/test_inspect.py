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


@pytest.mark.parametrize("name", ["absent.pt", "~nobody-there/m.pt", "~/absent.pt", ""])
def test_a_path_without_a_file_is_a_wrong_request(tmp_path, monkeypatch, capsys, name):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert dispatch(["inspect", name]) == ExitCode.WRONG_REQUEST
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("name", ["os.system", "builtins.exec", "subprocess.Popen"])
def test_a_suspect_that_names_what_runs_things_is_a_wrong_request_and_leaves_no_run(tmp_path, capsys, name):
    (tmp_path / "m.pt").write_bytes(hostile.zipped(hostile.RUNNING[name]))
    few = ["--set", "data.train_images=20", "--set", "data.test_images=20", "--threads", "1", "--headless"]
    command = ["run", "--preset", "badnets", "--suspect", str(tmp_path / "m.pt"), *few, "--out", str(tmp_path / "runs")]
    assert dispatch(command) == ExitCode.WRONG_REQUEST
    said = capsys.readouterr().err.splitlines()
    assert name in said[-1]
    assert not (tmp_path / "runs").exists()


def test_a_file_in_the_home_folder_is_found(checkpoint, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(checkpoint.parent))
    assert dispatch(["inspect", f"~/{checkpoint.name}"]) == ExitCode.DONE
    assert "wrn-10-1" in capsys.readouterr().out


def test_names_that_steer_a_terminal_are_shown_escaped(tmp_path, capsys):
    torch.save({"a\x1b[31mred.weight": torch.rand(2, 2)}, tmp_path / "m.pt")
    assert dispatch(["inspect", str(tmp_path / "m.pt")]) == ExitCode.DONE
    assert "\x1b" not in capsys.readouterr().out
