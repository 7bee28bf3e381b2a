"""The run screen: every key, every state, at several sizes, on recorded event streams and a job that plays a script."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual._compositor import Compositor
from textual.widgets import Input, OptionList

from engine.config.presets import resolve
from engine.errors import RequestError
from engine.events import SCHEMA, AttentionHealth, RunFailed, RunPaused, RunStopped, TapHealth
from engine.record.folder import RunFolder
from engine.running import mailbox
from engine.running.request import RunRequest
from nadtui.runs import detached
from nadtui.runs.hosting import JobHost
from nadtui.workbench import settings
from nadtui.workbench.app import Workbench
from nadtui.workbench.dialogs import Choose, Confirm
from nadtui.workbench.screens.help import HelpScreen
from nadtui.workbench.screens.run import RunScreen
from nadtui.workbench.screens.workspace import WorkspaceScreen
from nadtui.workbench.steering import extendable
from nadtui.workbench.widgets.attention import AttentionGrid
from nadtui.workbench.widgets.curves import Curves
from nadtui.workbench.widgets.log import LogPane
from tests import looks, scripted_run, showcase
from tests.pilot import at_rest, shows, until
from tests.staged_job import StagedJob

NOW = scripted_run.START + 600
SIZES = ((80, 24), (120, 36), (200, 60))


@pytest.fixture(autouse=True)
def _colors(monkeypatch) -> None:
    """The same terminal for every test, whatever the one they run in."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("nadtui.runs.watching.POLL_S", 0.05)
    monkeypatch.setattr("nadtui.runs.watching.REST_S", 0.05)


@pytest.fixture
def settings_file(tmp_path) -> Path:
    return tmp_path / "settings" / "workbench.json"


@pytest.fixture
def watching(tmp_path, settings_file) -> Callable[..., Workbench]:
    def make(**more: Any) -> Workbench:
        folder = showcase.write(tmp_path / "runs", showcase.record(**more))
        return Workbench(tmp_path / "runs", start=folder, settings_file=settings_file, clock=lambda: NOW)

    return make


class Jobs:
    """The jobs that the workbench started, in order."""

    def __init__(self, script: list, error: BaseException | None = None) -> None:
        self.script, self.error = script, error
        self.made: list[StagedJob] = []
        self.requests: list[RunRequest] = []

    def __call__(self, request: RunRequest) -> StagedJob:
        job = StagedJob(self.script, error=self.error)
        job.on_stop = [RunStopped(stage="nad", epoch=1, seq=999, time=scripted_run.START + 99)]
        self.made.append(job)
        self.requests.append(request)
        return job


@pytest.fixture
def running(tmp_path, settings_file) -> Iterator[Callable[..., tuple[Workbench, Jobs]]]:
    """A workbench that carries out a scripted run; its record is written beforehand, as the engine would."""
    made: list[Jobs] = []

    def make(until: int = 60, error: BaseException | None = None, record: bool = True) -> tuple[Workbench, Jobs]:
        events = showcase.record(until=until)
        jobs = Jobs(events, error)
        made.append(jobs)
        runs = tmp_path / "runs"
        request = RunRequest(config=resolve("badnets", dataset="signs"), out=runs)
        if record:
            folder = showcase.write(runs, events)
            (folder / "config.yaml").write_text(request.config.to_yaml())
        app = Workbench(runs, start=request, settings_file=settings_file, make_job=jobs, clock=lambda: NOW)
        return app, jobs

    yield make
    for jobs in made:
        for job in jobs.made:
            job.stop()


async def opened(pilot, wanted: str = "✓ finished") -> RunScreen:
    await looks.settle(pilot, wanted)
    screen = pilot.app.screen
    assert isinstance(screen, RunScreen)
    return screen


async def started(pilot, jobs: Jobs, events: int = 60) -> RunScreen:
    jobs.made[-1].let(events)
    return await opened(pilot, "▶ running")


# --- what it shows ---


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("pane", settings.PANES)
@looks.piloted
async def test_each_pane_at_three_sizes(watching, size, pane):
    app = watching()
    async with app.run_test(size=size) as pilot:
        screen = await opened(pilot, "✓ finished")
        await pilot.press(str(settings.PANES.index(pane) + 1))
        screen.refresh_run(everything=True)
        looks.check(f"run-{pane}-{size[0]}x{size[1]}", await at_rest(pilot, "✓ finished", "? Help"))


@looks.piloted
async def test_a_finished_run_shows_asr_falling_while_acc_holds(watching):
    async with watching().run_test(size=(100, 30)) as pilot:
        shown = await looks.settle(pilot, "✓ finished")
        assert "attack 8/8" in shown
        assert "ACC 96.1 ASR 99.6" in shown  # the backdoored model
        assert "ACC 96.5 ASR 1.9" in shown  # the student


@looks.piloted
async def test_small_windows_and_resizing_take_nothing_down(watching):
    app = watching()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        for size in ((10, 4), (1, 1), (200, 60), (40, 10), (300, 100), (80, 24)):
            await pilot.resize_terminal(*size)
            for key in ("1", "2", "3", "4"):
                await pilot.press(key)
        assert "✓ finished" in await looks.settle(pilot, "✓ finished")


@looks.piloted
async def test_without_color_maps_are_letters_and_curves_differ_by_letter(watching, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot)
        canvas = "\n".join(line[7:] for line in looks.text_of(app).splitlines()[7:18])
        assert "o" in canvas
        assert "⣀" in canvas
        await pilot.press("2")
        shown = await looks.settle(pilot, "group1 32×32")
        assert "▀" not in shown
        assert "@" in shown


@looks.piloted
async def test_sixteen_colors_get_letters_too(watching, monkeypatch):
    monkeypatch.setenv("TERM", "linux")
    monkeypatch.delenv("COLORTERM")
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot)
        app.console._color_system = None
        app.screen.query_one(AttentionGrid).refresh()
        await pilot.press("2")
        assert "▀" not in await looks.settle(pilot, "group1 32×32")


@looks.piloted
async def test_a_dead_tap_is_marked_loudly(watching):
    async with watching().run_test(size=(100, 30)) as pilot:
        await opened(pilot)
        assert "3 ✗ health" in looks.text_of(pilot.app)  # also while another pane is looked at
        await pilot.press("3")
        assert "DEAD: no effect" in await looks.settle(pilot, "share of loss")
        await pilot.resize_terminal(200, 60)
        await looks.settle(pilot, "✗ DEAD: nad group3")
    one = TapHealth(tap="g", height=1, width=1, beta=9, loss=0.1, share=0.5, gradient=1.0)
    from nadtui.workbench.widgets import health

    assert one.dead
    assert not dataclasses.replace(one, height=2, width=2).dead
    assert not dataclasses.replace(one, beta=0).dead
    assert health.compose([AttentionHealth(stage="nad", epoch=0, taps=(one,))], 60, dark=True, base=_style())


def test_the_figures_of_a_taps_health_stay_apart():
    from nadtui.workbench.widgets import health

    small = TapHealth(tap="group1", height=32, width=32, beta=12500, loss=1.2345e-05, share=0.5, gradient=2.3456e-05)
    lines = health.compose([AttentionHealth(stage="nad", epoch=0, taps=(small,))], 60, dark=True, base=_style())
    said = "".join(segment.text for segment in lines[2])
    assert said.split()[:5] == ["group1", "32×32", "1.25e+04", "1.23e-05", "2.35e-05"]


def _style():
    from rich.style import Style

    return Style()


# --- curves ---


@looks.piloted
async def test_the_cursor_reads_values_and_scrubs_the_maps(watching):
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("comma")
        assert screen.cursor == pytest.approx(23)
        assert "at epoch 23 (nad)" in await looks.settle(pilot, "at epoch 23")
        await pilot.press("comma", "full_stop", "full_stop")
        assert screen.cursor == pytest.approx(24)
        await pilot.press("full_stop")
        assert screen.cursor is None
        await pilot.press("home")
        assert screen.cursor == pytest.approx(1)
        rows = screen.grid().rows
        assert [row.when for row in rows] == ["epoch 1", "not begun at the cursor", "not begun at the cursor"]
        await pilot.press("right", "shift+right", "left", "shift+left")
        assert screen.cursor == pytest.approx(1, abs=0.5)
        await pilot.press("end")
        assert screen.cursor is None


@looks.piloted
async def test_the_cursor_stays_at_its_moment_on_another_axis(watching):
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("comma")
        await pilot.press("a")
        assert app.settings.axis == "seconds"
        assert [row.when for row in screen.grid().rows][2] == "epoch 9"
        await pilot.press("a")
        assert app.settings.axis == "step"
        assert screen.cursor == pytest.approx(320 + 48 + 72)


@looks.piloted
async def test_a_click_puts_the_cursor_there(watching):
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.click("#figures", offset=(50, 6))
        assert screen.cursor is not None
        assert "at epoch" in await looks.settle(pilot, "at epoch")
        await pilot.press("escape")
        assert screen.cursor is None


@looks.piloted
async def test_smoothing_log_and_zoom(watching):
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        before = screen.query_one("#loss", Curves).chart
        await pilot.press("s")
        assert app.settings.smoothing == 0.6
        assert screen.query_one("#loss", Curves).chart != before
        await pilot.press("s", "s", "s")
        assert app.settings.smoothing == 0.0
        await pilot.press("l")
        assert screen.query_one("#loss", Curves).chart.log_y
        for zoom in ("attack", "teacher", "nad", None):
            await pilot.press("z")
            assert screen.curves.zoom == zoom
        assert screen.query_one("#figures", Curves).chart.x_range == (0, 24)


# --- maps ---


@looks.piloted
async def test_samples_views_and_letters(watching):
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("2", "n")
        assert "no entry" in await looks.settle(pilot, "no entry")
        await pilot.press("N", "N")
        assert screen.maps.sample == 3
        for view in ("clean", "triggered", "difference", "both"):
            await pilot.press("v")
            assert screen.query_one(AttentionGrid).maps.view == view
        await pilot.press("m")
        assert "▀" not in looks.text_of(app)
        assert app.settings.maps == "ascii"
        await pilot.press("m")
        await pilot.pause()
        assert "▀" in looks.text_of(app)


@looks.piloted
async def test_a_cell_is_chosen_maximized_and_left(watching):
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("2", "down", "right", "down")
        assert screen.maps.cell == (1, 1)
        await pilot.press("enter")
        shown = await looks.settle(pilot, "teacher · group2")
        assert "% of attention in the trigger's footprint" in shown
        await pilot.press("escape")
        assert not screen.maps.maximized_cell
        await pilot.press("escape")
        assert screen.maps.cell is None


@looks.piloted
async def test_a_click_on_a_cell_chooses_and_a_second_maximizes_it(watching):
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        await pilot.press("2")
        await pilot.pause()
        await pilot.click(AttentionGrid, offset=(18, 4))
        await pilot.pause()
        assert screen.maps.cell == (0, 0)
        await pilot.click(AttentionGrid, offset=(18, 4))
        await pilot.pause()
        assert screen.maps.maximized_cell


@looks.piloted
async def test_another_operator_is_computed_in_the_background(watching, monkeypatch):
    from nadtui.workbench import recomputed_maps

    asked: list[recomputed_maps.Task] = []

    def compute(task: recomputed_maps.Task) -> recomputed_maps.Recomputed:
        asked.append(task)
        shown = {(e.stage, e.sample, e.tap): e for e in showcase._maps("nad", 1, 0, 0.0)}
        return recomputed_maps.Recomputed(task.operator, "no checkpoint yet", shown)

    monkeypatch.setattr(recomputed_maps, "compute", compute)
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot)
        await pilot.press("2", "o")
        shown = await looks.settle(pilot, "sum, from its checkpoint")
        assert "no checkpoint yet" in shown
        (task,) = asked
        assert (task.operator, task.model, task.classes, task.p) == ("sum", "wrn-16-1", 10, 2.0)
        assert list(task.stages) == ["attack", "teacher", "nad"]
        for _ in range(4):
            await pilot.press("o")
        await looks.settle(pilot, "epoch 10")  # the run's own again


@looks.piloted
async def test_only_the_operator_that_is_looked_at_is_computed(watching, monkeypatch):
    """One at a time, and none that a person has left behind; an error is told in the maps' place."""
    from nadtui.workbench import recomputed_maps

    asked: list[str] = []
    first = threading.Event()

    def compute(task: recomputed_maps.Task) -> recomputed_maps.Recomputed:
        asked.append(task.operator)
        first.wait(30)
        raise KeyError("a stranger's checkpoint")

    monkeypatch.setattr(recomputed_maps, "compute", compute)
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot)
        await pilot.press("2", "o")
        await until(pilot, lambda: asked)
        await pilot.press("o", "o")
        first.set()
        await until(pilot, shows(pilot, "cannot be computed"))
        assert asked == [recomputed_maps.OPERATORS[0], app.screen.maps.recomputed.operator]


def test_recomputed_maps_are_those_of_the_record(tmp_path):
    """The record's maps and those recomputed under the run's own operator are the same bytes."""
    import torch

    from engine import models
    from engine.attention.capture import Capture
    from engine.device import choose
    from engine.storage.checkpoints import save_weights
    from nadtui.workbench.recomputed_maps import Task, compute

    model = models.build("wrn-10-1", 3, seed=5)
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8, generator=generator)
    labels = torch.tensor([0, 1])
    capture = Capture(images, images.flip(-1), labels, labels, operator="mean_p", p=3.0, device=choose("cpu", "fp32"))
    wanted = {("nad", each.sample, each.tap): each for each in capture.maps("nad", 4, model)}
    save_weights(RunFolder(tmp_path).checkpoint("nad"), model.state_dict(), {})
    found = compute(
        Task(tmp_path, {"attack": "", "nad": "nad"}, list(capture.samples()), "wrn-10-1", 3, "mean_p", 3.0)
    ).maps
    assert len(found) == len(wanted) == 6
    for key, each in found.items():
        assert (each.clean, each.triggered) == (wanted[key].clean, wanted[key].triggered)
        assert each.peak == pytest.approx(wanted[key].peak)


# --- panes and log ---


@looks.piloted
async def test_panes_by_key_tab_and_mouse_are_remembered(watching, settings_file):
    app = watching()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("tab")
        assert app.settings.pane == "maps"
        await pilot.press("shift+tab", "shift+tab")
        assert app.settings.pane == "log"
        await pilot.click("PaneTabs", offset=(12, 0))
        await pilot.pause()
        assert app.settings.pane == "maps"
    assert settings.load(settings_file)[0].pane == "maps"


@looks.piloted
async def test_a_click_into_a_pane_gives_it_the_keys(watching):
    app = watching()
    async with app.run_test(size=(200, 60)) as pilot:
        await opened(pilot)
        await pilot.click(LogPane, offset=(3, 2))
        await until(pilot, lambda: app.settings.pane == "log")
        assert app.screen.query_one("#log").has_class("-active")


@looks.piloted
async def test_a_pane_takes_the_whole_screen_and_gives_it_back(watching):
    app = watching()
    async with app.run_test(size=(200, 60)) as pilot:
        await opened(pilot)
        assert app.screen.query_one("#log").display
        await pilot.press("2", "f")
        assert not app.screen.query_one("#log").display
        assert not app.screen.query_one("#curves").display
        await pilot.press("f")
        assert app.screen.query_one("#log").display


@looks.piloted
async def test_the_log_follows_or_holds_still(watching):
    app = watching()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("4")
        shown = await looks.settle(pilot, "nad: done in")
        log = app.screen.query_one(LogPane)
        assert log.following
        await pilot.press("home")
        await pilot.pause()
        assert not log.following
        assert "run 20231114" in looks.text_of(app) != shown
        await pilot.press("pagedown", "down", "up", "pageup")
        await pilot.press("end")
        assert "nad: done in" in await looks.settle(pilot, "nad: done in")
        assert log.following


# --- steering ---


@looks.piloted
async def test_pause_and_go_on(running):
    app, jobs = running()
    async with app.run_test(size=(100, 30)) as pilot:
        await started(pilot, jobs, 55)
        await pilot.press("p")
        await looks.settle(pilot, "pausing")
        jobs.made[0]._script.insert(56, RunPaused(paused=True, seq=56, time=scripted_run.START + 30))
        jobs.made[0].let(2)
        await looks.settle(pilot, "⏸ paused")
        await pilot.press("p")
        assert jobs.made[0].asked == ["start", "pause", "resume"]


@looks.piloted
async def test_stop_asks_first_and_then_the_run_goes_on_in_place(running):
    app, jobs = running()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await started(pilot, jobs, 55)
        await pilot.press("x")
        assert isinstance(app.screen, Confirm)
        await pilot.press("n")
        assert "stop" not in jobs.made[0].asked
        await pilot.press("x", "y")
        await looks.settle(pilot, "■ stopped")
        await pilot.press("R")
        assert len(jobs.made) == 2
        assert jobs.requests[1].resume == screen.host.folder
        assert jobs.requests[1].config == jobs.requests[0].config
        jobs.made[1].let()
        await looks.settle(pilot, "■ stopped")  # the script of the job that went on ends where it was stopped


@looks.piloted
async def test_extending_stops_changes_the_configuration_and_goes_on(running):
    app, jobs = running(until=140)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        screen = await started(pilot, jobs, 120)
        names = [stage.name for stage in extendable(screen.host)]
        await pilot.press("plus")
        assert isinstance(app.screen, Choose)
        await pilot.press(str(names.index("nad") + 1))
        await pilot.pause()
        field = app.screen.query_one(Input)
        field.value = "x"
        await pilot.press("enter")
        assert "a whole number" in looks.text_of(app)
        field.value = "7"
        await pilot.press("enter")
        await looks.settle(pilot, "now has")
        assert len(jobs.made) == 2
        before, after = (request.config.defenses["nad"].distill.training for request in jobs.requests)
        assert after.epochs == before.epochs + 7
        assert resolve(None, config_file=screen.host.folder / "config.yaml") == jobs.requests[1].config


@looks.piloted
async def test_extending_a_stage_that_is_done_starts_a_new_run(tmp_path, settings_file):
    folder = showcase.write(tmp_path / "runs", showcase.record())
    (folder / "config.yaml").write_text(resolve("badnets", dataset="signs").to_yaml())
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    jobs = Jobs([])
    app = Workbench(tmp_path / "runs", start=folder, settings_file=settings_file, make_job=jobs, clock=lambda: NOW)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await opened(pilot, "✓ finished")
        await pilot.press("plus")
        assert "nad (done: in a new run)" in await looks.settle(pilot, "in a new run")
        await pilot.press("3")
        await looks.settle(pilot, "its record stays as it is")
        await pilot.press("enter")
        await looks.settle(pilot, "a new run: nad with 15 epochs")
        (request,) = jobs.requests
        assert request.resume is None
        longer = {"defenses": {"nad": {"distill": {"training": {"epochs": 15}}}}}
        assert request.config == resolve("badnets", dataset="signs", overrides=[longer])
        jobs.made[0].let()
        await until(pilot, lambda: not app.live_jobs())
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


@looks.piloted
async def test_a_run_of_another_process_is_paused_through_its_folder(tmp_path, settings_file):
    config = resolve("badnets", dataset="signs").to_yaml()
    with RunFolder.create(tmp_path / "runs", preset="badnets", dataset="signs", seed=0, config_yaml=config) as folder:
        for event in showcase.record(until=60):
            folder.append(event)
        app = Workbench(tmp_path / "runs", start=folder.path, settings_file=settings_file, clock=lambda: NOW)
        async with app.run_test(size=(100, 30), notifications=True) as pilot:
            await opened(pilot, "running")
            await pilot.press("p")
            await looks.settle(pilot, "pausing")
            assert mailbox.take(folder.path) == "pause"
            folder.append(RunPaused(paused=True))
            await looks.settle(pilot, "⏸ paused")
            await pilot.press("p")
            assert mailbox.take(folder.path) == "resume"
            await pilot.press("x", "y")
            await looks.settle(pilot, "stopping")
            assert mailbox.take(folder.path) == "stop"


@looks.piloted
async def test_a_finished_run_cannot_be_steered(watching):
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot, "✓ finished")
        await pilot.press("p", "x", "R")
        await pilot.pause()
        assert isinstance(app.screen, RunScreen)


@looks.piloted
async def test_a_crashed_run_goes_on_here(tmp_path, settings_file):
    folder = showcase.write(tmp_path / "runs", showcase.record(until=60))
    (folder / "config.yaml").write_text(resolve("badnets", dataset="signs").to_yaml())
    jobs = Jobs([])
    app = Workbench(tmp_path / "runs", start=folder, settings_file=settings_file, make_job=jobs, clock=lambda: NOW)
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot, "✗ CRASHED")
        assert "R goes on" in looks.text_of(app)
        await pilot.press("R")
        await until(pilot, lambda: isinstance(screen.host, JobHost))
        assert jobs.requests[0].resume == folder
        jobs.made[0].let()
        await until(pilot, lambda: not app.live_jobs())


@looks.piloted
async def test_screens_behind_do_not_have_the_front_painted_anew(running, monkeypatch):
    app, jobs = running(until=140)
    painted = []
    whole = Compositor.render_full_update
    monkeypatch.setattr(Compositor, "render_full_update", lambda self, **how: painted.append(1) or whole(self, **how))
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await started(pilot, jobs, 55)
        await until(pilot, lambda: screen.host.view.events == 55)
        painted.clear()
        for told in range(59, 91, 4):
            jobs.made[0].let(4)
            await until(pilot, lambda told=told: screen.host.view.events == told)
        assert not painted


# --- states ---


@looks.piloted
async def test_a_failed_run_shows_its_message_and_where_the_record_is(tmp_path, settings_file):
    events = showcase.record(until=60)
    failed = RunFailed(stage="teacher", message="the disk is full", seq=99, time=scripted_run.START + 99)
    folder = showcase.write(tmp_path / "runs", [*events, failed])
    app = Workbench(tmp_path / "runs", start=folder, settings_file=settings_file, clock=lambda: NOW)
    async with app.run_test(size=(120, 30)) as pilot:
        shown = await looks.settle(pilot, "✗ FAILED")
        assert "failed in teacher: the disk is full" in shown
        assert "record:" in shown


@looks.piloted
async def test_a_request_that_proves_wrong_is_told_on_the_screen(running):
    app, jobs = running(error=RequestError("data.name = 'x': no such data set"), record=False)
    jobs.script.clear()
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        jobs.made[0].let()
        assert "data.name = 'x': no such data set" in await looks.settle(pilot, "no such data set")


@pytest.mark.parametrize("how", ["deleted", "newer", "damaged", "empty"])
@looks.piloted
async def test_nothing_about_a_record_takes_the_interface_down(tmp_path, settings_file, how):
    events = showcase.record()
    if how == "newer":
        events = [dataclasses.replace(events[0], schema=SCHEMA + 1), *events[1:40]]
    folder = showcase.write(tmp_path / "runs", events)
    if how == "damaged":
        (folder / "summary.json").write_text("[")
        (folder / "events.jsonl").write_bytes(b"\xff\x00 not an event\n" * 3)
    elif how == "empty":
        (folder / "summary.json").unlink()
        (folder / "events.jsonl").write_text("")
    app = Workbench(tmp_path / "runs", start=folder, settings_file=settings_file, clock=lambda: NOW)
    async with app.run_test(size=(100, 30)) as pilot:
        if how == "deleted":
            await opened(pilot)
            for file in sorted(folder.rglob("*"), reverse=True):
                file.rmdir() if file.is_dir() else file.unlink()
            folder.rmdir()
        word = {"deleted": "DELETED", "newer": "newer schema", "damaged": "DAMAGED", "empty": "CRASHED"}[how]
        await looks.settle(pilot, word)
        for key in "1234asalzmvno,.Rpx+":
            await pilot.press({"+": "plus", ",": "comma", ".": "full_stop"}.get(key, key))
        await pilot.pause()


@looks.piloted
async def test_two_workbenches_watch_one_folder(tmp_path):
    folder = showcase.write(tmp_path / "runs", showcase.record())
    apps = [
        Workbench(tmp_path / "runs", start=folder, settings_file=tmp_path / f"{n}.json", clock=lambda: NOW)
        for n in range(2)
    ]
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file() and file.suffix != ".lock"}
    async with apps[0].run_test(size=(80, 24)) as one, apps[1].run_test(size=(80, 24)) as other:
        await looks.settle(one, "✓ finished")
        await looks.settle(other, "✓ finished")
    after = {file: file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file() and file.suffix != ".lock"}
    assert before == after


# --- leaving ---


@looks.piloted
async def test_leaving_without_a_live_run_asks_nothing(watching):
    app = watching()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)


@pytest.mark.parametrize(("choice", "goes_on"), [("1", True), ("2", False)])
@looks.piloted
async def test_leaving_with_a_run_under_way(running, monkeypatch, choice, goes_on):
    calls: list[Path] = []
    monkeypatch.setattr(detached, "detach", lambda request, folder: calls.append(folder) or "detached")
    app, jobs = running()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await started(pilot, jobs, 55)
        await pilot.press("q", "ctrl+q")
        assert isinstance(app.screen, Choose)
        await pilot.press("3")  # asked once, however often one asks to leave
        assert app.screen is screen
        await pilot.press("q", choice)
        await until(pilot, lambda: not app.is_running)
    assert "stop" in jobs.made[0].asked
    assert calls == ([screen.host.folder] if goes_on else [])
    assert app.detached == (["detached"] if goes_on else [])
    said = "\n".join(app.parting)
    assert ("nadtui watch" in said) is goes_on
    assert ("nadtui run --resume" in said) is not goes_on


@looks.piloted
async def test_back_leads_to_the_runs_and_the_job_goes_on(running):
    app, jobs = running()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await started(pilot, jobs, 55)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, WorkspaceScreen))
        assert screen.host.live
        app.open_run(screen.host.folder)
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert app.screen.host is screen.host


# --- help, palette, export, screenshot, settings ---


@looks.piloted
async def test_help_lists_every_key_of_the_screen(watching):
    app = watching()
    async with app.run_test(size=(100, 60)) as pilot:
        screen = await opened(pilot)
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        shown = "\n".join(said for _, rows in app.screen._groups for _, said in rows)
        for binding in screen.BINDINGS:
            assert binding.tooltip in shown
        assert [group for group, _ in app.screen._groups][:4] == [
            "Steer the run",
            "Panes",
            "Curves",
            "Attention maps",
        ]
        await pilot.press("escape")
        assert app.screen is screen


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@looks.piloted
async def test_the_help_looks_as_it_did(watching, size):
    app = watching()
    async with app.run_test(size=size) as pilot:
        await opened(pilot)
        await pilot.press("question_mark")
        looks.check(f"help-{size[0]}x{size[1]}", await at_rest(pilot, "Steer the run", "Esc closes"))


@looks.piloted
async def test_the_palette_offers_what_the_keys_do(watching):
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot)
        offered = {command.title: command for command in app.get_system_commands(app.screen)}
        assert "Log y (l)" in offered
        await offered["Log y (l)"].callback()
        assert app.settings.log_y


@looks.piloted
async def test_a_run_is_exported(watching, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = watching()
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await opened(pilot)
        await pilot.press("e")
        options = app.screen.query_one(OptionList)
        assert options.option_count >= 3
        await pilot.press("enter")
        await pilot.pause()
        app.screen.query_one(Input).value = "out.md"
        await pilot.press("enter")
        await looks.settle(pilot, "written:")
    assert scripted_run.RUN in (tmp_path / "out.md").read_text()


@looks.piloted
async def test_a_screenshot_is_saved(watching, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with watching().run_test(size=(100, 30), notifications=True) as pilot:
        await opened(pilot)
        await pilot.press("S")
        await looks.settle(pilot, "saved:")
    (file,) = tmp_path.glob("nadtui-*.svg")
    assert "<svg" in file.read_text()


@looks.piloted
async def test_settings_outlive_the_workbench(watching, settings_file, tmp_path):
    app = watching()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        await pilot.press("t", "a", "v")
        await pilot.pause()
        assert not app.current_theme.dark
    kept, problem = settings.load(settings_file)
    assert problem == ""
    assert (kept.theme, kept.axis, kept.maps_view) == ("nadtui-light", "seconds", "clean")
    again = Workbench(tmp_path / "runs", start=tmp_path / "runs" / scripted_run.RUN, settings_file=settings_file)
    async with again.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        assert again.theme == "nadtui-light"
        assert "by seconds" in looks.text_of(again)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"theme": 3}', '{"pane": "kitchen", "axis": "step"}', "\x00", '{"theme": "no such"}']
)
def test_damaged_settings_are_no_reason_to_fail(settings_file, content):
    settings_file.parent.mkdir(parents=True)
    settings_file.write_text(content)
    loaded, _ = settings.load(settings_file)
    assert loaded.pane == "curves"


def test_wrong_settings_are_named(settings_file):
    settings_file.parent.mkdir(parents=True)
    settings_file.write_text('{"pane": "kitchen", "axis": "step", "unknown": 1}')
    loaded, problem = settings.load(settings_file)
    assert loaded.axis == "step"
    assert "pane" in problem
    assert "unknown" not in problem
