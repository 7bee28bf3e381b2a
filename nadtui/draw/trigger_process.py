"""A preset's trigger, drawn by a process of its own.

Drawing it needs torch, whose import would hold the interface up for a second: a child process does that, writes the
result to its standard output, and keeps it in the cache if there is one.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from engine import zoo
from engine.attacks import preview as drawing
from engine.attacks.preview import Made, TriggerPreview
from engine.errors import RequestError

if TYPE_CHECKING:
    from engine.attacks.base import Attack
    from engine.config.run import DataSettings
    from engine.zoo.card import Card

PATIENCE_S = 300
"""Seconds after which a drawing process is given up."""


def cached(attack: Attack, data: DataSettings | None = None) -> TriggerPreview | None:
    """The trigger's preview as it was drawn before; None where it was not.

    Raises:
        RequestError: the zoo, which may have the trigger, is damaged.
    """
    card = _in_zoo(attack, data)
    return drawing.cached(attack, data, card and Made(card.name, card.sha256, {}))


def _in_zoo(attack: Attack, data: DataSettings | None) -> Card | None:
    """The suspect of the zoo that has this trigger."""
    return zoo.made_by(attack, "signs" if data is None else data.name)


def preview(attack: Attack, data: DataSettings | None = None) -> TriggerPreview:
    """The trigger's preview on one of these images (None = signs), from the cache or drawn in a process of its own:
    call it from a thread.

    Raises:
        RequestError: it cannot be drawn; the message says why.
    """
    return cached(attack, data) or _drawn(attack, data)


def _drawn(attack: Attack, data: DataSettings | None) -> TriggerPreview:
    """Have a process draw the trigger.

    Raises:
        RequestError: it cannot be drawn.
    """
    wanted = {"attack": attack.model_dump(mode="json"), "data": data.model_dump(mode="json") if data else None}
    try:
        done = subprocess.run(
            [sys.executable, "-c", "from nadtui.draw.trigger_process import _child; _child()"],
            input=json.dumps(wanted),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RequestError(f"the trigger cannot be drawn: {error}") from None
    preview = None if done.returncode else drawing.unpacked(done.stdout.rpartition("\n")[2])
    if preview is None:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise RequestError(f"the trigger cannot be drawn: {last[0]}")
    return preview


def _child() -> None:
    """The drawing process: settings of attack and data on standard input, the preview on standard output."""
    from engine.attacks import settings_class
    from engine.config.run import DataSettings
    from engine.zoo.contents import load

    if hasattr(os, "nice"):
        os.nice(10)  # a training may be running on the same processor
    try:
        wanted = json.load(sys.stdin)
        attack = settings_class(wanted["attack"]["name"]).model_validate(wanted["attack"])
        data = DataSettings.model_validate(wanted["data"]) if wanted["data"] else None
        card = _in_zoo(attack, data)
        made = card and Made(card.name, card.sha256, load(card).trigger)
        preview = drawing.draw(attack, data, made)
        drawing.keep(attack, preview, data, made)
        sys.stdout.write(f"\n{drawing.packed(preview)}")  # on a line of its own: a package may have printed something
        gc.freeze()  # or the picture waits until the collector has looked through all of torch
    except RequestError as error:
        sys.exit(str(error))
