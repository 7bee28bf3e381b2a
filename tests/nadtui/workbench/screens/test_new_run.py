"""The form for a new run under a pilot."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest
from textual.widgets import Input, Select

from engine.config.presets import resolve
from engine.running.request import RunRequest
from nadtui.workbench.app import Workbench
from nadtui.workbench.form import RunForm
from nadtui.workbench.screens.new_run import NewRunScreen
from nadtui.workbench.screens.run import RunScreen
from nadtui.workbench.screens.workspace import WorkspaceScreen
from tests import looks, run_folders
from tests.pilot import at_rest, drive, screen_text, shows, until
from tests.scripted_run import FakeJob, whole_run


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
    monkeypatch.setattr("nadtui.workbench.suspects.described", lambda _: "zoo: ACC 94.6 ASR 91.6 fp32 2026-11-26")

    async def script(pilot):
        pilot.app.push_screen(NewRunScreen(preset="sig"))
        looks.check("new-run-{}x{}".format(*size), await at_rest(pilot, "✓ sig on signs", "data.size", "esc Back"))

    drive(tmp_path / "runs", script, size=size)


def test_the_suspect_is_trained_of_the_zoo_or_what_was_typed(tmp_path):
    async def script(pilot):
        pilot.app.push_screen(NewRunScreen(preset="sig"))
        await until(pilot, shows(pilot, "✓ sig on signs", "zoo: ACC"))
        source = pilot.app.screen.query_one("#suspect", Select)
        source.value = "zoo"
        await until(pilot, shows(pilot, "from the zoo: sig-signs-0", "--suspect zoo", "1 changed"))
        assert form_of(pilot).config().zoo_name == "sig-signs-0"
        pilot.app.screen.query_one("#preset", Select).value = "badnets"
        await until(pilot, shows(pilot, "from the zoo: badnets-signs-0"))
        source.value = "trained"
        await until(pilot, lambda: "--suspect" not in screen_text(pilot.app))
        await pilot.press("ctrl+f", *"suspect")
        await until(pilot, lambda: pilot.app.screen.every.shown[0].path == "suspect")
        await pilot.press("enter", "enter", *"zoo:badnets-signs-0")
        await until(pilot, lambda: source.value == "zoo:badnets-signs-0")
        await until(pilot, shows(pilot, "--suspect zoo:badnets-signs-0", "✓ badnets on signs"))
        await pilot.press("enter", "backspace")
        await until(pilot, lambda: source.value == "trained")
        source.value = "zoo"  # set there, it is seen in the field that is open here
        await until(pilot, lambda: pilot.app.screen.every.query_one("#value", Input).value == "zoo")

    drive(tmp_path / "runs", script, size=(100, 30))


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


def test_the_data_is_the_presets_own_where_none_is_typed(tmp_path, monkeypatch):
    """As what would be taken, and, once it was, as the data of the last new run."""
    monkeypatch.setenv("NADTUI_DATA", str(tmp_path / "data"))  # none: the images are not looked at
    monkeypatch.setenv("NADTUI_PRESETS", str(tmp_path))
    ours = resources.files("presets").joinpath("sig.yaml").read_text()
    (tmp_path / "own.yaml").write_text(f"{ours}\ndata: {{name: gtsrb}}\n")

    async def script(pilot):
        pilot.app.push_screen(NewRunScreen(preset="own"))
        await until(pilot, shows(pilot, "✓ own on gtsrb"))
        field = pilot.app.screen.query_one("#dataset", Input)
        assert (field.value, field.placeholder) == ("", "gtsrb")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
        assert pilot.app.settings.workspace["data"] == "gtsrb"

    drive(tmp_path / "runs", script, size=(100, 30), make_job=kept_in([]))


@pytest.mark.parametrize("goes", [False, True], ids=["from its preset", "from its file"])
def test_a_repeated_runs_network_is_typed_anew_before_its_file_is_executed(tmp_path, goes):
    requests: list[RunRequest] = []
    (tmp_path / "mine.py").touch()
    name = f"{tmp_path / 'mine.py'}:Net"
    folder = run_folders.write(tmp_path / "runs", "a", preset="sig", model={"name": name})
    if goes:
        file = folder / "config.yaml"
        file.write_text(file.read_text().replace("preset: sig", "preset: long-gone"))

    async def script(pilot):
        pilot.app.push_screen(NewRunScreen(run=folder))
        await until(pilot, shows(pilot, "✗ model.name: a network's file is executed only when it is typed"))
        screen = pilot.app.screen
        assert screen.query_one("#start").disabled
        screen.every.go_to("model.name")
        await pilot.press("end", "backspace", "t")
        await until(pilot, lambda: screen.problem == "" and not screen.query_one("#start").disabled)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))

    drive(tmp_path / "runs", script, size=(120, 36), make_job=kept_in(requests))
    assert [(each.config.model.name, each.typed_model) for each in requests] == [(name, True)]


def test_the_command_is_copied(tmp_path):
    copied: list[str] = []

    async def script(pilot):
        pilot.app.copy_to_clipboard = copied.append
        pilot.app.push_screen(NewRunScreen(preset="sig"))
        await until(pilot, shows(pilot, "✓ sig on signs"))
        await pilot.press("ctrl+y")

    drive(tmp_path / "runs", script, size=(80, 24))
    assert copied == [f"nadtui run --preset sig --out {tmp_path / 'runs'} --seed 0"]


def test_what_images_and_taps_cannot_bear_is_said_while_it_is_typed(runs):
    """Two weights for three taps, a patch larger than the image: known without training."""

    async def script(pilot):
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, NewRunScreen) and pilot.app.screen.problem == "")
        screen = pilot.app.screen
        screen._put("data.train_images", "60")
        screen._put("data.test_images", "20")
        screen._put("model.name", "wrn-10-1")
        screen._put("defenses.nad.distill.beta", "[100, 100]")
        await until(pilot, shows(pilot, "3 weights are wanted"))
        assert screen.query_one("#start").disabled
        screen._put("defenses.nad.distill.beta", "")
        screen._put("attack.size", "40")
        await until(pilot, shows(pilot, "✗ attack"))

    drive(runs, script)


def test_after_a_failed_start_the_form_is_back_as_it_was_at_the_field(runs):
    from engine.errors import RequestError

    class Refused:
        error = RequestError("defenses.nad.distill.beta = [1, 2]: 3 weights are wanted")
        paused = False

        def __init__(self, request) -> None:
            pass

        def start(self) -> None: ...
        def stop(self) -> None: ...
        def events(self, timeout=None):
            return iter(())

    async def script(pilot):
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, NewRunScreen) and pilot.app.screen.problem == "")
        first = pilot.app.screen
        first._put("training.epochs", "7")
        filled = first.form
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, NewRunScreen) and pilot.app.screen is not first)
        await until(pilot, shows(pilot, "3 weights are wanted"))
        assert pilot.app.screen.form == filled
        await until(pilot, lambda: pilot.app.focused is not None and pilot.app.focused.id == "value")
        assert pilot.app.screen.every._path == "defenses.nad.distill.beta"

    drive(runs, script, make_job=Refused)


def test_leaving_an_edited_form_asks(runs):
    async def script(pilot):
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, NewRunScreen) and pilot.app.screen.problem == "")
        screen = pilot.app.screen
        await pilot.press("7", "escape")
        await until(pilot, shows(pilot, "Leave the form?"))
        await pilot.press("n")
        assert pilot.app.screen is screen
        await pilot.press("escape", "y")
        await until(pilot, lambda: not isinstance(pilot.app.screen, NewRunScreen))

    drive(runs, script)
