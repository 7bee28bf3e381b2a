"""A preset's trigger, drawn by a process of its own.

Drawing it needs torch, whose import would hold the interface up for a second: a child process does that once, draws,
and waits a while for the next trigger, which is then there in a tenth of the time. Pictures are kept in the cache if
there is one.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
IDLE_S = 120
"""Seconds for which a drawing process waits for another trigger."""
ANSWER = '{"'
"""How a line that is an answer begins."""


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
    answer: dict[str, str] | None = None
    while answer is None:
        artist, fresh = _hired()
        answer = artist.ask(wanted)
        if answer is None and (fresh or artist.late.is_set()):  # else it had gone while it waited: another is asked
            raise RequestError(f"the trigger cannot be drawn: {artist.last_words()}")
    _waiting.append(artist)
    preview = drawing.unpacked(answer.get("preview", ""))
    if preview is None:
        raise RequestError(f"the trigger cannot be drawn: {answer.get('error', 'its picture is damaged')}")
    return preview


class _Artist:
    """A drawing process; it goes by itself when it has long had nothing to draw, or whoever started it is gone."""

    def __init__(self) -> None:
        self.surroundings = _surroundings()
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  (as long as the process)
        self.late = threading.Event()
        self._process = subprocess.Popen(
            # Collecting garbage while torch is imported costs a fifth of the time.
            [sys.executable, "-c", "import gc; gc.disable(); from nadtui.draw.trigger_process import _child; _child()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def ask(self, wanted: dict[str, Any]) -> dict[str, str] | None:
        """What it says; None where it ended instead."""
        assert self._process.stdin is not None and self._process.stdout is not None
        patience = threading.Timer(PATIENCE_S, self._give_up)
        patience.daemon = True
        patience.start()
        try:
            self._process.stdin.write(f"{json.dumps(wanted)}\n")
            self._process.stdin.flush()
            # What a package prints while Python starts comes before it.
            return next((json.loads(line) for line in self._process.stdout if line.startswith(ANSWER)), None)
        except OSError:
            return None
        finally:
            patience.cancel()

    def _give_up(self) -> None:
        self.late.set()
        self._process.kill()

    def fits(self) -> bool:
        """Whether it is there, and would find the files and settings that a new process finds."""
        return self._process.poll() is None and self.surroundings == _surroundings()

    def end(self) -> None:
        """Let it go."""
        self._process.kill()
        self._process.wait()

    def last_words(self) -> str:
        """Why it ended."""
        code = self._process.wait()
        if self.late.is_set():
            return f"it took more than {PATIENCE_S} s"
        self._complaints.seek(0)
        said = self._complaints.read().decode(errors="replace").strip().splitlines()
        return said[-1] if said else f"exit code {code}"


_waiting: list[_Artist] = []
"""Drawing processes that have nothing to do."""


def _surroundings() -> tuple[Path, dict[str, str]]:
    return Path.cwd(), dict(os.environ)


def _hired() -> tuple[_Artist, bool]:
    """A process that draws, and whether it is a new one.

    Raises:
        RequestError: none can be started.
    """
    while _waiting:
        artist = _waiting.pop()
        if artist.fits():
            return artist, False
        artist.end()
    try:
        return _Artist(), True
    except OSError as error:
        raise RequestError(f"the trigger cannot be drawn: {error}") from None


def _child() -> None:
    """The drawing process: a line of settings of attack and data on standard input, a line with the picture out."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a package prints is no answer
    if hasattr(os, "nice"):
        os.nice(10)  # a training may be running on the same processor
    gone = threading.Timer(IDLE_S, os._exit, (0,))
    for line in sys.stdin:
        gone.cancel()
        answers.write(f"{json.dumps(_answer(json.loads(line)))}\n")
        answers.flush()
        gc.freeze()  # what is there now stays: the collector need not look through all of torch
        gc.enable()
        gone = threading.Timer(IDLE_S, os._exit, (0,))
        gone.daemon = True
        gone.start()


def _answer(wanted: dict[str, Any]) -> dict[str, str]:
    from engine.attacks import settings_class
    from engine.config.run import DataSettings
    from engine.zoo.contents import load

    try:
        attack = settings_class(wanted["attack"]["name"]).model_validate(wanted["attack"])
        data = DataSettings.model_validate(wanted["data"]) if wanted["data"] else None
        card = _in_zoo(attack, data)
        made = card and Made(card.name, card.sha256, load(card).trigger)
        preview = drawing.draw(attack, data, made)
        drawing.keep(attack, preview, data, made)
    except RequestError as error:
        return {"error": str(error)}
    return {"preview": drawing.packed(preview)}
