"""Keys that come faster than they are worked off arrive where the focus is by then: none lost, none elsewhere."""

from __future__ import annotations

import pytest
from textual import events

from nadtui.workbench.screens.new_run import NewRunScreen
from nadtui.workbench.widgets.fields_pane import FieldsPane
from tests.pilot import drive, until

pytestmark = pytest.mark.usefixtures("truecolor")
NAMED = {"_": "underscore", ".": "full_stop", "/": "slash"}


def burst(app, *keys: str) -> None:
    """All of these at once, as from a terminal that was not read for a while."""
    for key in keys:
        character = key if len(key) == 1 else None
        app._driver.send_message(events.Key(NAMED.get(key, key), character))


def test_a_field_is_found_and_set_in_one_burst(runs):
    async def script(pilot):
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, NewRunScreen) and pilot.app.screen.problem == "")
        screen = pilot.app.screen
        for field, value in (("training.batch_size", "32"), ("training.epochs", "7"), ("precision", "fp32")):
            burst(pilot.app, "ctrl+f", *["backspace"] * 20, *field, "enter", "enter", *value, "enter")
            await until(pilot, lambda field=field: field in screen.form.settings)
        await until(pilot, lambda: len(screen.form.settings) == 3)
        assert dict(screen.form.settings) == {"training.batch_size": "32", "training.epochs": "7", "precision": "fp32"}

    drive(runs, script)


def test_what_is_typed_into_a_screen_that_opens_is_there(runs):
    async def script(pilot):
        await pilot.pause()
        burst(pilot.app, "n", *"17")  # the seed has the focus, its text selected
        await until(pilot, lambda: isinstance(pilot.app.screen, NewRunScreen) and pilot.app.screen.problem == "")
        assert pilot.app.screen.form.seed == "17"

    drive(runs, script)


def test_a_list_that_is_filled_anew_takes_no_key_from_a_value(runs):
    """The fields are listed anew whenever the form was judged, in the middle of what is typed."""

    async def script(pilot):
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, NewRunScreen) and pilot.app.screen.problem == "")
        screen = pilot.app.screen
        pane = screen.query_one(FieldsPane)
        await pilot.press("ctrl+f", *"defenses.nad.distill.beta", "enter", "enter")
        await pilot.press("[", "1")
        pane.show([field for field in pane._fields if "distill" not in field.path])
        await pilot.press(",", "2", ",", "3", "]")
        assert dict(screen.form.settings) == {"defenses.nad.distill.beta": "[1,2,3]"}

    drive(runs, script)
