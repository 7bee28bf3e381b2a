"""The README's screenshots: the workbench on recorded runs, as SVG.

    python -m tests.screenshots FOLDER

The runs are drawn by formulas and the clock stands still, so that the same code gives the same files.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from engine.events import RunStarted
from engine.presets import resolve
from nadtui.app import Workbench
from nadtui.widgets.run_table import RunTable
from tests import scripted_run, showcase

SIZE = (150, 44)
NOW = scripted_run.START + 3_600
RUNS = (("badnets", 0), ("badnets", 1), ("blend", 0), ("sig", 0))


def write_runs(root: Path) -> Path:
    """Recorded runs under `root`; returns the folder of the newest."""
    folder = root
    for number, (preset, seed) in enumerate(RUNS):
        config = resolve(preset, dataset="signs", overrides=[{"seed": seed}])
        name = f"20231114-22{13 + number}20-{preset}-signs-s{seed}"
        events = [
            dataclasses.replace(event, run=name, config=config.to_dict()) if isinstance(event, RunStarted) else event
            for event in showcase.record(epochs=(8, 6, 10 + 2 * number))
        ]
        folder = showcase.write(
            root, scripted_run.timed(events, start=scripted_run.START + 60 * number, every=0.5), name
        )
        (folder / "config.yaml").write_text(config.to_yaml())
    return folder


async def take(target: Path, root: Path, name: str, start: Path | None, keys: Sequence[str]) -> None:
    """One picture: open the workbench, press the keys, save."""
    app = Workbench(root, start=start, settings_file=root.parent / f"{name}.json", clock=lambda: NOW)
    async with app.run_test(size=SIZE) as pilot:
        for _ in range(300):  # what threads read comes when it comes
            await pilot.pause(0.05)
            ready = app.screen.query(RunTable) if start is None else [app.screen.host.view.finished]
            if ready and (start is not None or ready.first().row is not None):
                break
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.2)
        await pilot.pause(2.0)
        app.save_screenshot(f"{name}.svg", path=str(target))


def main(target: Path) -> None:
    """Write all of them."""
    target.mkdir(parents=True, exist_ok=True)
    os.environ |= {"COLORTERM": "truecolor", "TERM": "xterm-256color", "TZ": "UTC"}
    os.environ.pop("NO_COLOR", None)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "runs"
        newest = write_runs(root)
        asyncio.run(take(target, root, "workspace", None, ()))
        asyncio.run(take(target, root, "run", newest, ()))
        asyncio.run(take(target, root, "maps", newest, ("2", "f")))
        asyncio.run(take(target, root, "compare", None, ("space", "down", "space", "down", "space", "c")))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
