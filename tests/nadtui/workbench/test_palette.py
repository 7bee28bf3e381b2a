"""The palette finds runs, presets, fields and samples beside the keys."""

from __future__ import annotations

import asyncio

import pytest

from nadtui.workbench.palette import Places
from nadtui.workbench.screens.new_run import NewRunScreen
from nadtui.workbench.screens.run import RunScreen
from tests import looks
from tests.pilot import drive, screen_text, shows, until
from tests.run_screen import opened

pytestmark = pytest.mark.usefixtures("truecolor")


async def found(pilot, query: str) -> dict[str, object]:
    """By title what the palette would do."""
    provider = Places(pilot.app.screen)
    await provider.startup()
    hits = [hit async for hit in provider.search(query)]
    return {hit.text: hit.command for hit in sorted(hits, reverse=True)}


def test_runs_presets_and_fields_are_found_in_the_workspace(runs):
    async def script(pilot):
        await until(pilot, shows(pilot, "runs 4"))
        titles = await found(pilot, "sig signs")
        assert {"run 20260101-120100-sig-signs-s0", "run 20260101-120200-sig-signs-s1"} <= set(titles)
        assert "preset wanet" in await found(pilot, "wanet")
        assert next(iter(await found(pilot, "sig"))) == "preset sig"  # the word whole, before all that only have it
        (await found(pilot, "field poisoning_rate"))["field attack.poisoning_rate"]()
        await until(pilot, lambda: isinstance(pilot.app.screen, NewRunScreen) and pilot.app.focused.id == "value")
        assert pilot.app.screen.every._path == "attack.poisoning_rate"
        (await found(pilot, "clean_fraction"))["field data.clean_fraction"]()
        assert pilot.app.screen.every._path == "data.clean_fraction"
        await pilot.press("escape", "escape", "escape")

    drive(runs, script)


def test_a_run_that_is_found_is_opened_by_way_of_the_palette(runs):
    async def script(pilot):
        await until(pilot, shows(pilot, "runs 4"))
        await pilot.press("ctrl+p", *"120000")
        await until(pilot, shows(pilot, "run 20260101-120000-badnets-signs-s0"))
        await asyncio.sleep(0.3)
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))

    drive(runs, script)


def test_keys_that_merely_move_are_left_out_and_nothing_is_said_twice(runs):
    async def script(pilot):
        await until(pilot, shows(pilot, "runs 4"))
        commands = list(pilot.app.get_system_commands(pilot.app.screen))
        assert {"Open (⏎)", "Unmark all (U)", "Theme (t)", "Quit (q)"} <= {each.title for each in commands}
        assert not [each.title for each in commands if each.title.startswith("Scroll")]
        assert not [each.title for each in commands if each.help and each.title.startswith(f"{each.help} (")]

    drive(runs, script)


def test_what_is_said_of_a_place_is_cut_visibly(runs):
    async def script(pilot):
        await until(pilot, shows(pilot, "runs 4"))
        await pilot.press("ctrl+p", *"train_images")
        await until(pilot, shows(pilot, "How many training images to draw (signs) or keep (other sets, strat"))
        line = next(line for line in screen_text(pilot.app).splitlines() if "How many training" in line)
        assert line.rstrip().endswith("…")

    drive(runs, script, size=(80, 24))


@looks.piloted
async def test_samples_are_found_by_class(watching):
    app = watching()
    async with app.run_test(size=(100, 30)) as pilot:
        screen = await opened(pilot)
        (await found(pilot, "no entry"))["sample 2: no entry"]()
        await looks.settle(pilot, "sample 2/4")
        assert (screen.maps.sample, app.settings.pane) == (1, "maps")
