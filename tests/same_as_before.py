"""Runs the same cases by two versions of this program and compares, bit by bit, all that they computed.

    python -m tests.same_as_before                     the code here against commit 9654f60
    python -m tests.same_as_before --only wanet cached
    python -m tests.same_as_before --after 9654f60 --after-speaks old                     proves that it can agree,
    python -m tests.same_as_before --after 9654f60 --after-speaks old --after-set seed=1  and that it can disagree

A measurement, not a test: one line a case, exit code 1 if any differs. Compared are every stage's weights, the attack's
tensors, and of each epoch that was measured all metrics, attention maps and the taps' part in the loss; what depends on
the clock is not. Each side runs in processes, folders and a cache of its own, with one thread, two cases at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from safetensors.numpy import load_file

REPOSITORY = Path(__file__).parents[1]
BEFORE = "9654f60"
WORKERS = 2

COMMON = {
    "threads": 1,
    "data.train_images": 1000,
    "data.test_images": 400,
    "data.clean_fraction": 0.1,
    "evaluation.images": 200,
}
METRICS = ("images", "eligible", "acc", "asr", "ra", "base", "acc_ci", "asr_ci", "ra_ci", "base_ci", "class_acc")
MAP = ("height", "width", "peak", "clean", "triggered")
SAMPLE = ("index", "label", "height", "width", "clean", "triggered")
HEALTH = ("height", "width", "beta", "loss", "share", "gradient")

Speaks = Literal["old", "new"]
NEW_NAMES = {"distill.": "defenses.nad.distill.", "teacher.": "defenses.nad.teacher."}
INTERRUPTED = 130

Facts = dict[str, Any]


class SideError(Exception):
    """A side did not do what its case is about."""


@dataclass(frozen=True)
class Case:
    """One run, in words that either side can be told in its own."""

    name: str
    preset: str = "badnets"
    recipe: str = "default"
    epochs: dict[str, int] = field(default_factory=lambda: {"attack": 2, "teacher": 2, "nad": 2})
    settings: dict[str, object] = field(default_factory=dict)
    """Fields in their old names."""
    defenses: tuple[str, ...] = ("nad",)
    files: bool = False
    """Suspect and teacher come from files, which the old side makes."""
    cached: bool = False
    """The second of two runs is compared, which has its suspect from the cache."""
    stopped: str = ""
    """The stage in which the side after is stopped, to be resumed."""

    def options(self, speaks: Speaks, files: Sequence[Path]) -> list[str]:
        """What `nadtui run` is to be told; `files` are the suspect's and the teacher's."""
        new = speaks == "new"
        epochs = dict(self.epochs)
        further = [name for name in self.defenses if name != "nad"]
        options = ["--preset", self.preset, "--recipe", self.recipe]
        if further and new:
            options += ["--defense", ",".join(self.defenses)]
            epochs |= dict.fromkeys(further, epochs["nad"])  # there of themselves in the old code
        else:
            options += [f"--defense={name}" for name in further]
        for option, file in zip(("--suspect" if new else "--student", "--teacher"), files, strict=False):
            options += [option, str(file)]
        options += [f"--epochs={stage}={count}" for stage, count in epochs.items()]
        settings = {(_new_name(name) if new else name): value for name, value in {**COMMON, **self.settings}.items()}
        return [*options, *(f"--set={name}={value}" for name, value in settings.items())]


def _new_name(name: str) -> str:
    return next((new + name.removeprefix(old) for old, new in NEW_NAMES.items() if name.startswith(old)), name)


OWN_EPOCHS = {"attack": 2}
PRESETS = (
    *("adaptive", "badnets", "badnets-all2all", "blend", "cl", "clean"),
    *("dynamic", "pixel", "refool", "sig", "trojan", "wanet"),
)
OTHERWISE = {
    "distill.operator": "max_p",
    "distill.p": 1.5,
    "distill.normalize": False,
    "distill.reduction": "sum",
    "distill.beta": [0, 0.0001, 0.0002],
    "distill.objective.mixup": 0,
    "teacher.objective.anchor.weight": 0.2,
    "teacher.training.batch_size": 16,
}
DYNAMIC = {"attack.mask_steps": 60}
BRIEF = {
    "dynamic": DYNAMIC,
    "refool": {"attack.selection.candidates": 6, "attack.selection.tried": 4},
    "trojan": {"attack.steps": 30},
}
"""What would take most of the time and compute the same thing again and again."""
RECIPES = ("default", "paper", "thorough")
CASES = (
    *(Case(preset, preset, settings=BRIEF.get(preset, {})) for preset in PRESETS),
    *(Case(f"recipe-{name}", recipe=name, epochs=OWN_EPOCHS, settings={"evaluation.every": 4}) for name in RECIPES),
    Case("nad-otherwise", settings=OTHERWISE),
    Case("fine-tuning", defenses=("nad", "fine-tuning")),
    Case("files", files=True),
    Case("cached", "dynamic", settings=DYNAMIC, cached=True),
    Case("resumed-attack", "dynamic", settings=DYNAMIC, epochs={"attack": 4, "teacher": 2, "nad": 2}, stopped="attack"),
    Case("resumed-nad", epochs={"attack": 2, "teacher": 2, "nad": 8}, stopped="nad"),
)


@dataclass(frozen=True)
class Side:
    """One version of the program, and a folder for what it writes."""

    root: Path
    speaks: Speaks
    scratch: Path
    added: tuple[str, ...] = ()
    """Options that no case has."""
    started: list[subprocess.Popen] = field(default_factory=list)

    def run(self, out: str, options: Sequence[str], *, stop: str = "") -> Path:
        """Run in `out`; the folder of the run. `stop`: to be interrupted once that stage has had an epoch measured."""
        place = self.scratch / out
        place.mkdir(parents=True, exist_ok=True)
        process = self._started(place, ["--out", str(place), *options, *self.added])
        while stop and process.poll() is None:
            time.sleep(0.02)
            if any(_measured(folder, stop) for folder in _runs(place)):
                process.send_signal(signal.SIGINT)
                break
        self._ended(process, place, INTERRUPTED if stop else 0)
        return _runs(place)[-1]

    def resume(self, folder: Path) -> None:
        """Go on with a run that was interrupted."""
        self._ended(self._started(folder.parent, ["--no-cache", "--resume", str(folder)]), folder.parent, 0)

    def check(self) -> None:
        """Be sure that it is this version's modules that run."""
        found = subprocess.run(
            [sys.executable, "-c", "import engine, nadtui; print(engine.__file__, nadtui.__file__)"],
            cwd=self.scratch,
            env=self._environment(self.scratch),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        if not all(Path(file).is_relative_to(self.root) for file in found):
            raise SystemExit(f"{' and '.join(found)} would run instead of what is in {self.root}")

    def _started(self, place: Path, options: Sequence[str]) -> subprocess.Popen:
        # Not in a checkout's folder, whose modules would come before those of PYTHONPATH.
        with (place / ".stderr").open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "nadtui", "run", "--headless", *options],
                cwd=place,
                env=self._environment(place.parent),
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
        self.started.append(process)
        return process

    def _ended(self, process: subprocess.Popen, place: Path, expected: int) -> None:
        code = process.wait()
        if code != expected:
            said = ["", *(place / ".stderr").read_text(errors="replace").strip().splitlines()]
            why = next((line for line in reversed(said) if line.startswith("error:")), said[-1])
            raise SideError(f"the run in {self.root} ended with {code}, not {expected}: {why}")

    def _environment(self, home: Path) -> dict[str, str]:
        own = {f"NADTUI_{name}": str(home / f".{name.lower()}") for name in ("CACHE", "RUNS", "MACHINE", "PRESETS")}
        return {**os.environ, **own, "PYTHONPATH": str(self.root), "OMP_NUM_THREADS": "1"}


def _runs(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))


def _events(folder: Path) -> Iterator[dict[str, Any]]:
    record = folder / "events.jsonl"
    lines = record.read_bytes().split(b"\n")[:-1] if record.exists() else []
    return map(json.loads, lines)


def _measured(folder: Path, stage: str) -> bool:
    return any(event["kind"] == "evaluation" and event["stage"] == stage for event in _events(folder))


def facts(folder: Path) -> Facts:
    """All that a run computed, by what it is; of what came again after a resume the later.

    Taps go by their order, not by their names.
    """
    found: Facts = {}
    taps: dict[str, int] = {}
    for event in _events(folder):
        place = f"{event.get('stage')}, epoch {event.get('epoch')}"
        match event["kind"]:
            case "sample":
                found |= _each(f"sample {event['sample']}", event, SAMPLE)
            case "evaluation":
                found |= _each(place, event, ("final",)) | _each(place, event["metrics"], METRICS)
            case "attention":
                tap = taps.setdefault(event["tap"], len(taps))
                found |= _each(f"{place}, sample {event['sample']}, tap {tap}", event, MAP)
            case "attention-health":
                for tap, health in enumerate(event["taps"]):
                    found |= _each(f"{place}, tap {tap}", health, HEALTH)
            case "stage-finished":
                found |= _each(event["stage"], event["metrics"], METRICS)
                found |= _each(event["stage"], event, ("epochs", "cached", "sha256"))
    for file in (folder / "trigger.safetensors", *sorted((folder / "attack").glob("*.safetensors"))):
        for name, tensor in load_file(file).items():
            found[f"{file.relative_to(folder)}: {name}"] = (str(tensor.dtype), tensor.shape, tensor.tobytes())
    return found


def _each(place: str, values: dict[str, Any], names: Sequence[str]) -> Facts:
    return {f"{place}: {name}": values.get(name, "absent") for name in names}


def differences(before: Facts, after: Facts) -> list[str]:
    """What is not the same, in the order in which it came to be."""
    return [
        f"{name}: {_short(before.get(name, 'absent'))} before, {_short(after.get(name, 'absent'))} after"
        for name in {**before, **after}
        if name not in before or name not in after or before[name] != after[name]
    ]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def compared(case: Case, before: Side, after: Side) -> tuple[Facts, Facts]:
    """What either side computes."""
    files: list[Path] = []
    if case.files:
        options = [*case.options(before.speaks, ()), "--seed=1"]
        made = before.run(f"{case.name}/made", ["--no-cache", *options]) / "checkpoints"
        files = [made / "attack.safetensors", made / "teacher.safetensors"]

    def run(side: Side, out: str, *, cache: bool = False, stop: str = "") -> Path:
        options = [*([] if cache else ["--no-cache"]), *case.options(side.speaks, files)]
        return side.run(f"{case.name}/{out}", options, stop=stop)

    if case.cached:
        for side in (before, after):
            run(side, "first", cache=True)
    first = facts(run(before, "run", cache=case.cached))
    folder = run(after, "run", cache=case.cached, stop=case.stopped)
    if case.stopped:
        _check_stopped(folder, case)
        after.resume(folder)
    second = facts(folder)
    _check_compared(case, first)
    return first, second


def _check_stopped(folder: Path, case: Case) -> None:
    last = list(_events(folder))[-1]
    where = last.get("stage"), last.get("epoch")
    if last["kind"] != "run-stopped" or where[0] != case.stopped or not 0 < where[1] < case.epochs[case.stopped]:
        raise SideError(f"the run was to be stopped in the middle of {case.stopped}, not at {last['kind']} {where}")


def _check_compared(case: Case, found: Facts) -> None:
    """That the side before did what the case is about: two that both did nothing would be equal."""
    for stage in ("attack", "teacher", *case.defenses):
        if f"{stage}: sha256" not in found:
            raise SideError(f"the side before has no stage {stage}")
    taken = case.cached or case.files
    if found["attack: cached"] is not taken:
        raise SideError(f"on the side before the attack's model is {'trained' if taken else 'not trained'}")


def verdict(case: Case, before: Side, after: Side) -> tuple[bool, str]:
    """Whether the case is equal, and the line that says so."""
    since = time.monotonic()
    try:
        first, second = compared(case, before, after)
    except SideError as error:
        return False, f"{case.name:16} fails: {error}"
    found = differences(first, second)
    took = f"{time.monotonic() - since:4.0f} s"
    if found:
        return False, f"{case.name:16} {took}  differs in {len(found)} of {len(first)} things, first {found[0]}"
    return True, f"{case.name:16} {took}  equal in {len(first)} things"


@contextmanager
def checkout(version: str, place: Path) -> Iterator[Path]:
    """The folder of a version: the one given, or a temporary git worktree of the commit."""
    if Path(version).is_dir():
        yield Path(version).absolute()
        return
    git = ["git", "-C", str(REPOSITORY), "worktree"]
    if subprocess.run([*git, "add", "--quiet", "--detach", str(place), version], check=False).returncode:
        raise SystemExit(f"{version}: neither a folder nor a commit")
    try:
        yield place
    finally:
        subprocess.run([*git, "remove", "--force", str(place)], check=False)


def main() -> None:
    """Compare and report; exit 1 if anything differs."""
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", default=BEFORE, metavar="PATH-OR-COMMIT", help="speaks the old option names")
    parser.add_argument("--after", default=str(REPOSITORY), metavar="PATH-OR-COMMIT", help="default: the code here")
    parser.add_argument("--after-speaks", choices=("old", "new"), default="new", help="its option names")
    parser.add_argument("--after-set", action="append", default=[], metavar="FIELD=VALUE", help="of that side alone")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="CASE", help=", ".join(names))
    given = parser.parse_args()
    since = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the worktrees are to be removed
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nadtui-same-")))
        sides = []
        for name, version, speaks, added in (
            ("before", given.before, "old", ()),
            ("after", given.after, given.after_speaks, [f"--set={text}" for text in given.after_set]),
        ):
            root = stack.enter_context(checkout(version, scratch / f"code-{name}"))
            sides.append(Side(root, speaks, scratch / name, tuple(added)))
            sides[-1].scratch.mkdir()
            sides[-1].check()
        pool = stack.enter_context(ThreadPoolExecutor(WORKERS))
        stack.callback(_end, pool, sides)
        equal = 0
        for same, line in pool.map(partial(_both, sides), [case for case in CASES if case.name in given.only]):
            equal += same
            print(line, flush=True)
    count = len(given.only)
    took, worked = time.monotonic() - since, sum(os.times()[2:4])  # a busy machine stretches the first alone
    print(f"{equal} of {count} cases are equal, after {took:.0f} s, in {worked:.0f} s of processor time")
    raise SystemExit(equal != count)


def _end(pool: ThreadPoolExecutor, sides: Sequence[Side]) -> None:
    """Of a comparison that is interrupted, leave no run behind."""
    pool.shutdown(wait=False, cancel_futures=True)
    for process in [process for side in sides for process in side.started]:
        process.kill()  # does nothing to one that has ended


def _both(sides: Sequence[Side], case: Case) -> tuple[bool, str]:
    return verdict(case, *sides)


if __name__ == "__main__":
    main()
