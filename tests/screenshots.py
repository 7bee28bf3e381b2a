"""The README's screenshots: the workbench on recorded runs, as SVG.

    python -m tests.screenshots [FOLDER]

The runs are drawn by formulas and the clock stands still, so that the same code gives the same files. A folder of
one's own is for looking at them; without one those of the README are written anew.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import re
import sys
import tempfile
from pathlib import Path

from engine.config.presets import resolve
from engine.events import RunStarted
from engine.sweeps.layout import RESULTS
from nadtui.workbench.app import Workbench
from tests import scripted_run, showcase
from tests.pilot import at_rest
from tests.sweep_folders import made_up, write_made_up

FOLDER = Path(__file__).parent / "pictures"
SIZE = (150, 44)
NOW = scripted_run.START + 3_600
RUNS = (("badnets", 0, 0.0), ("badnets", 1, 0.4), ("blend", 0, 0.1), ("sig", 0, 0.2))
"""Preset, seed, and how far its curves are set off."""
Steps = tuple[tuple[tuple[str, ...], str], ...]
"""Keys, and what is seen once they have had their effect."""
PICTURES: dict[str, tuple[bool, Steps]] = {
    "workspace": (False, (((), "sig-signs-s0 ──"),)),
    "run": (True, (((), "nad: done in"),)),
    "maps": (True, ((("2", "f"), "nad  epoch"),)),
    "compare": (False, ((("down", "space", "space", "space", "c"), "(+0.0)"), (("b",), "mean B C"))),
}
"""By file: whether the newest run is opened, and what is done then."""


def write_runs(root: Path) -> Path:
    """Recorded runs under `root`; returns the folder of the newest."""
    folder = root
    for number, (preset, seed, shift) in enumerate(RUNS):
        config = resolve(preset, dataset="signs", overrides=[{"seed": seed}])
        name = f"20231114-22{13 + number}20-{preset}-signs-s{seed}"
        events = [
            dataclasses.replace(event, run=name, config=config.to_dict()) if isinstance(event, RunStarted) else event
            for event in showcase.record(shift=shift)
        ]
        folder = showcase.write(
            root, scripted_run.timed(events, start=scripted_run.START + 60 * number, every=0.5), name
        )
        (folder / "config.yaml").write_text(config.to_yaml())
    return folder


async def take(
    root: Path, start: Path | None, steps: Steps, size: tuple[int, int] = SIZE, first: str | None = None
) -> str:
    """One picture: open the workbench, press the keys; returns the SVG, without the fonts of other sites."""
    settings = root.parent / f"{len(list(root.parent.iterdir()))}.json"
    app = Workbench(root, start=start, settings_file=settings, clock=lambda: NOW)
    async with app.run_test(size=size) as pilot:
        await at_rest(pilot, first or ("✓ finished" if start else "runs 4"))
        for keys, wanted in steps:
            await pilot.press(*keys)
            await at_rest(pilot, wanted)
        return re.sub(r"@font-face \{.*?\}\s*", "", app.export_screenshot(), flags=re.DOTALL)


def write_sweep(folder: Path) -> Path:
    """A sweep of made-up cells, not all of them done."""
    axes = {
        "preset": ["badnets", "blend", "sig", "trojan", "wanet", "dynamic"],
        "defense": ["fine-tuning", "nad-features", "nad"],
    }
    cells = write_made_up(folder, 324, **axes, seed=range(3), attack_seed=range(6))
    lines = [made_up(cell, number) for number, cell in enumerate(cells)]
    done = [line for number, line in enumerate(lines) if number < 200 or number % 3]
    for line in done:
        hard = {"badnets": 0.2, "sig": 1.5, "wanet": 1.0}.get(line["cell"].partition("-")[0], 0.5)
        line["asr"] *= hard
    (folder / RESULTS).write_text("".join(f"{json.dumps(line)}\n" for line in done))
    return folder


def main(target: Path) -> None:
    """Write all of them."""
    target.mkdir(parents=True, exist_ok=True)
    os.environ |= {"COLORTERM": "truecolor", "TERM": "xterm-256color", "TZ": "UTC"}
    os.environ.pop("NO_COLOR", None)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "runs"
        newest = write_runs(root)
        for name, (opened, steps) in PICTURES.items():
            svg = asyncio.run(take(root, newest if opened else None, steps))
            (target / f"{name}.svg").write_text(svg, encoding="utf-8")
        sweep = write_sweep(Path(folder) / "night")
        svg = asyncio.run(
            take(root, sweep, ((("down", "down", "right", "right"), "sig, nad ·"),), first="of 324 cells")
        )
        (target / "sweep.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
