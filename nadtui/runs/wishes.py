"""A person's, or the system's, wish that a run end, as signals tell it."""

from __future__ import annotations

import time

SAME_WISH_S = 1.0
"""Seconds within which another signal is the first one again: what starts a run for others (timeout, uv, docker --init,
Slurm) signals it, and then its whole group."""


class Wish:
    """Told once, or told again by somebody who does not want to wait."""

    def __init__(self) -> None:
        self._since: float | None = None

    def renewed(self) -> bool:
        """Note that it is told; whether it was told before, and long enough ago not to be the same."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        return now - self._since >= SAME_WISH_S
