"""The workbench under a pilot: keys in, text out, without sleeping for a fixed time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from nadtui.workbench.app import Workbench

PATIENCE_S = 60.0
STILL = 15
"""Looks in a row that see the same."""


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


async def until(pilot: Pilot[None], holds: Callable[[], Any]) -> None:
    """Wait until something holds; what threads do comes when it comes."""
    end = asyncio.get_running_loop().time() + PATIENCE_S
    while not holds():
        if asyncio.get_running_loop().time() > end:
            raise AssertionError(f"this never came true; the screen:\n{screen_text(pilot.app)}")
        await pilot.pause(0.02)


def screen_text(app: Any) -> str:
    """What the screen on top shows, line by line."""
    lines = ("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())
    return "\n".join(line.rstrip() for line in lines)


def shows(pilot: Pilot[None], *said: str) -> Callable[[], bool]:
    """Whether all of this is on screen, for `until`."""
    return lambda: all(each in screen_text(pilot.app) for each in said)


async def at_rest(pilot: Pilot[None], *said: str) -> str:
    """What the screen shows once it shows all of this and moves no more."""
    await until(pilot, shows(pilot, *said))
    seen: list[str] = []
    await until(
        pilot, lambda: seen.append(screen_text(pilot.app)) or (len(seen) > STILL and len({*seen[-STILL:]}) == 1)
    )
    return seen[-1]
