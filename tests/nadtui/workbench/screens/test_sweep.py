"""A sweep on a screen: a grid that fills, its runs, who is at work, what comes first."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from engine.sweeps import members
from engine.sweeps.layout import RESULTS, RUNS
from nadtui.runs import detached
from nadtui.runs.sweep_folders import sweeps_in
from nadtui.runs.sweep_watch import look
from nadtui.workbench.screens import sweep as screen
from nadtui.workbench.screens.sweep import SweepScreen
from nadtui.workbench.widgets.sweep_grid import SweepGrid
from tests import looks
from tests.pilot import at_rest, drive, screen_text, shows, until
from tests.sweep_folders import write_made_up


def forget(folder: Path, cells: list) -> None:
    """As if these cells had not begun."""
    gone = {cell.id for cell in cells}
    lines = [line for line in (folder / RESULTS).read_text().splitlines() if json.loads(line)["cell"] not in gone]
    (folder / RESULTS).write_text("".join(f"{line}\n" for line in lines))
    for cell in gone:
        shutil.rmtree(folder / RUNS / cell)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two presets, defenses, suspects and subsets: fine-tuning is half done on sig, and not begun on badnets."""
    folder = tmp_path / "runs" / "night"
    cells = write_made_up(folder, 16, preset=["badnets", "sig"], seed=range(2), attack_seed=range(2))
    tuned = [cell for cell in cells if cell.axes["defense"] == "fine-tuning"]
    forget(folder, [cell for cell in tuned if cell.axes["preset"] == "badnets" or cell.axes["seed"]])
    return folder


def test_a_look_says_how_far_it_is(sweep):
    found = look(sweep, now=1000.0)
    assert found.said() == "10 of 16 cells, nobody is at work" and found.seconds_left is None
    with members.Member(sweep) as member:
        cell = next(row.cell for row in found.report.rows if not row.finished)
        member.take(lambda busy: cell)
        found = look(sweep, now=time.time() + 34)
        took = [row.seconds for row in found.cells.values() if row.finished]
        assert 6 * min(took) - 34 <= found.seconds_left <= 6 * max(took)
        assert found.said().startswith("10 of 16 cells, 1 at work, about ")
        assert "badnets fine-tuning, subset 0, suspect 0, since 0:3" in next(found.at_work())


def test_sweeps_are_found_by_their_folder(sweep):
    assert sweeps_in([sweep.parent, sweep, sweep / "nowhere"]) == [sweep.resolve()]


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
def test_it_looks_as_it_should(sweep, monkeypatch, size):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.delenv("NO_COLOR", raising=False)

    async def script(pilot):
        pilot.app.open_sweep(sweep)
        looks.check("sweep-{}x{}".format(*size), await at_rest(pilot, "10 of 16 cells"))

    drive(sweep.parent, script, size=size)


def test_the_cursor_the_views_and_the_runs_of_a_cell(sweep):
    async def script(pilot):
        pilot.app.open_sweep(sweep)
        await until(pilot, shows(pilot, "10 of 16 cells", "badnets, nad · 2 × 2 suspects × subsets, all done"))
        await pilot.press("down", "right")
        assert "sig, fine-tuning · 2 × 1 suspects × subsets, 2 of 4 done" in screen_text(pilot.app)
        await pilot.press("v")
        assert "ACC lost · signs" in screen_text(pilot.app)
        await pilot.press("v", "enter")
        await until(pilot, shows(pilot, "sig, fine-tuning: 2 runs", "subset 0, suspect 1  9"))
        await pilot.press("escape", "up", "enter")
        await until(pilot, shows(pilot, "none of its runs has begun"))
        await pilot.press("escape")
        assert not isinstance(pilot.app.screen, SweepScreen)

    drive(sweep.parent, script)


@pytest.mark.parametrize(("width", "whole"), [(80, False), (120, True)])
def test_the_signs_are_explained_as_far_as_there_is_room(sweep, monkeypatch, width, whole):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.delenv("NO_COLOR", raising=False)

    async def script(pilot):
        pilot.app.open_sweep(sweep)
        await until(pilot, shows(pilot, "░▒▓ not all done · bright: high ASR · ± over suspects · [ ] 95 % interval"))
        assert ("a to b: least, most · worst: one run" in screen_text(pilot.app)) == whole

    drive(sweep.parent, script, size=(width, 30))


def test_a_cell_is_put_first_and_taken_back(sweep):
    async def script(pilot):
        pilot.app.open_sweep(sweep)
        await until(pilot, shows(pilot, "10 of 16 cells"))
        await pilot.press("right", "plus")
        await until(pilot, shows(pilot, "▲"))
        assert len(members.first(sweep)) == 4
        await pilot.press("plus")
        await until(pilot, lambda: "▲" not in screen_text(pilot.app))
        assert members.first(sweep) == []

    drive(sweep.parent, script)


def test_pausing_and_stopping_reach_who_is_at_work(sweep):
    async def script(pilot):
        pilot.app.open_sweep(sweep)
        await until(pilot, shows(pilot, "nobody is at work", "R Go on"))
        assert "p Pause" not in screen_text(pilot.app) and "x Stop" not in screen_text(pilot.app)
        await pilot.press("p")
        await until(pilot, shows(pilot, "nobody is at work on it: R goes on"))
        with members.Member(sweep) as member:
            cell = look(sweep).report.table.groups[0, 1].rows[0].cell
            member.take(lambda busy: cell)
            await until(pilot, shows(pilot, "1 at work", "badnets fine-tuning, subset 0", "p Pause x Stop"))
            assert "R Go on" not in screen_text(pilot.app)
            await pilot.press("p")
            await until(pilot, shows(pilot, "asked to pause"))
            assert member.wish() == "pause"
            await pilot.press("x")
            await until(pilot, shows(pilot, "Stop the sweep?"))
            await pilot.press("y")
            await until(pilot, shows(pilot, "asked to stop"))
            assert member.wish() == "stop"

    drive(sweep.parent, script)


def test_it_goes_on_in_a_process_of_its_own(sweep, monkeypatch):
    begun = []
    monkeypatch.setattr(detached, "_apart", lambda command, log: begun.append(command) or Ended(log))

    class Ended:
        pid, returncode = 4711, 2

        def __init__(self, log: Path) -> None:
            log.write_text("error: no such thing\n")

        def poll(self) -> int:
            return self.returncode

    async def script(pilot):
        pilot.app.open_sweep(sweep)
        await until(pilot, shows(pilot, "nobody is at work"))
        await pilot.press("R")
        await until(pilot, shows(pilot, "Workers"))
        await pilot.press("backspace", "backspace", "3", "enter")
        await until(pilot, shows(pilot, "it goes on in process 4711"))
        await until(pilot, shows(pilot, "night could not go on: error: no such thing"))
        assert begun[0][2:] == ["nadtui", "sweep", "--resume", str(sweep.absolute()), "--workers", "3"]

    drive(sweep.parent, script)


def test_it_is_opened_from_the_workspace(sweep):
    async def script(pilot):
        await pilot.press("w")
        await until(pilot, shows(pilot, "Open a sweep", "night"))
        await pilot.press("enter")
        await until(pilot, shows(pilot, "10 of 16 cells"))

    drive(sweep.parent, script)


def test_a_folder_that_is_no_sweep_says_so(tmp_path):
    async def script(pilot):
        pilot.app.open_sweep(tmp_path / "none")
        await until(pilot, shows(pilot, "no such folder"))
        await pilot.press("v", "p", "x", "plus", "enter", "down", "e")

    (tmp_path / "runs").mkdir()
    drive(tmp_path / "runs", script)


def test_a_look_that_fails_says_so_however_it_does(sweep, monkeypatch):
    def fails(*_: object) -> None:
        raise KeyError("axes")

    monkeypatch.setattr(screen, "look", fails)

    async def script(pilot):
        pilot.app.open_sweep(sweep)
        await until(pilot, shows(pilot, "cannot be read: KeyError: 'axes'"))
        await until(pilot, lambda: "reading" not in screen_text(pilot.app))

    drive(sweep.parent, script)


def test_a_sweep_of_one_preset_and_one_defense(tmp_path):
    folder = tmp_path / "runs" / "one"
    write_made_up(folder, 2, preset=["sig"], defense=["nad"], seed=range(2), attack_seed=[0])

    async def script(pilot):
        pilot.app.open_sweep(folder)
        await until(pilot, shows(pilot, "2 of 2 cells", "sig, nad · 1 × 2"))
        assert pilot.app.screen.query_one(SweepGrid).group.done == 2

    drive(folder.parent, script)
