"""The workbench under a pilot: keys in, text out, without sleeping for a fixed time.

Textual's own pilot takes an application for idle whose process uses little processor time, which on a busy machine
is every one. Here it is told by what is left to do: see `patient`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import textual.app
import textual.pilot
from textual.app import App, active_app
from textual.message_pump import MessagePump
from textual.pilot import Pilot
from textual.screen import Screen

from nadtui.workbench.app import Workbench

PATIENCE_S = 120.0
"""Seconds for which something is waited for: many times what an idle machine takes."""
CALM = 8
"""Turns of the event loop without work after which an application is at rest: a key is some turns on its way to it."""


def drive(
    runs: Path,
    script: Callable[[Pilot[None]], Awaitable[None]],
    *,
    size: tuple[int, int] = (120, 40),
    make_job: Callable[[Any], Any] | None = None,
    clock: Callable[[], float] = time.time,
) -> Workbench:
    """Run the workbench on these runs while `script` presses its keys."""
    app = Workbench(runs, settings_file=runs.parent / "settings.json", make_job=make_job, clock=clock)

    async def run() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            await pilot.pause()
            await script(pilot)

    asyncio.run(run())
    return app


def patient(patch: pytest.MonkeyPatch) -> None:
    """Have every pilot wait, after each key, click and pause, until its application has nothing left to do.

    What threads do and what timers will bring is not known here: a test that needs it waits with `until`.
    """
    under_way: list[MessagePump] = []

    def counted(work: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def run(pump: MessagePump, *arguments: Any) -> None:
            under_way.append(pump)
            try:
                await work(pump, *arguments)
            finally:
                under_way.remove(pump)

        return run

    async def settled(pilot: Pilot[Any], timeout: float = PATIENCE_S) -> bool:
        app, end, calm = pilot.app, time.monotonic() + timeout, 0
        while calm < CALM:
            await asyncio.sleep(0)
            if not app.is_running or app._exception is not None:
                return False
            assert time.monotonic() < end, f"{app} never comes to rest"
            if under_way or _messages_wait(app):
                calm = 0
            elif _screen_waits(app.screen):
                calm = 0
                with app._context():  # not that of the application begun last
                    app.screen._on_timer_update()  # the beat that lays out and paints
            else:
                calm += 1
        return True

    async def idle(*_: float) -> None:
        await settled(Pilot(active_app.get()))

    for owner, name in (
        (MessagePump, "_dispatch_message"),
        (MessagePump, "_flush_next_callbacks"),
        (Screen, "_invoke_and_clear_callbacks"),
    ):
        patch.setattr(owner, name, counted(getattr(owner, name)))
    patch.setattr(Pilot, "_wait_for_screen", settled)
    patch.setattr(textual.app, "wait_for_idle", idle)
    patch.setattr(textual.pilot, "wait_for_idle", idle)


def _messages_wait(app: App[Any]) -> bool:
    pumps = (app, *(node for screen in app.screen_stack for node in screen.walk_children(with_self=True)))
    return any(
        not pump._message_queue.empty() or pump._pending_message is not None or pump._next_callbacks for pump in pumps
    )


def _screen_waits(screen: Screen[Any]) -> bool:
    """Whether it is to be laid out or painted, or something is to come after that."""
    wanted = screen._layout_required, screen._scroll_required, screen._repaint_required, screen._recompose_required
    return any(wanted) or bool(screen._dirty_widgets or screen._callbacks)


async def until(pilot: Pilot[None], holds: Callable[[], Any]) -> None:
    """Wait until something holds; what threads do comes when it comes."""
    end = time.monotonic() + PATIENCE_S
    await pilot.pause()
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"this never came true; the screen:\n{screen_text(pilot.app)}")
        await asyncio.sleep(0.02)
        await pilot.pause()


def screen_text(app: Any) -> str:
    """What the screen on top shows, line by line."""
    lines = ("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())
    return "\n".join(line.rstrip() for line in lines)


def shows(pilot: Pilot[None], *said: str) -> Callable[[], bool]:
    """Whether all of this is on screen, for `until`."""
    return lambda: all(each in screen_text(pilot.app) for each in said)


async def at_rest(pilot: Pilot[None], *said: str) -> str:
    """What the screen shows once it shows all of this, and none of its threads is at work any more."""
    shown = shows(pilot, *said)
    await until(pilot, lambda: shown() and all(worker.is_finished for worker in pilot.app.workers))
    return screen_text(pilot.app)
