"""A purified model in its owner's shape, loaded by code that knows nothing of nadtui."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from engine import models
from engine.models.preprocessing import KNOWN
from engine.storage.checkpoints import load_weights
from engine.storage.state_dicts.normalization import OURS
from nadtui.cli.exits import ExitCode
from nadtui.cli.main import dispatch
from nadtui.export.checkpoint import cautions
from tests.tiny import run_all, runs_in, tiny_config

MEAN, STD = KNOWN["gtsrb"]


class OwnersNetwork(nn.Module):
    """A network as its owner wrote it, whose arithmetic happens to be ours."""

    def __init__(self):
        super().__init__()
        self.network = models.build("wrn-10-1", 10, seed=3)

    def forward(self, images):
        return self.network(images)


class OwnersNormalize(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))

    def forward(self, images):
        return (images - self.mean) / self.std


def plain():
    return models.build("wrn-10-1", 10, seed=3)


def strictly(model, state):
    """As an owner does it."""
    assert not any(state.keys() - model.state_dict().keys())
    model.load_state_dict(state, strict=True)
    return model.eval()


# What each owner saves, and how the same owner loads it again.


def backdoorbench(path):
    parallel = nn.DataParallel(plain())
    content = {"model_name": "wrn", "num_classes": 10, "model": parallel.state_dict(), "data_path": "./data"}
    torch.save({**content, "clean_data": "gtsrb", "bd_train": {"original_index": torch.arange(3)}}, path)


def load_backdoorbench(path):
    content = torch.load(path, weights_only=True)
    assert (content["model_name"], content["num_classes"], content["clean_data"]) == ("wrn", 10, "gtsrb")
    return strictly(nn.DataParallel(plain()), content["model"])


def normalizing(path):
    torch.save(nn.Sequential(OwnersNormalize(), plain()).state_dict(), path)


def load_normalizing(path):
    return strictly(nn.Sequential(OwnersNormalize(), plain()), torch.load(path, weights_only=True))


def lightning(path):
    state = {f"model.{name}": tensor for name, tensor in plain().state_dict().items()}
    torch.save({"epoch": 4, "global_step": 100, "state_dict": state, "optimizer_states": [{"state": {}}]}, path)


def load_lightning(path):
    content = torch.load(path, weights_only=True)
    assert content["epoch"] == 4
    return strictly(plain(), {name.removeprefix("model."): tensor for name, tensor in content["state_dict"].items()})


def half(path):
    torch.save({"net": plain().half().state_dict(), "acc": 91.5}, path)


def load_half(path):
    state = torch.load(path, weights_only=True)["net"]
    assert state["fc.weight"].dtype == torch.float16
    return strictly(plain().half(), state)


def averaged(path):
    model = torch.optim.swa_utils.AveragedModel(plain())
    model.n_averaged += 7
    torch.save(model.state_dict(), path)


def load_averaged(path):
    model = strictly(torch.optim.swa_utils.AveragedModel(plain()), torch.load(path, weights_only=True))
    assert int(model.n_averaged) == 7
    return model


def nested(path):
    torch.save({"network": {"weights": OwnersNetwork().state_dict()}, "seed": 1}, path)


def load_nested(path):
    return strictly(OwnersNetwork(), torch.load(path, weights_only=True)["network"]["weights"])


OWNERS = {
    "backdoorbench": (backdoorbench, load_backdoorbench),
    "normalizing": (normalizing, load_normalizing),
    "lightning": (lightning, load_lightning),
    "half": (half, load_half),
    "averaged": (averaged, load_averaged),
    "nested": (nested, load_nested),
}


def tiny(suspect, *overrides):
    return tiny_config(
        "badnets",
        f"suspect={suspect}",
        "data.train_images=80",
        "data.test_images=40",
        "evaluation.samples=1",
        *overrides,
        defended_by=["fine-tuning"],
    )


@pytest.mark.parametrize("owner", OWNERS)
def test_the_owners_code_loads_the_purified_model(tmp_path, owner, capsys):
    save, load = OWNERS[owner]
    save(tmp_path / "suspect.pth")
    run_all(tiny(tmp_path / "suspect.pth", "defenses.fine-tuning.training.epochs=1"), tmp_path / "runs")
    (folder,) = runs_in(tmp_path / "runs")
    clean = tmp_path / "clean.pth"
    assert dispatch(["export", str(folder), "--format", "checkpoint", "-o", str(clean)]) == ExitCode.DONE
    assert ("rounded to float16, as the suspect was" in capsys.readouterr().err) is (owner == "half")
    model = load(clean)
    weights, _ = load_weights(folder / "checkpoints" / "fine-tuning.safetensors")
    ours = plain()
    ours.load_state_dict({name: each for name, each in weights.items() if name not in OURS})
    images = torch.rand(4, 3, 32, 32)
    given = (
        (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
        if owner == "normalizing"
        else images
    )
    with torch.no_grad():
        wanted = ours.eval()(given)
        seen = model(images.half() if owner == "half" else images).float()
    torch.testing.assert_close(seen, wanted, atol=0.02 if owner == "half" else 1e-5, rtol=0.02)
    # It is no copy of the suspect.
    before = load(tmp_path / "suspect.pth").state_dict()
    assert any(not torch.equal(before[name], each) for name, each in model.state_dict().items() if each.ndim > 1)
    told = json.loads((folder / "summary.json").read_text())["stages"][0]
    assert told["cached"]


def test_whoever_takes_bounds_is_told_what_they_are_for():
    weights = {
        "bn1.weight": torch.ones(4),
        "bn1.bound": torch.ones(4, 8, 8),
        "bn1.num_batches_tracked": torch.tensor(1),
    }
    (said,) = cautions(weights, weights)
    assert "bn1.bound the first of 1" in said and "torch.minimum" in said
    del weights["bn1.bound"]
    assert not cautions(weights, weights)


def test_a_suspect_of_safetensors_and_the_stage_that_is_asked_for(tmp_path, capsys):
    save_file({f"module.{name}": each for name, each in plain().state_dict().items()}, tmp_path / "s.safetensors")
    run_all(tiny(tmp_path / "s.safetensors", "defenses.fine-tuning.training.epochs=1"), tmp_path / "runs")
    (folder,) = runs_in(tmp_path / "runs")
    command = ["export", str(folder), "--stage", "attack", "-o", str(tmp_path / "a.safetensors")]
    assert dispatch(command) == ExitCode.DONE
    before, after = load_file(tmp_path / "s.safetensors"), load_file(tmp_path / "a.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    for wrong, told in (
        (["--stage", "nad", "-o", "x.pth"], "fine-tuning"),
        (["--format", "checkpoint"], "-o"),
        (["--stage", "attack", "--format", "md"], "--format checkpoint"),
        (["--format", "pickle"], "checkpoint"),
    ):
        capsys.readouterr()
        assert dispatch(["export", str(folder), *wrong]) == ExitCode.WRONG_REQUEST
        assert told in capsys.readouterr().err


def test_a_trained_suspects_run_gives_a_plain_state_dict_that_comes_in_again(tmp_path, capsys):
    few = ["data.train_images=80", "data.test_images=40", "training.epochs=1", "model.mean=gtsrb"]
    run_all(
        tiny_config("badnets", *few, "defenses.fine-tuning.training.epochs=1", defended_by=["fine-tuning"]),
        tmp_path / "runs",
    )
    (folder,) = runs_in(tmp_path / "runs")
    assert dispatch(["export", str(folder), "-o", str(tmp_path / "clean.pt")]) == ExitCode.DONE
    content = torch.load(tmp_path / "clean.pt", weights_only=True)
    strictly(plain(), content["state_dict"])
    assert content["mean"] == pytest.approx(list(MEAN))
    run_all(tiny(tmp_path / "clean.pt", "defenses.fine-tuning.training.epochs=1"), tmp_path / "again")
    (again,) = runs_in(tmp_path / "again")
    purified = json.loads((folder / "summary.json").read_text())["stages"][-1]
    taken = json.loads((again / "summary.json").read_text())
    assert taken["stages"][0]["sha256"] == purified["sha256"]
    assert taken["model"]["mean"] == pytest.approx(list(MEAN))
