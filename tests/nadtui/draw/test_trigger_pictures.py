"""Triggers drawn for the preview: what is changed where, kept in the cache, drawn by a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from engine import zoo
from engine.attacks import preview, settings_class
from engine.config.layers import nested
from engine.config.presets import list_presets, resolve
from engine.config.run import DataSettings
from engine.data import present
from engine.errors import RequestError
from engine.zoo.contents import load
from nadtui.draw import trigger_process
from nadtui.draw.trigger_pictures import Picture, arrange, difference, triptych


def badnets(**settings):
    return settings_class("badnets")(**settings)


def changed(preview) -> list[tuple[int, int]]:
    """Row and column of every pixel that the trigger changes."""
    pixels = [preview.clean[at : at + 3] != preview.triggered[at : at + 3] for at in range(0, len(preview.clean), 3)]
    return [divmod(place, preview.width) for place, differs in enumerate(pixels) if differs]


@pytest.mark.parametrize("name", [preset.name for preset in list_presets()])
def test_every_preset_can_be_drawn(name):
    attack = resolve(name).attack
    card = zoo.made_by(attack, "signs")  # two of them train for minutes without it
    drawn = preview.draw(attack, made=card and preview.Made(card.name, card.sha256, load(card).trigger))
    assert len(drawn.clean) == len(drawn.triggered) == 3 * drawn.width * drawn.height
    assert bool(changed(drawn)) == (name != "clean")  # which has no trigger


def test_badnets_changes_its_corner_alone():
    places = changed(preview.draw(badnets(size=3, place="top-left")))
    assert places
    assert all(row < 3 and column < 3 for row, column in places)


def test_the_image_is_of_another_class_than_the_target():
    labels = {preview.draw(badnets(target=target)).label for target in range(2)}
    assert "stop" not in {preview.draw(badnets(target=0)).label}
    assert labels


def test_a_drawn_trigger_is_kept_and_a_damaged_file_is_not_believed():
    attack = badnets()
    assert preview.cached(attack) is None
    drawn = preview.draw(attack)
    preview.keep(attack, drawn)
    assert preview.cached(attack) == drawn
    assert preview.cached(badnets(size=4)) is None
    preview._place(attack, None, None).write_text('{"height": 32, "width": 32, "label": "x", "clean": "AAAA"}')
    assert preview.cached(attack) is None


@pytest.mark.parametrize("name", ["trojan", "dynamic"])
def test_a_trigger_that_takes_training_is_the_zoos_where_the_zoo_has_it(name, monkeypatch):
    """No lab is there to train in: a picture that is drawn shows what was made before."""
    attack = resolve(name, dataset="cifar10").attack
    card = zoo.made_by(attack, "cifar10")
    made = preview.Made(card.name, card.sha256, load(card).trigger)
    monkeypatch.setattr("engine.attacks.lab.TrainingLab", None)
    drawn = preview.draw(attack, made=made)
    assert drawn.source == f"{name}-cifar10-0"
    assert changed(drawn)
    assert [caption for caption, _ in triptych(drawn)][1] == f"triggered, zoo {name}-cifar10-0"
    preview.keep(attack, drawn, None, made)
    assert preview.cached(attack, None, made) == drawn
    assert preview.cached(attack) is None  # that would be another one, made for the picture
    assert preview.cached(attack, None, preview.Made(card.name, "0" * 64, {})) is None


@pytest.mark.parametrize("name", ["badnets", "blend", "sig", "wanet"])
def test_a_trigger_that_is_had_without_training_is_made_for_the_picture(name):
    nobodys = preview.Made("somebody", "0" * 64, {})
    drawn = preview.draw(resolve(name).attack, made=nobodys)
    assert (drawn.source, [caption for caption, _ in triptych(drawn)][1]) == ("", "triggered")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, "trojan-cifar10-0"),
        ({"attack.seed": 1}, "trojan-cifar10-1"),
        ({"attack.seed": 7}, None),
        ({"attack.steps": 3}, None),
        ({"data.name": "signs"}, None),
    ],
)
def test_the_zoos_trigger_is_that_of_the_same_attack_data_and_seed(changes, found, monkeypatch):
    cards = {name: card for name, card in zoo.cards().items() if card.dataset == "cifar10"}
    monkeypatch.setattr(zoo, "cards", lambda: cards)
    layers = [nested(path, value) for path, value in changes.items() if path != "data.name"]
    config = resolve("trojan", dataset=str(changes.get("data.name", "cifar10")), overrides=layers)
    card = zoo.made_by(config.attack, config.data.name)
    assert (card and card.name) == found


def test_the_zoos_trigger_is_known_though_its_attack_has_a_new_field(monkeypatch):
    card = zoo.card("trojan-cifar10-0")
    older = {name: value for name, value in card.config["attack"].items() if name != "steps"}
    before = card.model_copy(update={"config": {**card.config, "attack": older}})
    monkeypatch.setattr(zoo, "cards", lambda: {before.name: before})
    attack = resolve("trojan", dataset="cifar10").attack
    default = type(attack).model_fields["steps"].default
    assert zoo.made_by(attack.model_copy(update={"steps": default}), "cifar10") == before
    assert zoo.made_by(attack.model_copy(update={"steps": default + 1}), "cifar10") is None


def test_of_several_suspects_of_one_attack_the_plainest_is_taken():
    attack = resolve("badnets", dataset="cifar10").attack  # one was trained without augmentation
    assert zoo.made_by(attack, "cifar10").name == "badnets-cifar10-0"


def test_the_drawing_process_takes_the_zoos_trigger(tmp_path):
    """On images of CIFAR-10's shape and name: those a person would have to bring."""
    labels = np.arange(40) % 10
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "cifar10.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    attack, data = resolve("trojan", dataset="cifar10").attack, DataSettings(name="cifar10")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NADTUI_DATA", str(tmp_path))
        assert trigger_process.cached(attack, data) is None
        drawn = trigger_process.preview(attack, data)
        assert drawn.source == "trojan-cifar10-0"
        assert trigger_process.cached(attack, data) == drawn


def test_a_process_of_its_own_draws_and_says_what_is_wrong():
    attack = badnets()
    assert trigger_process.preview(attack) == preview.draw(attack)
    with pytest.raises(RequestError, match=r"attack\.target = 10: the data set has classes 0 to 9"):
        trigger_process.preview(badnets(target=10))


@pytest.fixture
def started(monkeypatch) -> list[subprocess.Popen]:
    """The drawing processes that a test starts."""
    started: list[subprocess.Popen] = []

    class Noted(subprocess.Popen):
        def __init__(self, *arguments: object, **more: object) -> None:
            super().__init__(*arguments, **more)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    return started


def test_one_process_draws_one_trigger_after_another(started, tmp_path, monkeypatch):
    for number in (1, 2):
        assert trigger_process.preview(badnets(size=number)) == preview.draw(badnets(size=number))
    assert len(started) == 1
    started[0].kill()
    started[0].wait()
    assert trigger_process.preview(badnets(size=4)) == preview.draw(badnets(size=4))
    monkeypatch.setenv("NADTUI_CACHE", str(tmp_path))  # which a process that was started before would not know
    trigger_process.preview(badnets(size=5))
    assert preview.cached(badnets(size=5))
    assert len(started) == 3
    assert started[1].returncode is not None


def test_what_is_printed_while_python_starts_is_no_answer(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("print('hello from a package')\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    assert trigger_process.preview(badnets(size=7)) == preview.draw(badnets(size=7))


def test_a_process_that_ends_says_why(started, monkeypatch):
    monkeypatch.setattr(trigger_process, "_waiting", [])
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(RequestError, match="cannot be drawn: exit code 1"):
        trigger_process.preview(badnets(size=6))
    monkeypatch.setattr("sys.executable", "/bin/cat")
    with pytest.raises(RequestError, match=r"cannot be drawn: .*cat"):
        trigger_process.preview(badnets(size=6))


def test_a_process_that_does_not_end_is_given_up(started, monkeypatch, tmp_path):
    sleeper = tmp_path / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(sleeper))
    monkeypatch.setattr(trigger_process, "PATIENCE_S", 0.2)
    with pytest.raises(RequestError, match=r"it took more than 0\.2 s"):
        trigger_process.preview(badnets(size=6))


def test_a_trigger_is_drawn_without_a_cache(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NADTUI_CACHE", str(tmp_path / "file"))
    assert preview.cached(badnets()) is None
    assert changed(trigger_process.preview(badnets()))


def test_the_trigger_is_put_on_the_data_set_that_was_chosen(tmp_path):
    """Three classes of 80x100 pixels, each of one color: the picture is one of them, reduced to 51x64."""
    file = tmp_path / "own.npz"
    labels = np.arange(12) % 3
    images = np.broadcast_to(labels.astype(np.uint8)[:, None, None, None] * 50 + 20, (12, 80, 100, 3))
    np.savez(file, x_train=images, y_train=labels, x_test=images, y_test=labels, class_names=["red", "green", "blue"])
    data = DataSettings(name=str(file))
    attack = badnets(size=20, target=0)
    drawn = trigger_process.preview(attack, data)
    assert (drawn.width, drawn.height, drawn.label) == (64, 51, "green")
    assert drawn.clean == bytes([70]) * 3 * 51 * 64
    assert 0 < len(changed(drawn)) < 51 * 64 / 10
    assert preview.cached(attack, data) == drawn
    assert preview.cached(attack) is None  # that is another picture


def test_only_data_that_is_here_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setenv("NADTUI_DATA", str(tmp_path))
    assert present("signs")
    assert not present("cifar10")
    (tmp_path / "cifar10.npz").touch()
    assert present("cifar10")
    assert present(str(tmp_path))
    assert not present(str(tmp_path / "nothing.npz"))


def test_the_difference_is_raised_around_gray():
    clean = Picture(1, 2, bytes([100, 100, 100, 50, 50, 50]))
    triggered = Picture(1, 2, bytes([100, 110, 90, 50, 50, 50]))
    picture, factor = difference(clean, triggered)
    assert picture.rgb == bytes([128, 255, 1, 128, 128, 128])
    assert factor == pytest.approx(12.7)
    assert difference(clean, clean)[0].rgb == bytes([128] * 6)


def test_bytes_that_are_no_picture_are_refused():
    with pytest.raises(ValueError, match="no 2x2 picture"):
        Picture(2, 2, bytes(3))


@pytest.mark.parametrize(
    ("room", "wanted"),
    [
        ((98, 17), (3, 32, 1)),  # beside each other
        ((40, 60), (1, 38, 3)),  # below each other
        ((60, 40), (2, 28, 2)),  # two above one
        ((3, 2), (1, 4, 3)),  # no room: as small as can be
    ],
)
def test_pictures_are_laid_out_as_large_as_they_fit(room, wanted):
    assert arrange(3, *room) == wanted


def test_looking_at_previews_needs_no_torch():
    code = "import sys, nadtui.draw.trigger_process, nadtui.workbench.screens.workspace; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
