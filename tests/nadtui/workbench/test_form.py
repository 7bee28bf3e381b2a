"""The form's data where a run has defenses, suspects and networks of a person's own; without a widget."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml

from engine.config.presets import resolve
from engine.errors import RequestError
from engine.running.processor_queue import processors
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


@pytest.mark.parametrize("preset", ["adaptive", "badnets-all2all", "sig"])
def test_a_run_is_told_by_its_preset_and_not_by_the_attack_that_it_is_made_of(preset):
    assert told(RunForm(preset=preset).config()) == f"{preset} on signs, wrn-16-1"


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
    for refused in (opened.requests, opened.judge):
        with pytest.raises(RequestError, match=r"model\.name: .* type it anew"):
            refused(Path("runs"))
    [request] = opened.with_setting("seed", "1").with_setting("model.name", network).requests(Path("runs"))
    assert request.typed_model and request.config.model.name == network


def test_a_run_of_several_defenses_is_repeated(tmp_path):
    settings = {"defenses": {"nad": None, "fine-tuning": {"training": {"epochs": 3}}}}

    config = resolve("sig", overrides=[settings], defenses=["nad", "fine-tuning"])
    folder = run_folders.write_events(tmp_path, "a", config.to_dict(), [])
    form = of_run(folder)
    assert (form.preset, form.config_file) == ("sig", None)
    assert form.config() == config
    assert form.settings == {"defenses": "nad,fine-tuning", "defenses.fine-tuning.training.epochs": "3"}


def options(command: str) -> RunOptions:
    """Read a command line as `nadtui run` does."""
    words = shlex.split(command)
    assert words[:2] == ["nadtui", "run"]
    given = {"settings": []}
    for name, value in zip(words[2::2], words[3::2], strict=True):
        match name:
            case "--set":
                given["settings"].append(value)
            case "--seed" | "--threads":
                given[name[2:]] = int(value)
            case "--config":
                given["config"] = Path(value)
            case _:
                given[name[2:]] = value
    return RunOptions(**given)


@pytest.mark.parametrize(
    "form",
    [
        RunForm(preset="sig"),
        RunForm(preset="badnets", seed="7", device="cpu", recipe="paper"),
        RunForm(
            preset="blend",
            dataset="cifar10",
            settings={"defenses.nad.distill.beta": "[1, 2, 3]", "attack.alpha": "0.3"},
        ),
        RunForm(preset="sig", at_once="1", settings={"threads": "1", "defenses.nad.distill.normalize": "false"}),
    ],
)
def test_the_command_line_makes_the_same_configuration(form):
    assert build_config(options(form.command())) == form.config()


def test_runs_at_once_divide_the_threads():
    count = len(processors())
    assert RunForm(preset="sig").threads() is None
    assert RunForm(preset="sig", at_once=str(count)).config().threads == (1 if count > 1 else None)
    with pytest.raises(RequestError, match=f"allowed: 1 to {count}"):
        RunForm(preset="sig", at_once=str(count + 1)).config()


@pytest.mark.parametrize(("text", "seeds"), [("3", [3]), ("0-2", [0, 1, 2]), ("5, 1,5", [5, 1]), ("7-7", [7])])
def test_seeds_may_be_several(text, seeds):
    form = RunForm(preset="sig", seed=text)
    assert form.seeds() == seeds
    assert [request.config.seed for request in form.requests(Path("runs"))] == seeds


@pytest.mark.parametrize("text", ["", "a", "-1", "2-1", "0-100000", "1,,2", "1.5"])
def test_what_is_no_seed_is_refused(text):
    with pytest.raises(RequestError, match="seed"):
        RunForm(preset="sig", seed=text).seeds()


def test_several_seeds_become_a_loop():
    command = RunForm(preset="sig", seed="0-2").command()
    assert command == "for seed in 0 1 2; do nadtui run --preset sig --seed $seed --headless; done"


def test_the_first_wrong_field_is_named():
    with pytest.raises(RequestError, match=r"defenses\.nad\.distill\.p = 99: .*less than or equal to 16"):
        RunForm(preset="sig", settings={"defenses.nad.distill.p": "99"}).config()
    with pytest.raises(RequestError, match="unknown data set"):
        RunForm(preset="sig", dataset="cifar").config()


def test_every_field_tells_its_value_meaning_and_bounds():
    fields = {field.path: field for field in RunForm(preset="sig", settings={"defenses.nad.distill.p": "3"}).fields()}
    assert fields["attack.delta"].value == "32.0"
    assert fields["defenses.nad.distill.p"].value == "3"
    assert fields["defenses.nad.distill.p"].changed
    assert fields["defenses.nad.distill.p"].allowed == "≥ 1, ≤ 16"
    assert "xponent" in fields["defenses.nad.distill.p"].about
    assert fields["defenses.nad.distill.operator"].allowed == "one of sum, sum_p, mean, mean_p, max_p"
    assert not fields["training.lr"].changed
    assert "seed" not in fields  # has a place of its own


def test_a_broken_setting_leaves_the_other_fields_readable():
    form = RunForm(preset="sig", settings={"defenses.nad.distill.p": "["})
    fields = {field.path: field for field in form.fields()}
    assert fields["defenses.nad.distill.p"].value == "["
    assert fields["attack.delta"].value == "32.0"


def test_an_empty_value_takes_a_change_back():
    form = RunForm(preset="sig").with_setting("defenses.nad.distill.p", "3")
    assert form.settings == {"defenses.nad.distill.p": "3"}
    assert form.with_setting("defenses.nad.distill.p", "  ").settings == {}


def test_a_run_is_repeated_by_its_preset_and_its_changes(tmp_path):
    folder = run_folders.write(tmp_path, "a", preset="sig", seed=3, defenses={"nad": {"distill": {"p": 3.0}}})
    form = of_run(folder)
    assert form.preset == "sig"
    assert form.settings == {"defenses.nad.distill.p": "3.0"}
    assert form.config().to_dict() == yaml.safe_load((folder / "config.yaml").read_text())


def test_a_run_whose_preset_has_gone_is_repeated_from_its_file(tmp_path):
    folder = run_folders.write(tmp_path, "a", preset="sig")
    values = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**values, "preset": "long-gone"}))
    form = of_run(folder)
    assert form.config_file == folder / "config.yaml"
    assert form.config().to_dict() == {**values, "preset": "long-gone"}


def test_a_damaged_configuration_is_refused_by_name(tmp_path):
    folder = run_folders.write(tmp_path, "a")
    (folder / "config.yaml").write_text("just text")
    with pytest.raises(RequestError, match=r"config\.yaml"):
        of_run(folder)
