"""Keys reach what has the focus once everything that the keys before them set off is done.

Textual hands a key on as soon as it is read. Where keys come faster than they are worked off (a busy processor, a paste
without brackets, a script), those behind an Enter would reach the widget that has the focus still, not the one that it
leads to.
"""

from __future__ import annotations

import asyncio
from collections import deque

from textual import events
from textual.app import App, ReturnType
from textual.message_pump import MessagePump

PATIENCE_S = 5.0
"""Seconds for which the next key waits at most: something may hang, and a person still wants to leave."""
ROUNDS = 6
"""Moves of the focus that one key may set off one after the other (a screen is opened, a field is chosen, ...)."""


class KeysInTurn(App[ReturnType]):
    """An app that works off keys and pasted text one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.pressed = 0
        """Keys and pastes so far."""
        self._typed: deque[events.Event] = deque()
        self._feeding: asyncio.Task[None] | None = None

    async def on_event(self, event: events.Event) -> None:
        """Keys wait their turn; all else goes its way."""
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
            return
        self.pressed += 1
        self._typed.append(event)
        if self._feeding is None or self._feeding.done():
            self._feeding = asyncio.create_task(self._feed(), name="nadtui-keys")

    async def _feed(self) -> None:
        while self._typed and self.is_running:
            event = self._typed.popleft()
            try:
                await super().on_event(event)
                async with asyncio.timeout(PATIENCE_S):
                    await self._settled()
            except TimeoutError:
                continue
            except Exception as error:
                self._handle_exception(error)

    async def _settled(self) -> None:
        """Wait until the focus stays where it is and nothing waits on the way from there to the app."""
        for _ in range(ROUNDS):
            screen, focused = self.screen, self.focused
            for pump in dict.fromkeys([*(focused or screen).ancestors_with_self, screen, self]):
                await _worked_off(pump)
            if (screen, focused) == (self.screen, self.focused):
                return


async def _worked_off(pump: MessagePump) -> None:
    """Wait until all that waits in this queue now is done."""
    done = asyncio.Event()
    if pump.call_later(done.set):
        await done.wait()
