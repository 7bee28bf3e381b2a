"""Names that are no letters, in the workbench: shown escaped wherever they stand, and no screen falls over them."""

from __future__ import annotations

import os

import numpy as np
import pytest
from textual.widgets import Input, Static

from nadtui.workbench.app import Workbench
from nadtui.workbench.screens.new_run import NewRunScreen
from tests import looks, run_folders
from tests.pilot import at_rest, drive, until

pytestmark = pytest.mark.skipif(os.uname().sysname != "Linux", reason="file systems of others take letters alone")

ODD = os.fsdecode(b"\xff\xe9")
SHOWN = r"\xff\xe9"


def test_runs_are_listed_opened_and_exported(tmp_path):
    runs = tmp_path / f"runs {ODD}"
    (tmp_path / f"{ODD}.npz").touch()
    run_folders.write(runs, "20260101-120000-badnets-own-s0", dataset=str(tmp_path / f"{ODD}.npz"))

    async def script(pilot) -> None:
        await at_rest(pilot, f"{SHOWN}.npz")
        await pilot.press("2", "enter")
        await at_rest(pilot, "finished")
        await pilot.press("e", "enter")
        await pilot.pause()
        pilot.app.screen.query_one(Input).value = str(tmp_path / f"{ODD}.md")
        await pilot.press("enter")
        await until(pilot, (tmp_path / f"{ODD}.md").exists)

    drive(runs, script, size=(200, 60))


@looks.piloted
async def test_a_form_takes_one_and_shows_a_command_that_works(tmp_path, settings_file):
    file = tmp_path / f"{ODD} it's.npz"
    images, labels = np.zeros((40, 8, 8, 3), np.uint8), np.arange(40) % 4
    np.savez(file, x_train=images, y_train=labels, x_test=images, y_test=labels)
    app = Workbench(tmp_path / "runs", settings_file=settings_file)
    async with app.run_test(size=(160, 40), notifications=True) as pilot:
        await at_rest(pilot, "presets")
        app.open_form(preset="badnets")
        await until(pilot, lambda: isinstance(app.screen, NewRunScreen) and app.screen.problem == "")
        app.screen.query_one("#dataset", Input).value = str(file)
        await until(pilot, lambda: app.screen.form.dataset == str(file) and app.screen.problem == "")
        assert app.screen.form.config().data.name == str(file)
        assert rf"{SHOWN} it\'s.npz'" in str(app.screen.query_one("#command", Static).content)
        app.screen.query_one("#dataset", Input).value = f"{file}x"
        await until(pilot, lambda: app.screen.problem)
        assert SHOWN in looks.text_of(app)
