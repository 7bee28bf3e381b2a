"""The matrices of a run, over its screen."""

from __future__ import annotations

from nadtui.workbench.app import Workbench
from nadtui.workbench.screens.confusion import ConfusionScreen
from tests import looks, showcase
from tests.pilot import shows, until
from tests.run_folders import keep_answers
from tests.run_screen import NOW, opened


def watching(tmp_path, settings_file, *stages: str) -> Workbench:
    folder = showcase.write(tmp_path / "runs", showcase.record())
    for stage in stages:
        keep_answers(folder, stage, 10)
    return Workbench(tmp_path / "runs", start=folder, settings_file=settings_file, clock=lambda: NOW)


@looks.piloted
async def test_it_opens_on_the_purified_model_and_turns_to_the_others(tmp_path, settings_file):
    app = watching(tmp_path, settings_file, "attack", "nad")
    async with app.run_test(size=(120, 36)) as pilot:
        run = await opened(pilot, "✓ finished")
        await pilot.press("c")
        await until(pilot, shows(pilot, "What nad takes triggered images for", "(4/4)", "true class", "yield"))
        await pilot.press("n")
        await until(pilot, shows(pilot, "What attack takes clean images for", "(1/4)"))
        await pilot.press("N", "N")
        await until(pilot, shows(pilot, "What nad takes clean images for", "(3/4)"))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is run)


@looks.piloted
async def test_a_run_without_answers_says_so(tmp_path, settings_file):
    app = watching(tmp_path, settings_file)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, "✓ finished")
        await pilot.press("c")
        await until(pilot, shows(pilot, "kept no answers", "has finished no stage."))
        await pilot.press("n", "escape")
        assert not isinstance(app.screen, ConfusionScreen)
