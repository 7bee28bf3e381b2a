"""A tiny headless run in a process of its own, from whatever folder holds the code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

FEW = {
    "precision": "fp32",
    "threads": 1,
    "data": {"name": "signs", "size": 16, "train_images": 200, "test_images": 60, "clean_fraction": 0.2},
    "model": {"name": "wrn-10-1"},
    "attack": {"name": "badnets"},
    "training": {"epochs": 1, "batch_size": 64},
    "evaluation": {"images": 20, "samples": 1},
}
"""A configuration of 200 signs and a single epoch."""


def nadtui(*arguments: str, path: list[Path], folder: Path) -> subprocess.CompletedProcess[str]:
    """The command, carried out in `folder` with `path` before all else that Python searches."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "nadtui", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def run(config: Mapping[str, Any], *options: str, path: list[Path], folder: Path) -> dict[str, Any]:
    """The summary of a headless run of that configuration."""
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(dict(config)))
    arguments = ("run", "--headless", "--json", "--config", str(file), "--out", str(folder / "runs"), *options)
    done = nadtui(*arguments, path=path, folder=folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
