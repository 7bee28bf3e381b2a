"""What sweeps cost, and whether they come through what may happen to them; prints, asserts nothing.

    python -m tests.measure_sweeps [speed] [many] [dask] [kills] [--tiny]

speed: 24 cells of defenses on zoo suspects of signs, by 2 workers of one thread, one after the other with all cores,
and one after the other with one thread; with it the overhead of live workers: twice the wall clock against the sum of
the cells' own seconds. many: 5,000 made-up cells planned, resumed, shown, opened in the workbench, and what memory
that takes. dask: scheduler and 3 workers of one thread on loopback, one killed in mid-cell, then the scheduler's
connection cut and back, against one process. kills: SIGKILL of a sweep at 10 random moments, each followed by
--resume. `--tiny` has the trainings be as small as in tests: the figures of speed then mean nothing. Nothing else
should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from engine.sweeps.rows import rows
from nadtui.export.sweeps.formats import of_sweep
from nadtui.runs.sweep_report import report
from nadtui.workbench.app import Workbench
from tests.loopback import Wire, dask
from tests.pilot import screen_text
from tests.sweep_folders import write_made_up
from tests.tiny_sweep import BASE, kill_writer, options, saved, table, trained_twice, until

CELLS = ["--preset", "badnets,sig,wanet,trojan", "--suspect", "zoo", "--defense", "nad,fine-tuning", "--seeds", "0-2"]
TINY = ["--preset", "badnets,sig", "--defense", "fine-tuning", "--seeds", "0-2", *options(BASE)]
WARM = ["--preset", "badnets", "--suspect", "zoo", "--defense", "fine-tuning"]
KILLS = 10


def say(line: str) -> None:
    """A result."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def begun(folder: Path, *given: str) -> subprocess.Popen[bytes]:
    """A sweep in a process of its own, with folders of its own."""
    command = [sys.executable, "-m", "nadtui", "sweep", *given]
    scratch = folder.parent
    environment = {**os.environ, "NADTUI_MACHINE": str(scratch / "machine"), "NADTUI_CACHE": str(scratch / "cache")}
    environment.pop("OMP_NUM_THREADS", None)
    with (scratch / "sweep.log").open("ab") as log:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, env=environment)


def seconds(folder: Path, *given: str) -> float:
    """How long a sweep takes, from the shell."""
    since = time.perf_counter()
    process = begun(folder, *given, "--out", str(folder))
    if process.wait():
        say(f"{folder.name}: exit {process.returncode}, see {folder.parent / 'sweep.log'}")
    return time.perf_counter() - since


def speed(scratch: Path, cells: Sequence[str]) -> None:
    """By workers, against one after the other."""
    seconds(scratch / "warm", *WARM)  # the images are drawn once
    ways = {"2 workers of one thread": ["--workers", "2"], "all cores": [], "one thread": ["--threads", "1"]}
    taken = {}
    for place, (name, way) in enumerate(ways.items()):
        folder = scratch / f"speed{place}"
        taken[name] = seconds(folder, *cells, *way)
        own = sum(row.seconds or 0.0 for row in rows(folder))
        say(f"{name}: {len(rows(folder))} cells in {taken[name]:.1f} s; the cells' own seconds {own:.1f}")
        if way[:1] == ["--workers"]:
            say(f"overhead: 2 x {taken[name]:.1f} s against {own:.1f} s: {100 * (2 * taken[name] / own - 1):.1f} %")
    for name in ("all cores", "one thread"):
        say(f"2 workers are {taken[name] / taken['2 workers of one thread']:.2f} times as fast as {name}")


def many(scratch: Path, count: int = 5_000) -> None:
    """Thousands of cells that nobody trained."""
    folder = scratch / "many"
    asked = ["--preset", "badnets,sig,wanet,blend", "--defense", "nad,fine-tuning", "--seeds", "0-24"]
    asked += ["--attack-seeds", "0-24", "--out", str(folder)]
    for name, given in (
        ("plan (--dry-run) of a new sweep", [*asked, "--dry-run"]),
        ("made up", []),
        ("plan (--dry-run) of one that is done", [*asked, "--dry-run"]),
        ("resume, nothing left", ["--resume", str(folder)]),
        ("show", ["show", str(folder)]),
    ):
        if not given:
            write_made_up(folder, count, seed=range(25), attack_seed=range(25))
            continue
        times = []
        for _ in range(3):
            since = time.perf_counter()
            process = begun(folder, *given)
            _, _, used = os.wait4(process.pid, 0)
            times.append(time.perf_counter() - since)
        say(
            f"{count:,} cells, {name}: {statistics.median(times):.2f} s from the shell, {used.ru_maxrss / 1024:.0f} MiB"
        )
    since, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(20):
        rows(folder)
    taken = (time.perf_counter() - since) / 20
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    say(f"{count:,} rows read: {taken:.2f} s, {grown:.0f} MiB more after 20 times")
    opened = [asyncio.run(grid_opened(folder)) for _ in range(3)]
    say(f"{count:,} cells, the workbench's grid: {statistics.median(opened):.2f} s from opening to its figures")
    since = time.perf_counter()
    of_sweep(report(folder), "html")
    say(f"{count:,} cells as html, intervals and all: {time.perf_counter() - since:.2f} s")


async def grid_opened(folder: Path) -> float:
    """Seconds from opening a sweep until its figures stand on the screen."""
    app = Workbench(folder.parent, settings_file=folder.parent / "settings.json")
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        since = time.perf_counter()
        app.open_sweep(folder)
        while "suspects × subsets" not in screen_text(app):
            await pilot.pause(0.01)
        return time.perf_counter() - since


def over_dask(scratch: Path, cells: Sequence[str]) -> None:
    """A worker killed in mid-cell, then the connection to the scheduler cut and back."""
    alone, shared = scratch / "alone", scratch / "shared"
    seconds(alone, *cells, "--threads", "1")
    with dask(scratch, 3) as (port, workers):
        wire = Wire(port)
        process = begun(shared, *cells, "--scheduler", f"tcp://127.0.0.1:{wire.port}", "--out", str(shared))
        run = until(lambda: saved(shared), 600)
        killed = kill_writer(run)
        say(f"worker {killed} killed in {run.name}: {killed in [worker.pid for worker in workers]}")
        done = sum(row.finished for row in rows(shared))
        until(lambda: sum(row.finished for row in rows(shared)) > done, 600)
        wire.cut()
        time.sleep(3)
        wire.mend()
        say(f"connection cut for 3 s with {sum(row.finished for row in rows(shared))} cells done")
        say(f"the sweep ends with {process.wait()}, {sum(worker.poll() is None for worker in workers)} workers live")
    say(f"same table as one process, cell for cell: {table(shared) == table(alone)}")
    say(f"finished epochs trained twice: {len(trained_twice(shared))}")


def kills(scratch: Path, cells: Sequence[str], seed: int = 0) -> None:
    """SIGKILL of the whole sweep at random moments, then --resume."""
    whole = scratch / "whole"
    length, moments, good = seconds(whole, *cells, "--workers", "2"), random.Random(seed), 0
    for number in range(KILLS):
        folder, moment = scratch / f"killed{number}", moments.uniform(0, length)
        process = begun(folder, *cells, "--workers", "2", "--out", str(folder))
        time.sleep(moment)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        there = (folder / "sweep.yaml").is_file()
        again = ["--resume", str(folder)] if there else [*cells, "--out", str(folder)]
        code = begun(folder, *again, "--workers", "2").wait()
        lines = [json.loads(line)["cell"] for line in (folder / "results.jsonl").read_text().splitlines()]
        fine = not code and table(folder) == table(whole) and len(lines) == len(set(lines)) == len(rows(folder))
        good += fine
        say(f"killed after {moment:.1f} s of {length:.1f}: exit {code}, complete and the same: {fine}")
    say(f"{good} of {KILLS} complete, no cell lost or doubled")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["speed", "many", "dask", "kills"])
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    measures = {
        "speed": lambda at: speed(at, TINY if given.tiny else CELLS),
        "many": many,
        "dask": lambda at: over_dask(at, TINY),
        "kills": lambda at: kills(at, TINY),
    }
    for name in given.what:
        with tempfile.TemporaryDirectory() as scratch:
            say(f"-- {name}")
            measures[name](Path(scratch))


if __name__ == "__main__":
    main()
