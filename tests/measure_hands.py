"""How safe a person's hands are in the workbench, measured in terminals of their own; prints, asserts nothing.

    python -m tests.measure_hands [typing] [leaving] [preview]

typing: 1,000 keys at 50 ms into the form's fields while both cores train: do all arrive where the focus was? leaving:
20 times out of a run at a random moment, "keep it going": how soon the terminal is free, how soon the detached process
trains on, whether a step is done twice, whether the weights are those of an undisturbed run. preview: each preset's
trigger drawn for the first time, and again. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import base64
import os
import random
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from engine.config.presets import list_presets, resolve
from engine.errors import RequestError
from engine.events import RunResumed, Step
from engine.record.reading import read_events
from nadtui.draw import trigger_process
from tests.kill_resume import twice
from tests.measure_workbench import main, opened, say
from tests.terminal import PATIENCE_S, PtyTerminal
from tests.tiny import SET, begin, outcome, runs_in

KEYS, APART_S = 1_000, 0.05
TYPED_INTO = ("training.batch_size", "data.clean_fraction", "evaluation.images")
FIND, COPY = "\x06", "\x19"
"""ctrl+f and ctrl+y."""
LEAVING = 20


def typing(folder: Path) -> None:
    """The form's command line must hold every digit that was typed, each in its field, and nothing else."""
    whole = ("--preset", "badnets", "--dataset", "signs", "--no-cache", "--epochs", "attack=400")
    terminal = opened(folder, "run", *whole, "--out", str(folder / "typing"))
    terminal.until("images/s", seconds=600)
    terminal.press("Escape")
    terminal.until("presets")
    terminal.press("n")
    terminal.until("Copy command")
    terminal.drain(3)
    spare = KEYS - sum(len(field) + 4 for field in TYPED_INTO)
    digits = [spare // len(TYPED_INTO) + (place < spare % len(TYPED_INTO)) for place in range(len(TYPED_INTO))]
    draw = random.Random(0)
    wanted = {}
    for field, count in zip(TYPED_INTO, digits, strict=True):
        wanted[field] = "".join(draw.choice("123456789") for _ in range(count))
        for key in (FIND, *field, "Enter", "Enter", *wanted[field], "Enter"):
            terminal.press(key)
            terminal.drain(APART_S)
    terminal.drain(3)
    found = dict(re.findall(r"--set (\S+?)=(\d+)", _copied(terminal)))
    terminal.close()
    right = sum(found.get(field) == value for field, value in wanted.items())
    lost = sum(len(value) - len(found.get(field, "")) for field, value in wanted.items())
    others = sorted(set(found) - set(wanted))
    told = f"{right} of {len(wanted)} fields as typed, {lost} keys lost, fields beside them: {others}"
    say(f"{KEYS:,} keys at {1000 * APART_S:.0f} ms: {told}")


def _copied(terminal: PtyTerminal) -> str:
    """The command line, as it goes to the terminal's clipboard."""
    terminal.press(COPY)
    seen = terminal.until("\x1b]52;c;", "was copied")
    return base64.b64decode(seen.rpartition("\x1b]52;c;")[2].partition("\x07")[0]).decode()


def leaving(folder: Path) -> None:
    """Each run is left once; it goes on in a process of its own."""
    options = ["--preset", "badnets", *SET, "--set", "data.size=32", "--set", "training.epochs=8"]
    process, whole = begin(folder / "whole", *options)
    process.wait()
    record, expected = read_events(whole).events, outcome(whole)
    length = record[-1].time - record[0].time
    draw, same, slow = random.Random(0), 0, []
    for number in range(LEAVING):
        terminal = opened(folder, "run", "--no-cache", *options, "--out", str(folder / str(number)))
        while not runs_in(folder / str(number)):
            terminal.drain(0.05)
        moment = draw.uniform(0, length)
        terminal.drain(moment)
        run = runs_in(folder / str(number))[0]
        free, on = _left(terminal, run)
        terminal.close()
        patience = time.monotonic() + PATIENCE_S
        while not (run / "summary.json").exists() and time.monotonic() < patience:
            time.sleep(0.1)
        equal = (run / "summary.json").exists() and outcome(run) == expected
        again = twice(run)
        same += equal and not again
        slow += [] if free is None else [(free, on)]
        told = "had finished" if free is None else f"free in {free:.2f} s, trains on {on:.2f} s later"
        say(f"{number + 1:2} after {moment:5.2f} s: {told}; equal: {equal}, a step twice: {again}")
    say(f"{same} of {LEAVING} with the weights of an undisturbed run and no step twice")
    free, on = (max(times) for times in zip(*slow, strict=True))
    say(f"the terminal is free within {free:.2f} s, training goes on within {on:.2f} s more")


def _left(terminal: PtyTerminal, run: Path) -> tuple[float | None, float]:
    """Seconds until the terminal is free, and from then to the next step; None where the run had finished."""
    asked = time.perf_counter()
    terminal.press("q")
    terminal.drain(0.4)
    if (run / "summary.json").exists():
        return None, 0.0
    asked += 0.4
    terminal.press("1")
    terminal.ended()
    free = time.perf_counter() - asked
    since = time.perf_counter()
    while not _trains_on(run) and not (run / "summary.json").exists():
        time.sleep(0.05)
    return free, time.perf_counter() - since


def _trains_on(run: Path) -> bool:
    """Whether a step was done since the run was resumed."""
    kinds = [type(event) for event in read_events(run).events]
    return RunResumed in kinds and Step in kinds[kinds.index(RunResumed) :]


def preview(folder: Path) -> None:
    """Each preset's trigger, as the workspace asks for it."""
    os.environ["NADTUI_CACHE"] = str(folder / "cache")
    for preset in list_presets():
        attack, times = resolve(preset.name, dataset="signs").attack, []
        try:
            for _ in range(2):
                began = time.perf_counter()
                trigger_process.preview(attack, None)
                times.append(time.perf_counter() - began)
        except RequestError as error:
            say(f"{preset.name}: {error}")
        else:
            say(f"{preset.name}: first {times[0]:.2f} s, again {times[1]:.3f} s")


MEASUREMENTS: dict[str, Callable[[Path], None]] = {"typing": typing, "leaving": leaving, "preview": preview}


if __name__ == "__main__":
    main(sys.argv[1:], MEASUREMENTS)
