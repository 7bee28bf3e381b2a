"""The form's data where a run has defenses, suspects and networks of a person's own; without a widget."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from engine.errors import RequestError
from nadtui.runs.request import RunOptions, build_config
from nadtui.workbench.form import RunForm, of_run, told
from tests import run_folders


def paths(form: RunForm) -> dict[str, str]:
    return {field.path: field.value for field in form.fields()}


@pytest.fixture
def suspect(tmp_path: Path) -> Path:
    file = tmp_path / "given suspect.safetensors"
    file.write_bytes(b"")
    return file


@pytest.fixture
def network(tmp_path: Path) -> str:
    file = tmp_path / "mine.py"
    file.write_text("raise SystemExit('a network of a file is executed only when it is typed')")
    return f"{file}:Net"


def test_the_fields_are_those_of_the_runs_defenses():
    form = RunForm(preset="sig")
    assert paths(form)["defenses"] == "nad"
    assert "defenses.nad.distill.p" in paths(form) and "defenses.fine-tuning.training.epochs" not in paths(form)
    form = form.with_setting("defenses", "fine-tuning, nad")
    assert paths(form)["defenses"] == "fine-tuning, nad"
    assert {"defenses.nad.distill.p", "defenses.fine-tuning.training.epochs"} <= set(paths(form))
    assert list(form.config().defenses) == ["fine-tuning", "nad"]
    alone = form.with_setting("defenses", "fine-tuning")
    assert not any(path.startswith("defenses.nad") for path in paths(alone))


def test_a_broken_field_leaves_those_of_the_defenses():
    form = RunForm(preset="sig", settings={"defenses": "fine-tuning", "defenses.fine-tuning.training.epochs": "["})
    assert paths(form)["defenses.fine-tuning.training.epochs"] == "["
    assert "defenses.fine-tuning.training.lr" in paths(form)
    with pytest.raises(RequestError, match="magic"):
        RunForm(preset="sig", settings={"defenses": "magic"}).config()


def test_the_command_line_names_suspect_defenses_and_model_by_their_options(suspect, network):
    form = RunForm(preset=None).with_setting("suspect", str(suspect)).with_setting("defenses", "nad, fine-tuning")
    words = shlex.split(form.command())
    given = dict(zip(words[2::2], words[3::2], strict=True))
    assert (given["--suspect"], given["--defense"]) == (str(suspect), "nad, fine-tuning")
    assert "--set" not in given
    options = RunOptions(suspect=given["--suspect"], defenses=[given["--defense"]], seed=0)
    assert build_config(options) == form.config()
    assert f"--model {network}" in form.with_setting("model.name", network).command()


def test_a_suspect_from_a_file_needs_no_preset_and_has_no_attack(suspect):
    form = RunForm(preset=None, settings={"suspect": f"'{suspect}'"})
    config = form.config()
    assert (config.attack, config.suspect) == (None, str(suspect))
    assert told(config) == "a suspect without a trigger on signs, wrn-16-1"
    assert not any(path.startswith("attack.") for path in paths(form))
    with pytest.raises(RequestError, match="no such file"):
        RunForm(preset=None, settings={"suspect": "/nowhere.pt"}).config()


def test_a_networks_file_is_executed_only_if_it_was_typed_here(network):
    opened = RunForm(preset="sig", settings={"model.name": network})
    [request] = opened.requests(Path("runs"))
    assert not request.typed_model
    [request] = opened.with_setting("seed", "1").with_setting("model.name", network).requests(Path("runs"))
    assert request.typed_model and request.config.model.name == network


def test_a_run_of_several_defenses_is_repeated(tmp_path):
    settings = {"defenses": {"nad": None, "fine-tuning": {"training": {"epochs": 3}}}}
    from engine.config.presets import resolve

    config = resolve("sig", overrides=[settings], defenses=["nad", "fine-tuning"])
    folder = run_folders.write_events(tmp_path, "a", config.to_dict(), [])
    form = of_run(folder)
    assert (form.preset, form.config_file) == ("sig", None)
    assert form.config() == config
    assert form.settings == {"defenses": "nad,fine-tuning", "defenses.fine-tuning.training.epochs": "3"}
