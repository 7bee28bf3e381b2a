"""The form for a new run: its data without a widget, then the screen under a pilot."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml
from textual.widgets import Input, Select

from engine.config.presets import resolve
from engine.errors import RequestError
from engine.running.processor_queue import processors
from engine.running.request import RunRequest
from nadtui.runs.request import RunOptions, build_config
from nadtui.workbench.app import Workbench
from nadtui.workbench.form import RunForm, as_yaml, of_run
from nadtui.workbench.screens.new_run import NewRunScreen
from nadtui.workbench.screens.run import RunScreen
from nadtui.workbench.screens.workspace import WorkspaceScreen
from tests import looks, run_folders
from tests.pilot import at_rest, drive, screen_text, shows, until
from tests.scripted_run import FakeJob, whole_run

# --- the form's data ---


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


@pytest.mark.parametrize("value", [None, True, 3, 0.5, "text", "", "yes", "1", "a: b", [1.0, 2.0], {}])
def test_values_survive_yaml(value):
    assert "\n" not in as_yaml(value)
    assert yaml.safe_load(as_yaml(value)) == value


# --- the screen ---


def form_of(pilot) -> RunForm:
    return pilot.app.screen.form


def test_typing_is_checked_and_shown_as_a_command(tmp_path):
    async def script(pilot):
        pilot.app.push_screen(NewRunScreen(preset="sig"))
        await until(pilot, shows(pilot, "✓ sig on signs", "--preset sig --out"))
        await pilot.press("x")
        await until(pilot, shows(pilot, "✗ seed = 'x'"))
        assert pilot.app.screen.query_one("#start").disabled
        await pilot.press("backspace", *"0-2")
        await until(pilot, shows(pilot, "3 runs", "for seed in 0 1 2"))
        pilot.app.screen.query_one("#preset", Select).value = "blend"
        await until(pilot, shows(pilot, "✓ blend on signs"))
        pilot.app.screen.query_one("#dataset", Input).value = "nowhere"
        await until(pilot, shows(pilot, "✗", "unknown data set 'nowhere'"))

    drive(tmp_path / "runs", script, size=(100, 30))


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
def test_it_looks_as_it_did(tmp_path, monkeypatch, size):
    monkeypatch.setattr(NewRunScreen, "out", Path("runs"))

    async def script(pilot):
        pilot.app.push_screen(NewRunScreen(preset="sig"))
        looks.check("new-run-{}x{}".format(*size), await at_rest(pilot, "✓ sig on signs", "data.size", "esc Back"))

    drive(tmp_path / "runs", script, size=size)


def test_any_field_is_found_changed_and_reset(tmp_path):
    async def script(pilot):
        pilot.app.push_screen(NewRunScreen(preset="sig"))
        await until(pilot, shows(pilot, "✓ sig on signs"))
        await pilot.press("ctrl+f", *"distill.p")
        await until(pilot, lambda: len(pilot.app.screen.every.shown) == 1)
        await pilot.press("enter", "enter", *"99")
        await until(pilot, shows(pilot, "✗", "distill.p = 99", "--set defenses.nad.distill.p=99"))
        await pilot.press("backspace", "backspace", "3")
        await until(pilot, shows(pilot, "✓ sig on signs", "--set defenses.nad.distill.p=3", "1 changed"))
        await pilot.press("enter", "backspace")
        await until(pilot, lambda: "--set" not in screen_text(pilot.app))
        assert form_of(pilot).settings == {}

    drive(tmp_path / "runs", script, size=(100, 30))


def kept_in(requests: list[RunRequest]):
    """A maker of jobs that play a whole run, and keep what was asked for."""

    def job(request: RunRequest) -> FakeJob:
        requests.append(request)
        return FakeJob(whole_run())

    return job


def test_an_event_that_comes_late_does_not_take_the_form_back(tmp_path):
    """A widget tells of what it was made with; until that is heard, a run's own values may stand in it."""
    folder = run_folders.write(tmp_path / "runs", "a", preset="sig", seed=3)

    async def script(pilot):
        pilot.app.push_screen(NewRunScreen(run=folder))
        await until(pilot, lambda: form_of(pilot).seed == "3")
        screen = pilot.app.screen
        screen.post_message(Input.Changed(screen.query_one("#seed", Input), "0"))
        screen.post_message(Select.Changed(screen.query_one("#preset", Select), "blend"))
        await pilot.pause()
        assert (form_of(pilot).seed, form_of(pilot).preset) == ("3", "sig")

    drive(tmp_path / "runs", script, size=(100, 30))


def test_enter_starts_one_run_and_opens_its_screen(tmp_path):
    requests: list[RunRequest] = []

    async def script(pilot):
        pilot.app.push_screen(NewRunScreen(preset="sig"))
        await until(pilot, shows(pilot, "✓ sig on signs"))
        await pilot.press("5", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))

    drive(tmp_path / "runs", script, size=(100, 30), make_job=kept_in(requests))
    assert [request.config for request in requests] == [resolve("sig", overrides=[{"seed": 5}])]
    assert requests[0].out == tmp_path / "runs"


def test_a_beat_while_the_screens_are_taken_down_draws_none(tmp_path, monkeypatch):
    drawn: list[RunScreen] = []
    take_down = Workbench._close_all

    async def with_a_last_beat(app):
        monkeypatch.setattr("nadtui.workbench.base.drain_all", lambda hosts: hosts)
        monkeypatch.setattr(RunScreen, "refresh_run", lambda screen, **_: drawn.append(screen))
        app._pump()
        await take_down(app)

    async def script(pilot):
        pilot.app.push_screen(NewRunScreen(preset="sig"))
        await until(pilot, shows(pilot, "✓ sig on signs"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen) and pilot.app.screen.is_mounted)

    monkeypatch.setattr(Workbench, "_close_all", with_a_last_beat)
    drive(tmp_path / "runs", script, size=(100, 30), make_job=kept_in([]))
    assert drawn == []


def test_several_seeds_start_several_runs(tmp_path):
    requests: list[RunRequest] = []

    async def script(pilot):
        pilot.app.push_screen(NewRunScreen(preset="sig"))
        await until(pilot, shows(pilot, "✓ sig on signs"))
        await pilot.press(*"0-2", "ctrl+s")
        await until(pilot, lambda: len(requests) == 3)
        await until(pilot, lambda: isinstance(pilot.app.screen, WorkspaceScreen))

    drive(tmp_path / "runs", script, size=(100, 30), make_job=kept_in(requests))
    assert [request.config.seed for request in requests] == [0, 1, 2]


def test_a_wrong_form_starts_nothing(tmp_path):
    requests: list[RunRequest] = []

    async def script(pilot):
        pilot.app.push_screen(NewRunScreen(preset="sig"))
        await until(pilot, shows(pilot, "✓ sig on signs"))
        await pilot.press("x", "ctrl+s")
        await until(pilot, shows(pilot, "not started"))
        assert isinstance(pilot.app.screen, NewRunScreen)

    drive(tmp_path / "runs", script, size=(100, 30), make_job=requests.append)
    assert not requests


def test_the_command_is_copied(tmp_path):
    copied: list[str] = []

    async def script(pilot):
        pilot.app.copy_to_clipboard = copied.append
        pilot.app.push_screen(NewRunScreen(preset="sig"))
        await until(pilot, shows(pilot, "✓ sig on signs"))
        await pilot.press("ctrl+y")

    drive(tmp_path / "runs", script, size=(80, 24))
    assert copied == [f"nadtui run --preset sig --out {tmp_path / 'runs'} --seed 0"]
