"""What the workbench takes and how fast it answers, measured in a terminal of its own; prints, asserts nothing.

    python -m tests.measure_workbench [start] [list] [record] [keys] [load]

start: from the shell to the first paint. list: to 500 runs listed. record: to a run of 50,000 events shown.
keys: from a key press to its repaint while both cores train (95th percentile). load: what the open workbench takes
from a training, in images a second. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from engine.config.presets import resolve
from nadtui.runs import notes
from tests import scripted_run, showcase
from tests.terminal import PtyTerminal

PRESSES = 100
PAIRS = 3
TRAINING = ("--preset", "badnets", "--dataset", "signs", "--no-cache", "--epochs", "teacher=1", "--epochs", "nad=1")


def say(line: str) -> None:
    """A result."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def opened(folder: Path, *arguments: str, **more: str) -> PtyTerminal:
    """The command in a terminal, with folders of its own."""
    # Bytecode is kept, as where the package is installed: to compile all modules takes longer than to paint.
    environment = {
        "PYTHONDONTWRITEBYTECODE": "",
        "NADTUI_CACHE": str(folder / "cache"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        **more,
    }
    return PtyTerminal(*arguments, environment=environment)


def start(folder: Path) -> None:
    """From the shell to the first paint."""
    times = []
    for _ in range(5):
        terminal = opened(folder)
        terminal.until("presets")
        times.append(time.perf_counter() - terminal.began)
        terminal.close()
    say(f"first paint: {min(times):.2f} s at best, {statistics.median(times):.2f} s in the middle of {len(times)}")


def many_runs(folder: Path) -> None:
    """To a workspace of 500 runs, no two of one configuration, each with a note; then sorted, then grouped."""
    runs = folder / "many"
    events = showcase.record()
    config = resolve("badnets", dataset="signs").to_yaml()
    for number in range(500):
        made = showcase.write(runs, events, f"20231114-{number:06}-badnets-signs-s{number}")
        (made / "config.yaml").write_text(config.replace("\nseed: 0", f"\nseed: {number}"))
        notes.keep(made, notes.parsed(f"number {number} #{number % 7} -- one of many"))
    for which in ("first", "second"):
        terminal = opened(folder, NADTUI_RUNS=str(runs))
        terminal.until("runs 500")
        say(f"500 runs, {which} time: {time.perf_counter() - terminal.began:.2f} s from the shell")
        if which == "second":
            _arranged(terminal)
        terminal.close()


def _arranged(terminal: PtyTerminal) -> None:
    """The list in view sorted by its first column, then grouped by a field of the configuration."""
    terminal.press("2")
    terminal.drain(1)
    for what, keys, wanted in (("sorted", "s", "▾"), ("grouped", ("b", *"seed", "Enter"), "500 by seed")):
        began = time.perf_counter()
        terminal.press(*keys)
        terminal.until(wanted)
        say(f"500 runs, {what}: {time.perf_counter() - began:.2f} s from the key")


def long_record(folder: Path) -> None:
    """To a run of 50,000 events."""
    whole = showcase.record(epochs=(900, 450, 1600))
    events = whole[:50_000]
    made = showcase.write(folder / "long", scripted_run.timed(events))
    size = (made / "events.jsonl").stat().st_size / 2**20
    terminal = opened(folder, "watch", str(made))
    terminal.until("attack 900/900")
    say(f"{len(events):,} events ({size:.0f} MiB): {time.perf_counter() - terminal.began:.2f} s from the shell")
    terminal.close()


def keys(folder: Path) -> None:
    """From a key to its repaint while both cores train."""
    terminal = opened(folder, "run", *TRAINING, "--epochs", "attack=60", "--out", str(folder / "keys"))
    terminal.until("images/s", seconds=600)
    terminal.drain(5)
    times = []
    for number in range(PRESSES):
        key, wanted = (("3", "distillation begins"), ("1", "by epoch"))[number % 2]
        terminal.press(key)
        began = time.perf_counter()
        terminal.until(wanted)
        times.append(1000 * (time.perf_counter() - began))
        terminal.drain(0.15)
    terminal.close()
    ordered = sorted(times)
    say(
        f"key to repaint while training: median {statistics.median(times):.0f} ms, "
        f"95th percentile {ordered[int(0.95 * len(ordered))]:.0f} ms, worst {ordered[-1]:.0f} ms"
    )


def load(folder: Path) -> None:
    """Images a second with and without the workbench, in turn; and what of a processor the interface's thread takes.

    The second figure tells more where the first scatters from run to run.
    """
    rates: dict[str, list[float]] = {"headless": [], "workbench": []}
    shares = []
    for pair in range(PAIRS):
        for which in ("headless", "workbench"):
            out = folder / f"load-{which}-{pair}"
            arguments = ["run", *TRAINING, "--epochs", "attack=4", "--out", str(out)]
            if which == "headless":
                command = [sys.executable, "-m", "nadtui", *arguments, "--headless"]
                subprocess.run(command, check=True, capture_output=True)
            else:
                terminal = opened(folder, *arguments)
                terminal.until("images/s", seconds=600)
                before, began = terminal.interface_seconds(), time.perf_counter()
                terminal.until("finished", seconds=1_800)
                shares.append((terminal.interface_seconds() - before) / (time.perf_counter() - began))
                terminal.close()
            (summary,) = out.glob("*/summary.json")
            rates[which].append(json.loads(summary.read_text())["stages"][0]["images_per_second"])
    means = {which: statistics.mean(found) for which, found in rates.items()}
    say(f"images/s headless {rates['headless']}, workbench {rates['workbench']}")
    say(f"the interface's thread takes {100 * statistics.mean(shares):.1f} % of a processor")
    say(f"the workbench takes {100 * (1 - means['workbench'] / means['headless']):.1f} %")


MEASUREMENTS: dict[str, Callable[[Path], None]] = {
    "start": start,
    "list": many_runs,
    "record": long_record,
    "keys": keys,
    "load": load,
}


def main(names: Sequence[str], measurements: Mapping[str, Callable[[Path], None]]) -> None:
    """Measure what is named, or everything."""
    folder = Path(tempfile.mkdtemp(prefix="nadtui-measure-"))
    try:
        for name in names or measurements:
            measurements[name](folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:], MEASUREMENTS)
