"""`nadtui attack` and `nadtui presets show`: what they write, draw and measure."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from engine.config.presets import resolve
from engine.evaluation.visibility import ssim, visibility
from engine.storage.checkpoints import load_weights
from nadtui.cli.main import dispatch
from tests.tiny import run_all, runs_in, tiny_config

DATA = ["--set", "data.train_images=300", "--set", "data.test_images=120", "--set", "precision=fp32"]
DATA += ["--threads", "1", "--set", "model.name=wrn-10-1", "--set", "training.epochs=2", "--dataset", "signs"]


@pytest.fixture(autouse=True)
def _one_cache(module_cache, monkeypatch) -> None:
    """The signs are drawn once for this module's tests."""
    monkeypatch.setenv("NADTUI_CACHE", str(module_cache))


def pixels(file) -> np.ndarray:
    return np.asarray(Image.open(file))


# --- Visibility ----------------------------------------------------------------------------------------------------


def test_psnr_and_linf_on_known_pixels():
    clean = torch.full((2, 3, 16, 16), 100, dtype=torch.uint8)
    changed = clean.clone()
    changed[0] += 10
    changed[1, :, 0, 0] = 0
    seen = visibility(clean, changed)
    error = (10**2 * 768 + 100**2 * 3) / (2 * 768)
    assert seen.psnr == pytest.approx(20 * math.log10(255) - 10 * math.log10(error))
    assert (seen.linf, seen.linf_mean, seen.images) == (100, 55, 2)
    same = visibility(clean, clean)
    assert (same.psnr, same.linf, same.ssim) == (math.inf, 0, pytest.approx(1))


def test_ssim_is_wangs():
    """Of two even images only the first factor is left: (2ab + C1) / (a^2 + b^2 + C1)."""
    one, other = (torch.full((1, 3, 32, 32), value, dtype=torch.uint8) for value in (100, 150))
    expected = (2 * 100 * 150 + 6.5025) / (100**2 + 150**2 + 6.5025)
    assert ssim(one, other).item() == pytest.approx(expected, abs=1e-9)
    noise = torch.randint(0, 256, (1, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    assert abs(ssim(noise, 255 - noise).item() + 0.98) < 0.05, "the negative of an image is its opposite"
    assert ssim(noise, noise.roll(5, -1)).abs().item() < 0.2
    assert ssim(noise[..., :8, :9], noise[..., :8, :9]).item() == pytest.approx(1)


def test_ssim_agrees_with_the_sums_written_out():
    draw = torch.Generator().manual_seed(1)
    one, other = (torch.randint(0, 256, (1, 3, 11, 11), generator=draw).to(torch.uint8) for _ in range(2))
    place = np.arange(11) - 5
    line = np.exp(-(place**2) / 4.5)
    weights = np.outer(line, line) / line.sum() ** 2
    values = []
    for x, y in zip(one[0].double().numpy(), other[0].double().numpy(), strict=True):
        mx, my = (weights * x).sum(), (weights * y).sum()
        vx, vy = (weights * (x - mx) ** 2).sum(), (weights * (y - my) ** 2).sum()
        cov = (weights * (x - mx) * (y - my)).sum()
        c1, c2 = 2.55**2, 7.65**2
        values.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    assert ssim(one, other).item() == pytest.approx(np.mean(values), abs=1e-9)


# --- nadtui attack -------------------------------------------------------------------------------------------------


def test_the_files_are_the_attack(tmp_path, capsys):
    out = tmp_path / "made"
    rates = ["--set", "attack.poisoning_rate=0.1", "--set", "attack.noise_ratio=2"]
    assert dispatch(["attack", "--preset", "wanet", "--out", str(out), "--export-images", "3", *rates, *DATA]) == 0
    assert str(out) in capsys.readouterr().out
    rows = list(csv.DictReader((out / "index.csv").open()))
    kinds = [(row["split"], row["kind"]) for row in rows]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        ("train", "clean"): 6,
        ("train", "poisoned"): 3,
        ("train", "cover"): 3,
        ("test", "clean"): 3,
        ("test", "triggered"): 3,
    }
    places = json.loads((out / "poisoned.json").read_text())
    assert (len(places["indices"]), len(places["covers"]), places["images"]) == (30, 60, 300)
    for row in rows:
        assert pixels(out / row["file"]).shape == (32, 32, 3)
        if row["kind"] == "poisoned":
            assert int(row["index"]) in places["indices"]
            assert row["label"] == "0" != row["class"]
        if row["kind"] == "cover":
            assert int(row["index"]) in places["covers"]
            assert row["label"] == row["class"]
        if row["kind"] != "clean":
            clean = out / row["file"].replace(row["kind"], "clean")
            assert (pixels(clean) != pixels(out / row["file"])).any()
    assert load_weights(out / "trigger.safetensors")[0]["flow"].shape == (32, 32, 2)
    config = resolve(None, config_file=out / "config.yaml")
    assert (config.preset, config.data.train_images) == ("wanet", 300)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_the_files_are_those_of_a_run(tmp_path):
    overrides = ["training.epochs=2", "data.size=32", "attack.width=4", "attack.mask_steps=3"]
    config = tiny_config(
        "dynamic", *overrides, "defenses.nad.teacher.training.epochs=1", "defenses.nad.distill.training.epochs=1"
    )
    run_all(config, tmp_path / "runs", cache=False)
    (tmp_path / "c.yaml").write_text(config.to_yaml())
    given = [part for text in overrides for part in ("--set", text)]
    given += ["--set", "training.batch_size=64", "--set", "training.lr=0.1"]
    out = tmp_path / "made"
    assert dispatch(["attack", "--preset", "dynamic", "--out", str(out), "--export-images", "1", *DATA, *given]) == 0
    ours, theirs = (load_weights(path / "trigger.safetensors")[0] for path in (out, runs_in(tmp_path / "runs")[0]))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_clean_has_no_triggered_images(tmp_path):
    out = tmp_path / "made"
    out.mkdir()
    assert dispatch(["attack", "--preset", "clean", "--out", str(out), "--export-images", "2", *DATA]) == 0
    rows = list(csv.DictReader((out / "index.csv").open()))
    assert [(row["split"], row["kind"]) for row in rows] == [("test", "clean")] * 2


@pytest.mark.parametrize("taken", ["folder", "file"])
def test_nothing_is_overwritten(taken, tmp_path, capsys):
    out = tmp_path / "made"
    if taken == "folder":
        out.mkdir()
        (out / "mine.txt").write_text("x")
    else:
        out.write_text("x")
    assert dispatch(["attack", "--preset", "badnets", "--out", str(out), *DATA]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1
    assert "something already" in said.err


def test_a_wrong_attack_is_one_line_and_no_folder(tmp_path, capsys):
    wrong = ["--set", "attack.size=40"]
    assert dispatch(["attack", "--preset", "badnets", "--out", str(tmp_path / "made"), *DATA, *wrong]) == 2
    assert "does not fit" in capsys.readouterr().err
    assert list(tmp_path.glob("made*")) == []


# --- nadtui presets show -------------------------------------------------------------------------------------------


def test_metrics_are_computed(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("NADTUI_PRESETS", str(tmp_path))
    (tmp_path / "mine.yaml").write_text(
        "attack: {name: pixel, poisoning_rate: 0.05}\nthreads: 1\ndata: {train_images: 300, test_images: 120}\n"
    )
    assert dispatch(["presets", "show", "mine", "--metrics"]) == 0
    said = capsys.readouterr().out
    assert "5 % of all training images" in said
    assert "108 test images of signs" in said
    assert " dB" in said
    assert "SSIM" in said
    (tmp_path / "mine.yaml").write_text(
        "attack: {name: clean}\nthreads: 1\ndata: {train_images: 300, test_images: 120}\n"
    )
    assert dispatch(["presets", "show", "mine", "--metrics"]) == 0
    assert "none" in capsys.readouterr().out


def test_the_trigger_is_drawn_and_the_document_stays_yaml(capsys):
    assert dispatch(["presets", "show", "badnets"]) == 0
    said = capsys.readouterr().out
    assert yaml.safe_load(said)["attack"]["name"] == "badnets"
    drawn = [line.ljust(110) for line in said.splitlines()[:17]]
    assert all(line.startswith("#") for line in drawn)
    assert "triggered" in drawn[0]
    assert "difference" in drawn[0]
    changed = [line[2 + 2 * 34 :] for line in drawn[1:]]
    assert all(not line.strip() for line in changed[:13]), "nothing but the corner changes"
    assert changed[-1].strip()
    assert "\x1b" not in said


@pytest.fixture
def numbers(tmp_path):
    """Images of twelve classes, two more than the signs have."""
    labels = np.repeat(np.arange(12), 3)
    images = np.broadcast_to((labels * 20).astype(np.uint8)[:, None, None, None], (36, 16, 16, 3))
    np.savez(tmp_path / "numbers.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    return tmp_path / "numbers.npz"


def test_a_preset_is_drawn_on_its_own_images(numbers, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NADTUI_PRESETS", str(tmp_path))
    settings = {"attack": {"name": "badnets", "target": 11}, "data": {"name": str(numbers), "size": 16}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(settings))
    assert dispatch(["presets", "show", "mine"]) == 0
    said = capsys.readouterr()
    assert "triggered" in said.out.splitlines()[0] and said.err == ""
    assert yaml.safe_load(said.out)["attack"]["target"] == 11
    assert dispatch(["presets", "show", "mine", "--png", str(tmp_path / "a.png")]) == 0


def test_what_cannot_be_drawn_is_shown_without_a_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NADTUI_PRESETS", str(tmp_path))
    monkeypatch.setenv("NADTUI_DATA", str(tmp_path / "none"))
    (tmp_path / "mine.yaml").write_text("attack: {name: badnets, target: 38}\ndata: {name: gtsrb}\n")
    assert dispatch(["presets", "show", "mine"]) == 0
    said = capsys.readouterr()
    assert yaml.safe_load(said.out)["data"]["name"] == "gtsrb"
    assert said.err.startswith("no picture: ") and "attack.target = 38" in said.err
    assert "gtsrb is not on this machine" in said.err and said.err.count("\n") == 1
    assert dispatch(["presets", "show", "mine", "--png", str(tmp_path / "a.png")]) == 2


def test_color_is_drawn_as_half_blocks():
    from rich.console import Console

    from engine.attacks.preview import TriggerPreview
    from nadtui.draw.trigger_pictures import as_text

    red, white = bytes([200, 0, 0]) * 64, bytes([255, 255, 255]) * 64
    console = Console(width=80, force_terminal=True, color_system="truecolor")
    with console.capture() as said:
        console.print(as_text(TriggerPreview(8, 8, "a", red, white), 80, color=True))
    assert "38;2;200;0;0" in said.get()
    assert "▀" in said.get()
    stacked = Console(width=20).render_lines(as_text(TriggerPreview(8, 8, "a", red, white), 20, color=False))
    assert len(stacked) > 12, "one below the other where they do not fit side by side"


def test_the_picture_is_written(tmp_path, capsys):
    assert dispatch(["presets", "show", "badnets", "--png", str(tmp_path / "b.png")]) == 0
    image = pixels(tmp_path / "b.png")
    assert image.shape == (16 + 192 + 8, 3 * 200 + 8, 3)
    corner = image[16 + 29 * 6 : 16 + 32 * 6 : 6, 8 + 200 + 29 * 6 : 8 + 200 + 32 * 6 : 6]
    assert (corner[..., 0] == [[255, 0, 255], [0, 255, 0], [255, 0, 255]]).all()
    assert "b.png" in capsys.readouterr().out
    assert dispatch(["presets", "show", "badnets", "--png", str(tmp_path)]) == 2
