"""What a screen shows, as text: for assertions, and for snapshots kept beside the tests.

NADTUI_SNAPSHOTS=write keeps what is shown now as what is wanted from now on; look at the difference before a commit.
"""

from __future__ import annotations

import asyncio
import difflib
import functools
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.pilot import Pilot

from tests.pilot import screen_text as text_of
from tests.pilot import shows, until

FOLDER = Path(__file__).parent / "snapshots"


def piloted(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """An asynchronous test as pytest runs it, in an event loop of its own."""

    @functools.wraps(test)
    def run(*arguments: object, **fixtures: object) -> None:
        asyncio.run(test(*arguments, **fixtures))

    return run


def check(name: str, shown: str) -> None:
    """Compare with the snapshot of that name."""
    file = FOLDER / f"{name}.txt"
    if os.environ.get("NADTUI_SNAPSHOTS") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(shown + "\n", encoding="utf-8")
    assert file.is_file(), f"no snapshot {name}: NADTUI_SNAPSHOTS=write keeps one"
    wanted = file.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    changed = "\n".join(difflib.unified_diff(wanted, shown.split("\n"), "wanted", "shown", n=0, lineterm=""))
    assert not changed, f"{name} looks different:\n{changed}"


async def settle(pilot: Pilot, wanted: str) -> str:
    """Wait until the screen shows `wanted`, and return what it shows."""
    await until(pilot, shows(pilot, wanted))
    return text_of(pilot.app)


__all__ = ["check", "piloted", "settle", "text_of"]
