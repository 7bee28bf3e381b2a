"""Kills runs at random moments with SIGKILL and resumes each: `python -m tests.kill_resume --kills 20`.

With `--leave` they are stopped with SIGTERM instead, as a workbench that is left stops its own: then no step may be
done twice either.

A measurement, not a test: prints one line a kill and the verdict. The default run is a small one; any option after
`--` is handed to `nadtui run`.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
import time
from pathlib import Path

from engine.events import Step
from engine.record.reading import read_events
from tests.tiny import SET, begin, outcome, resume


def main() -> None:
    """Measure and report; exit 1 if any resumed run differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--leave", action="store_true", help="SIGTERM instead of SIGKILL")
    parser.add_argument("options", nargs="*", help="for nadtui run; after --")
    given = parser.parse_args()
    options = given.options or ["--preset", "badnets", *SET]
    moments = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as scratch:
        process, folder = begin(Path(scratch) / "whole", *options)
        since = time.monotonic()
        process.wait()
        length, expected = time.monotonic() - since, outcome(folder)
        same = 0
        for number in range(given.kills):
            out = Path(scratch) / str(number)
            process, folder = begin(out, *options)
            moment = moments.uniform(0, length)
            time.sleep(moment)
            asked = time.monotonic()
            os.kill(process.pid, signal.SIGTERM if given.leave else signal.SIGKILL)
            process.wait()
            ended = time.monotonic() - asked
            done = (folder / "summary.json").exists()
            if not done:
                resume(folder)
            equal = (folder / "summary.json").exists() and outcome(folder) == expected
            if given.leave:
                equal = equal and not twice(folder)
            same += equal
            state = f"ended in {ended:.2f} s, " + ("had finished" if done else "resumed")
            print(f"{number + 1:2} after {moment:6.2f} s of {length:.2f}: {state}, equal: {equal}", flush=True)
    print(f"{same} of {given.kills} finish with the same final metrics and weights")
    raise SystemExit(same != given.kills)


def twice(folder: Path) -> bool:
    """Whether a step was told of again."""
    seen: dict[str, int] = {}
    for event in read_events(folder).events:
        if isinstance(event, Step):
            if event.step <= seen.get(event.stage, 0):
                return True
            seen[event.stage] = event.step
    return False


if __name__ == "__main__":
    main()
