"""Names that are no letters (bytes that are no UTF-8) of folders, files and classes: kept, and never in the way."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine import events as ev
from engine.errors import RequestError
from engine.models import build
from engine.record.listing import find_run, list_runs
from engine.record.reading import read_events, read_settings, read_summary
from engine.storage.checkpoints import load_weights, save_weights
from nadtui.cli.main import dispatch
from nadtui.runs.request import RunOptions, build_request
from tests.tiny import run_all, runs_in, tiny_config

pytestmark = pytest.mark.skipif(os.uname().sysname != "Linux", reason="file systems of others take letters alone")

ODD = os.fsdecode(b"\xff\xe9 t\xc3")
FEW = ("data.train_images=null", "data.test_images=null", "data.size=16", "evaluation.samples=1", "training.epochs=1")


@pytest.fixture(autouse=True)
def _one_cache(module_cache, monkeypatch) -> None:
    monkeypatch.setenv("NADTUI_CACHE", str(module_cache))


def images(folder: Path) -> Path:
    """Three classes of twenty images; a class, and every image, has a name that is no letters."""
    draw = np.random.default_rng(0)
    for name in (f"{ODD}a", f"{ODD}b", "c"):
        (folder / name).mkdir(parents=True)
        for number in range(20):
            pixels = draw.integers(0, 255, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}{ODD}.png")
    return folder


def npz(file: Path) -> Path:
    draw = np.random.default_rng(0)
    arrays = {f"y_{part}": np.arange(60) % 3 for part in ("train", "test")}
    arrays |= {f"x_{part}": draw.integers(0, 255, (60, 16, 16, 3), dtype=np.uint8) for part in ("train", "test")}
    with file.open("wb") as opened:
        np.savez(opened, **arrays)
    return file


def test_a_run_goes_to_its_end_and_is_read_back_with_every_name(tmp_path, capsys):
    data, suspect, out = tmp_path / ODD, tmp_path / f"{ODD}.safetensors", tmp_path / f"runs {ODD}"
    save_weights(suspect, build("wrn-10-1", 3, 0).state_dict(), {})
    config = tiny_config("badnets", *FEW, f"suspect={suspect}", dataset=str(images(data)))
    events = run_all(config, out)
    assert isinstance(events[-1], ev.RunFinished), events[-1]
    (folder,) = runs_in(out)
    log = read_events(folder)
    assert log.damaged == 0
    started = log.events[0]
    assert started.dataset["class_names"] == sorted([f"{ODD}a", f"{ODD}b", "c"])
    assert started.config["suspect"] == str(suspect) == started.inputs["suspect"]["path"]
    assert read_settings(folder)["data"]["name"] == str(data)
    assert read_summary(folder)["dataset"]["name"] == ODD
    assert find_run(out, str(folder)) == folder
    assert [head.status for head in list_runs(out)] == ["finished"]
    for arguments in (["show", "latest"], ["runs"], ["export", "latest", "-o", str(tmp_path / f"{ODD}.md")]):
        assert dispatch([*arguments, "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert r"\xff\xe9 t\xc3" in said.out and r"\xff\xe9 t\xc3.md" in said.err
    for form in ("html", "json", "csv", "tex"):
        assert dispatch(["export", str(folder), "-o", str(tmp_path / f"x.{form}")]) == 0
    assert r"\xff\xe9 t\xc3" in (tmp_path / f"{ODD}.md").read_text(encoding="utf-8").replace("\\\\", "\\")


def test_a_stopped_run_with_such_names_goes_on(tmp_path):
    config = tiny_config("badnets", *FEW, "training.epochs=2", dataset=str(npz(tmp_path / f"{ODD}.npz")))
    from engine import run
    from engine.control import Control
    from engine.running.request import RunRequest

    control = Control()
    for event in run(RunRequest(config=config, out=tmp_path / ODD), control):
        if isinstance(event, ev.Evaluation):
            control.stop()
    (folder,) = runs_in(tmp_path / ODD)
    request = build_request(RunOptions(resume=str(folder)))
    assert request.config == config
    assert isinstance(list(run(request))[-1], ev.RunFinished)


def test_weights_are_kept_under_such_names(tmp_path):
    weights = build("wrn-10-1", 3, 0).state_dict()
    file = tmp_path / ODD / f"{ODD}.safetensors"
    save_weights(file, weights, {"model": f"{ODD}.py:Net"})
    kept, about = load_weights(file)
    assert kept.keys() == weights.keys()
    assert about["model"].endswith(".py:Net")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"dataset": f"/nowhere/{ODD}.npz"}, "no such file or folder"),
        ({"suspect": f"/nowhere/{ODD}.pth"}, "no such file"),
        ({"settings": (f"attack.target={ODD}",)}, "attack.target"),
        ({"recipe": f"/nowhere/{ODD}.yaml"}, "cannot be read"),
    ],
)
def test_an_error_that_names_one_is_one_line_and_names_no_record(option, said, tmp_path, capsys):
    words = ["run", "--preset", "badnets", "--headless", "--out", str(tmp_path / ODD)]
    for name, value in option.items():
        words += ["--set", value[0]] if name == "settings" else [f"--{name}", value]
    assert dispatch(words) == 2
    err = capsys.readouterr().err.removeprefix("drawing signs\n")  # a class's name is looked for among the images'
    assert err.count("\n") == 1 and said in err and r"\xff" in err
    assert "record" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_image_is_named_in_the_error(tmp_path):
    folder = images(tmp_path / "data")
    (folder / "c" / f"0{ODD}.png").write_bytes(b"no image")
    with pytest.raises(RequestError, match="cannot read 1 of"):
        run_all(tiny_config("badnets", *FEW, dataset=str(folder)), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
