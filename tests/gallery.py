"""Pictures of every screen at every size, dark, light, without colors and with sixteen: made to be looked at.

    python -m tests.gallery FOLDER [SCREEN ...]

Writes FOLDER/SCREEN-MODE-80x24.svg and so on, and a PNG beside each where `rsvg-convert` is installed.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from nadtui.workbench.app import Workbench
from tests import run_folders, screenshots
from tests.nadtui.workbench.screens.test_defenses import record

SIZES = ((80, 24), (100, 30), (120, 36), (200, 60))
MODES = {
    "dark": {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
    "light": {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
    "colorless": {"TERM": "xterm-256color", "COLORTERM": "truecolor", "NO_COLOR": "1"},
    "sixteen": {"TERM": "xterm"},
}
SETTLE_S = 0.8
"""Seconds that threads have for what they read, before and after the keys."""
Keys = tuple[str, ...]
SCREENS: dict[str, tuple[str, Keys]] = {
    "workspace": ("", ()),
    "preset": ("", ("1", "down")),
    "grouped": ("", ("b", *"preset", "enter")),
    "columns": ("", ("C",)),
    "note": ("", ("N",)),
    "delete": ("", ("space", "down", "space", "d")),
    "filter": ("", ("slash", *"sig asr<5")),
    "palette": ("", ("ctrl+p", *"sig")),
    "empty": ("nothing", ()),
    "form": ("", ("n",)),
    "form-find": ("", ("n", "ctrl+f", *"lr")),
    "form-wrong": ("", ("n", "ctrl+f", *"attack.target", "enter", "enter", *"12")),
    "run": ("run", ()),
    "curves": ("run", ("1", "z", "left", "left")),
    "maps": ("run", ("2", "down", "right")),
    "map": ("run", ("2", "down", "right", "enter")),
    "maps-full": ("run", ("2", "f")),
    "log": ("run", ("4",)),
    "confusion": ("run", ("c",)),
    "help": ("run", ("question_mark",)),
    "export": ("run", ("e",)),
    "compare": ("", ("space", "space", "c")),
    "compare-maps": ("", ("space", "down", "space", "c", "m")),
    "defenses": ("defenses", ("D",)),
    "defenses-maps": ("defenses", ("D", "down", "m")),
    "model": ("defenses", ("D", "down", "enter")),
    "sweep": ("sweep", ("down", "right")),
}


def _written(folder: Path) -> dict[str, tuple[Path, Path | None]]:
    """What there is to see: the runs and what is opened, by the names in `SCREENS`."""
    runs = folder / "runs"
    newest = screenshots.write_runs(runs)
    events = record()
    defended = run_folders.write_events(folder / "defended", events[0].run, events[0].config, events)
    for stage in ("attack", "nad"):
        run_folders.keep_answers(newest, stage, 10)
    sweep = screenshots.write_sweep(folder / "night")
    return {
        "": (runs, None),
        "nothing": (folder / "empty", None),
        "run": (runs, newest),
        "defenses": (defended.parent, defended),
        "sweep": (runs, sweep),
    }


async def _shot(runs: Path, start: Path | None, keys: Keys, size: tuple[int, int], settings: Path) -> str:
    app = Workbench(runs, start=start, settings_file=settings, clock=lambda: screenshots.NOW)
    async with app.run_test(size=size, notifications=True) as pilot:
        await asyncio.sleep(SETTLE_S)
        await pilot.pause()
        for key in keys:
            await pilot.press(key)
        await asyncio.sleep(SETTLE_S)
        await pilot.pause()
        return re.sub(r"@font-face \{.*?\}\s*", "", app.export_screenshot(), flags=re.DOTALL)


def _mode(target: Path, mode: str, chosen: list[str]) -> None:
    """All pictures of one mode: in a process of its own, for a mode is read once."""
    theme = "nadtui-light" if mode == "light" else "nadtui-dark"
    with tempfile.TemporaryDirectory() as folder:
        shown = _written(Path(folder))
        for name in chosen or SCREENS:
            what, keys = SCREENS[name]
            for size in SIZES:
                settings = Path(folder) / f"{name}-{size[0]}.json"
                settings.write_text(json.dumps({"theme": theme}))
                svg = asyncio.run(_shot(*shown[what], keys, size, settings))
                file = target / f"{name}-{mode}-{size[0]}x{size[1]}.svg"
                file.write_text(svg, encoding="utf-8")
                if shutil.which("rsvg-convert"):
                    subprocess.run(["rsvg-convert", "-o", file.with_suffix(".png"), file], check=True)


def main(target: Path, chosen: list[str]) -> None:
    """Write the pictures of all modes."""
    target.mkdir(parents=True, exist_ok=True)
    bare = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLORTERM", "TERM")}
    for mode, settings in MODES.items():
        command = [sys.executable, "-m", "tests.gallery", str(target), *chosen]
        subprocess.run(command, check=True, env={**bare, **settings, "TZ": "UTC", "GALLERY_MODE": mode})


if __name__ == "__main__":
    if "GALLERY_MODE" in os.environ:
        _mode(Path(sys.argv[1]), os.environ["GALLERY_MODE"], sys.argv[2:])
    else:
        main(Path(sys.argv[1]), sys.argv[2:])
