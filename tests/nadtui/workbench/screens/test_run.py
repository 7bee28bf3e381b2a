"""The run screen: its panes at several sizes, what it shows of every state, its log."""

from __future__ import annotations

import dataclasses
import re

import pytest
from textual._compositor import Compositor

from engine.errors import RequestError
from engine.events import SCHEMA, AttentionHealth, RunFailed
from engine.figures import TapHealth
from nadtui.workbench import settings
from nadtui.workbench.app import Workbench
from nadtui.workbench.widgets.attention import AttentionGrid
from nadtui.workbench.widgets.log import LogPane
from tests import looks, scripted_run, showcase
from tests.pilot import at_rest, shows, until
from tests.run_screen import NOW, SIZES, Jobs, opened, started


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
        # The backdoored model, the teacher and the student, in one notation.
        assert re.search(r"8/8 96.1/99.6 +▸ .*6/6 [0-9.]+/[0-9.]+ +▸ .*10/10 96.5/1.9", shown)


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
        assert "#" in shown


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
    jobs = Jobs([])  # R takes the run up where it can be
    app = Workbench(tmp_path / "runs", start=folder, settings_file=settings_file, clock=lambda: NOW, make_job=jobs)
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


@pytest.mark.usefixtures("truecolor")
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


def _style():
    from rich.style import Style

    return Style()


@looks.piloted
async def test_escape_gives_the_full_screen_back_before_it_leaves_the_run(watching):
    app = watching()
    async with app.run_test(size=(160, 48)) as pilot:
        screen = await opened(pilot, "✓ finished")
        await pilot.press("f")
        assert screen.has_class("-alone")
        await pilot.press("escape")
        assert not screen.has_class("-alone")
        assert app.screen is screen
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is not screen)


@looks.piloted
async def test_a_key_that_can_do_nothing_says_why(watching):
    app = watching()
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await opened(pilot, "✓ finished")
        for key, said in (("R", "extends a stage"), ("p", "nothing to pause"), ("x", "nothing to stop")):
            await pilot.press(key)
            await until(pilot, shows(pilot, said))


@looks.piloted
async def test_what_has_no_room_in_the_head_is_left_out_whole(watching):
    app = watching()
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        assert looks.text_of(app).splitlines()[0].split("  ")[1] == "badnets · signs · seed 0"
        await pilot.resize_terminal(120, 24)
        await looks.settle(pilot, "seed 0 · wrn-16-1 · to 'stop'")
