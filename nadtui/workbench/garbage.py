"""The garbage collector while the workbench starts: what is loaded then stays, and looking through it takes a tenth of
the time to the first paint."""

from __future__ import annotations

import gc

START_S = 2.0
"""How long a start is waited for, in seconds."""


def wait() -> None:
    """Collect nothing from now on."""
    gc.disable()


def begin() -> None:
    """Collect again, where it was put off; what is there by now is never looked through."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()
