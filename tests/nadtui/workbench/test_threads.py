"""What a thread hands over reaches a screen that is there, and none that has been left."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.screen import Screen
from textual.widgets import Label

from nadtui.workbench.threads import hand_over
from tests import looks


class Page(Screen[None]):
    """A screen that counts what reached it, each time looking at a widget of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = 0

    def compose(self) -> ComposeResult:
        yield Label("here")

    def on_mount(self) -> None:
        hand_over(self, self.reach)  # a thread may well be done before the screen is

    def reach(self) -> None:
        self.query_one(Label)
        self.reached += 1


@looks.piloted
async def test_what_is_handed_over_arrives_also_while_the_screen_is_being_mounted():
    app, page = App(), Page()
    async with app.run_test() as pilot:
        await app.push_screen(page)
        await pilot.pause()
        hand_over(page, page.reach)
        await pilot.pause()
    assert page.reached == 2


@looks.piloted
async def test_nothing_arrives_at_a_screen_left_before_its_turn_came():
    app, page = App(), Page()
    async with app.run_test() as pilot:
        await app.push_screen(page)
        await pilot.pause()
        hand_over(page, page.reach)
        await app.pop_screen()
        await pilot.pause()
        hand_over(page, page.reach)
        await pilot.pause()
        assert page.reached == 1


@looks.piloted
async def test_nothing_arrives_while_the_workbench_is_being_taken_down():
    app, page = App(), Page()
    async with app.run_test() as pilot:
        await app.push_screen(page)
        await pilot.pause()
        hand_over(page, page.reach)  # its turn comes with the shutdown already begun
        app._running = False
        await pilot.pause()
        app._running = True
    assert page.reached == 1
