"""Runs are paused, stopped, resumed, extended and left, from the run screen."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
from textual.widgets import Input

from engine.config.presets import resolve
from engine.errors import RecordError
from engine.events import RunFinished, RunPaused
from engine.record.folder import RunFolder
from engine.running import mailbox
from engine.running.plan import make_plan
from engine.running.request import RunRequest
from nadtui.runs import detached
from nadtui.runs.hosting import JobHost
from nadtui.workbench.app import Workbench
from nadtui.workbench.dialogs import Choose, Confirm
from nadtui.workbench.screens.run import RunScreen
from nadtui.workbench.screens.workspace import WorkspaceScreen
from nadtui.workbench.steering import extendable, why_not
from tests import looks, run_folders, scripted_run, showcase
from tests.pilot import shows, until
from tests.run_screen import NOW, Jobs, opened, started


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
async def test_a_run_whose_folder_goes_is_told_and_not_made_again(running, tmp_path):
    error = RecordError("the run folder was deleted or moved: /somewhere")
    app, jobs = running(until=120, error=error)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        screen = await started(pilot, jobs, 100)
        shutil.rmtree(screen.host.folder)
        app.steering._extend_now(screen.host, "nad", 5)
        await looks.settle(pilot, "cannot extend")
        jobs.made[0].let()
        await looks.settle(pilot, "DELETED")
        assert "the run folder was deleted or moved" in looks.text_of(app)
        await pilot.press("R", "p", "x")
        await pilot.pause()
        assert app.screen is screen
    assert list((tmp_path / "runs").iterdir()) == []


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


@looks.piloted
async def test_only_stages_that_have_a_number_of_epochs_are_extended(tmp_path, settings_file):
    """Those of a trial have as many as the stages that they are a trial of."""
    config = resolve("badnets", dataset="signs", overrides=[{"defenses": {"nad": {"budget": 2.0}}}])
    plan = make_plan(config)
    assert [stage.name for stage in plan] == ["attack", "trial-teacher", "trial-nad", "teacher", "nad"]
    stages = [event for stage in plan for event in scripted_run.stage(stage.name, [(90.0, 5.0)] * 2)]
    events = [scripted_run.run_started(config=config.to_dict(), plan=plan), *stages, RunFinished(seconds=60.0)]
    folder = run_folders.write_events(tmp_path / "runs", scripted_run.RUN, config.to_dict(), scripted_run.timed(events))
    app = Workbench(tmp_path / "runs", start=folder, settings_file=settings_file, clock=lambda: NOW)
    async with app.run_test(size=(100, 30)) as pilot:
        await opened(pilot, "✓ finished")
        await pilot.press("plus")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        assert [name for name, _ in app.screen._choices] == ["attack", "teacher", "nad"]


@pytest.mark.parametrize(
    ("end", "key", "said"), [("open", "R", "nadtui run --resume"), ("finished", "plus", "r in the list of runs")]
)
@looks.piloted
async def test_a_network_of_a_file_is_refused_at_once_with_the_way_to_allow_it(tmp_path, settings_file, end, key, said):
    network = "/somewhere/mine.py:Net"
    config = run_folders.config(model={"name": network})
    events = scripted_run.timed(run_folders.script("a", config, end=end))
    events[0] = dataclasses.replace(events[0], model={**events[0].model, "name": network})
    folder = run_folders.write_events(tmp_path / "runs", "a", config, events)
    jobs = Jobs([])
    app = Workbench(tmp_path / "runs", start=folder, settings_file=settings_file, make_job=jobs, clock=lambda: NOW)
    async with app.run_test(size=(120, 36), notifications=True) as pilot:
        screen = await opened(pilot, "✓ finished" if end == "finished" else "✗ CRASHED")
        await pilot.press(key)
        await until(pilot, shows(pilot, "its network's file is executed only when it is typed", said))
        assert app.screen is screen and not jobs.made


def test_a_network_that_was_typed_here_may_go_on(tmp_path):
    given = RunRequest(config=resolve("badnets", dataset="signs"), out=tmp_path, resume=tmp_path / "a")
    for typed_model, refused in ((True, False), (False, True)):
        host = JobHost(dataclasses.replace(given, typed_model=typed_model), Jobs([]))
        for event in run_folders.script("a", run_folders.config(), end="stopped"):
            host.view.apply(event)
        host.view.model["name"] = "mine.py:Net"
        host._ended = True
        reason = why_not(host, "resume")
        assert (reason is not None and "--model mine.py:Net" in reason) is refused
