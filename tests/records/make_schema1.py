"""Made the run folders in `schema1`, once, by the code of commit 9654f60; kept to say how, as today's code cannot.

    git worktree add OLD 9654f60 && python tests/records/make_schema1.py OLD

Checkpoints, locks and heartbeats are left out; nothing else is stripped, no file was edited. `shown` holds what that
code wrote of each run to standard output, in a pipe.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCHEMA1 = Path(__file__).parent / "schema1"
RECORD = ("config.yaml", "events.jsonl", "summary.json")

COMMON = {
    "precision": "fp32",
    "threads": 1,
    "data.train_images": 200,
    "data.test_images": 60,
    "data.clean_fraction": 0.2,
    "model.name": "wrn-10-1",
    "training.epochs": 1,
    "training.batch_size": 8,
    "teacher.training.epochs": 1,
    "teacher.training.batch_size": 8,
    "distill.training.epochs": 1,
    "distill.training.batch_size": 8,
    "evaluation.images": 30,
    "evaluation.samples": 1,
}
CURVES = {"training.epochs": 2, "distill.training.epochs": 2}
"""A point before the last one in the curves of the attack and of NAD."""
PRESETS = {
    "adaptive": {},
    "badnets": CURVES,
    "badnets-all2all": {},
    "blend": {},
    "cl": {"attack.surrogate_epochs": 1, "attack.steps": 2},
    "clean": {},
    "dynamic": {"training.epochs": 2, "attack.mask_steps": 5},
    "pixel": {},
    "refool": {"attack.selection.candidates": 3, "attack.selection.tried": 3, "attack.selection.epochs": 1},
    "sig": {},
    "trojan": {"attack.surrogate_epochs": 1, "attack.steps": 5},
    "wanet": {},
}
DIVERGING = {"distill.training.lr": 100, "distill.training.weight_decay": 1, "distill.training.epochs": 20}
FILES = {"student": "attack.safetensors", "teacher.file": "teacher.safetensors"}  # --student would make it absolute
EXPORTED = ("badnets-fine-tuning", "stopped", "failed")
"""The others' exports to Markdown and JSON would say the same again, and are most of the bytes."""


class Maker:
    """Runs the old code in a scratch folder."""

    def __init__(self, old: Path, scratch: Path) -> None:
        folders = {f"NADTUI_{name}": str(scratch / name.lower()) for name in ("CACHE", "MACHINE", "PRESETS")}
        self.environment = {**os.environ, **folders, "PYTHONPATH": str(old.absolute()), "OMP_NUM_THREADS": "1"}
        self.scratch = scratch

    def make(self, case: str, preset: str, settings: dict[str, object], *options: str, stop: str = "") -> Path:
        """One run, stopped at the first figures of the stage `stop`; its folder in the scratch folder."""
        sets = [f"--set={name}={value}" for name, value in {**COMMON, **settings}.items()]
        command = ["run", "--headless", "--no-cache", "--out", case, "--preset", preset, *sets, *options]
        run = subprocess.Popen([sys.executable, "-m", "nadtui", *command], cwd=self.scratch, env=self.environment)
        while stop and run.poll() is None and not self._reached(case, stop):
            time.sleep(0.005)
        if stop:
            run.send_signal(signal.SIGINT)
        run.wait()
        (folder,) = (each for each in (self.scratch / case).iterdir() if not each.name.startswith("."))
        self._keep(case, folder)
        return folder

    def _reached(self, case: str, stage: str) -> bool:
        mark = f'"stage":"{stage}","epoch":1,'
        return any(mark in file.read_text() for file in (self.scratch / case).glob("2*/events.jsonl"))

    def _keep(self, case: str, folder: Path) -> None:
        kept = SCHEMA1 / case
        (kept / "shown").mkdir(parents=True)
        for name in RECORD:
            if (folder / name).exists():
                shutil.copyfile(folder / name, kept / name)
        shown = {"show": ["show"], "csv": ["export", "--format", "csv"]}
        if case in EXPORTED:
            shown |= {form: ["export", "--format", form] for form in ("md", "json")}
        for name, command in shown.items():
            run = [sys.executable, "-m", "nadtui", *command, str(kept)]
            said = subprocess.run(run, cwd=self.scratch, env=self.environment, capture_output=True, check=True)
            (kept / "shown" / f"{name}.txt").write_bytes(said.stdout)


def main() -> None:
    """Make all of them, in a few minutes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path, help="a checkout of commit 9654f60")
    old = parser.parse_args().old
    with tempfile.TemporaryDirectory() as scratch:
        maker = Maker(old, Path(scratch))
        made = {preset: maker.make(preset, preset, settings) for preset, settings in PRESETS.items()}
        maker.make("badnets-fine-tuning", "badnets", {}, "--defense", "fine-tuning")
        maker.make("stopped", "badnets", {"teacher.training.epochs": 50}, stop="teacher")
        maker.make("failed", "badnets", DIVERGING)
        for file in FILES.values():
            shutil.copyfile(made["badnets"] / "checkpoints" / file, Path(scratch) / file)
        maker.make("files", "badnets", FILES)


if __name__ == "__main__":
    main()
