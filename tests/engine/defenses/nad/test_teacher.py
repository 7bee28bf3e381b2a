"""A teacher of another network than the student's: from a file, or trained from its beginning; in a whole run, too."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from engine import events as ev
from engine import models, run, zoo
from engine.control import Control
from engine.defenses.base import Adopt, Train
from engine.defenses.nad.defense import Nad
from engine.defenses.nad.settings import DistillSettings, TeacherSettings
from engine.defenses.nad.teacher import made
from engine.errors import RequestError
from engine.record.reading import read_events
from engine.record.view import fold
from engine.running.request import RunRequest
from engine.settings import AugmentSettings, TrainingSettings
from engine.storage.checkpoints import load_weights, save_weights
from engine.zoo.contents import load
from tests.ports import Driver, Tapped, batch, unchanged
from tests.tiny import finished, outcome, run_all, runs_in, tiny_config

TRAINING = TrainingSettings(epochs=1, batch_size=8, lr=0.05, augment=AugmentSettings(crop=1, cutout=2))


def nad(**teacher) -> Nad:
    return Nad(teacher=TeacherSettings(training=TRAINING, **teacher), distill=DistillSettings(training=TRAINING))


def saved(folder: Path, name: str, classes: int) -> str:
    file = folder / f"{name}.safetensors"
    save_weights(file, models.build(name, classes, seed=7).state_dict(), {})
    return str(file)


def test_it_is_trained_from_its_beginning_where_there_is_no_file():
    driver = Driver(nad(model="wrn-10-1"))
    driver.run()
    teacher, student = driver.asked
    assert isinstance(teacher, Train) and teacher.stage == "teacher"
    assert teacher.model.name == "wrn-10-1" and teacher.model.fc.out_features == 3
    assert isinstance(driver.models["nad"], Tapped)
    assert student.objective.teacher is teacher.model
    assert [tap.tap for tap in driver.health["nad"][0]] == ["one", "two"]


def test_from_a_file_it_is_adopted(tmp_path):
    file = saved(tmp_path, "wrn-10-1", 3)
    driver = Driver(nad(model="wrn-10-1", file=file))
    driver.run()
    adopted = driver.asked[0]
    assert isinstance(adopted, Adopt) and adopted.given
    assert unchanged(adopted.model, models.build("wrn-10-1", 3, seed=7).state_dict())


def test_a_network_without_taps_of_its_own_is_looked_into(tmp_path):
    driver = Driver(nad(model="preact-resnet-18@0.1"))
    driver.run()
    assert driver.models["teacher"].tap_names == ("layer1", "layer2", "layer3")


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ({"model": "wrn-10-2"}, "wrn-10-1.safetensors does not fit wrn-10-2"),
        ({"model": "resnet-18@0.1"}, "wrn-10-1.safetensors does not fit resnet-18@0.1"),
        ({}, "wrn-10-1.safetensors does not fit Tapped"),
        ({"model": "torchvision:alexnet", "file": None}, "torchvision:alexnet': it cannot take images of 8x8"),
        ({"model": "torchvision:nothing", "file": None}, "torchvision has no such classifier"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_trained(tmp_path, teacher, message):
    given = {"file": saved(tmp_path, "wrn-10-1", 3)} | teacher
    with pytest.raises(RequestError) as caught:
        nad(**given).check(Tapped(1), batch().images)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_checking_another_teacher_draws_from_nobodys_generator():
    before = torch.random.get_rng_state()
    nad(model="wrn-10-1").check(Tapped(1), batch().images)
    assert torch.equal(torch.random.get_rng_state(), before)


# --- of the zoo ---


def test_a_model_of_the_zoo_teaches():
    settings = TeacherSettings(file="zoo:clean-signs-0")
    assert settings.file == "zoo:clean-signs-0" and settings.path == zoo.folder() / "clean-signs-0.safetensors"
    model = models.build("wrn-16-1", 10, 0)
    teacher = made(settings, model, torch.rand(2, 3, 32, 32), 0)
    weights = load(zoo.card("clean-signs-0")).weights
    assert all(torch.equal(value, weights[name].to(value.dtype)) for name, value in teacher.state_dict().items())
    assert Nad(teacher=settings).files() == [settings.path]


@pytest.mark.parametrize("name", ["zoo:nothing-signs-0", "zoo:../results/signs", "zoo:"])
def test_what_the_zoo_does_not_have_is_refused(name):
    with pytest.raises(ValidationError, match="the zoo has no such model"):
        TeacherSettings(file=name)


# --- whole runs ---


@pytest.fixture(autouse=True)
def _one_cache(module_cache, monkeypatch) -> None:
    monkeypatch.setenv("NADTUI_CACHE", str(module_cache))


def test_a_student_wrn_16_1_follows_a_teacher_wrn_10_1(tmp_path):
    file = saved(tmp_path, "wrn-10-1", 10)
    given = (f"defenses.nad.teacher.file={file}", "defenses.nad.teacher.model=wrn-10-1", "model.name=wrn-16-1")
    config = tiny_config("badnets", *given, "recipe=default", "training.epochs=1")
    events = run_all(config, tmp_path / "whole")
    done = finished(events)
    assert list(done) == ["attack", "teacher", "nad"] and done["teacher"].cached
    # The default recipe's student begins as its teacher, which this one cannot.
    said = [event.text for event in events if isinstance(event, ev.Message) and event.level == "warning"]
    assert any("nad: it does not make its teacher of the suspect itself, so the student" in each for each in said)
    folder = runs_in(tmp_path / "whole")[0]
    weights, about = load_weights(folder / "checkpoints" / "teacher.safetensors")
    assert all(torch.equal(value, weights[name]) for name, value in load_weights(Path(file))[0].items())
    assert about["model"] == "wrn-10-1"
    assert load_weights(folder / "checkpoints" / "nad.safetensors")[1]["model"] == "wrn-16-1"

    control = Control()
    for event in run(RunRequest(config=config, out=tmp_path / "pieces"), control):
        if isinstance(event, ev.Evaluation) and event.stage == "nad":
            control.stop()
    pieces = runs_in(tmp_path / "pieces")[0]
    run_all(config, tmp_path / "pieces", resume=pieces)
    assert outcome(pieces) == outcome(folder)


def test_maps_of_both_networks_are_recorded(tmp_path):
    config = tiny_config("badnets", "defenses.nad.teacher.model=preact-resnet-18@0.1", "training.epochs=1")
    run_all(config, tmp_path)
    view = fold(read_events(runs_in(tmp_path)[0]).events)
    shown = {stage.name: {tap for _, tap in stage.maps()} for stage in view.stages.values()}
    assert shown["nad"] == {"group1", "group2", "group3"}
    assert shown["teacher"] == {"layer1", "layer2", "layer3", "layer4"}
