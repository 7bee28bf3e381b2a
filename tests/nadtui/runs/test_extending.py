"""A request with more epochs for one stage."""

from __future__ import annotations

import json

import pytest

from engine.config.presets import resolve
from engine.errors import RequestError
from engine.running.request import RunRequest
from nadtui.runs import extending
from tests.staged_job import request


@pytest.mark.parametrize(
    ("stage", "path"),
    [
        ("attack", ("training", "epochs")),
        ("teacher", ("defenses", "nad", "teacher", "training", "epochs")),
        ("nad", ("defenses", "nad", "distill", "training", "epochs")),
    ],
)
def test_a_stage_gets_more_epochs_and_nothing_else_changes(tmp_path, stage, path):
    given = request(tmp_path)
    before = given.config.to_dict()
    after = extending.with_more_epochs(given, stage, 77).config.to_dict()
    inner = after
    for name in path[:-1]:
        inner = inner[name]
    assert inner[path[-1]] == 77
    assert extending.epochs_of(extending.with_more_epochs(given, stage, 77), stage) == 77
    inner[path[-1]] = extending.epochs_of(given, stage)
    assert after == before


def test_a_further_defense_gets_more_epochs_of_its_own(tmp_path):
    config = resolve("badnets", defenses=["nad", "fine-tuning"])
    given = RunRequest(config=config, out=tmp_path)
    after = extending.with_more_epochs(given, "fine-tuning", 33).config
    wanted = config.defenses["fine-tuning"].training.model_copy(update={"epochs": 33})
    assert after.defenses["nad"] == config.defenses["nad"]
    assert after.defenses["fine-tuning"].training == wanted


def test_a_stage_that_has_no_epochs_is_refused(tmp_path):
    with pytest.raises(RequestError):
        extending.epochs_of(request(tmp_path), "nothing")
    assert json.dumps(request(tmp_path).config.to_dict())
