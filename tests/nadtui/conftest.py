"""Runs to list, to compare and to export."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from nadtui.runs.digest import Report
from nadtui.runs.loading import load
from tests import run_folders
from tests.scripted_run import record, whole_run


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    root = tmp_path / "runs"
    return [
        run_folders.write(root, "20260101-120000-sig-signs-s0", preset="sig", asr=2.0),
        run_folders.write(root, "20260101-120100-sig-signs-s1", preset="sig", seed=1, asr=4.0),
        run_folders.write(root, "20260101-120200-badnets-signs-s0", asr=1.0),
        run_folders.write(root, "20260101-120300-blend-signs-s0", preset="blend", end="failed"),
    ]


@pytest.fixture
def reports(folders: list[Path]) -> list[Report]:
    return [load(str(folder), None) for folder in folders]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    now = time.time()
    run_folders.write(root, "20260101-120000-badnets-signs-s0", start=now - 4_000)
    run_folders.write(root, "20260101-120100-sig-signs-s0", preset="sig", start=now - 3_000, asr=3.0)
    run_folders.write(root, "20260101-120200-sig-signs-s1", preset="sig", seed=1, start=now - 2_000, asr=5.0)
    run_folders.write(root, "20260101-120300-blend-signs-s0", preset="blend", end="failed", start=now - 1_000)
    return root


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return load(str(record(tmp_path / "runs", whole_run(), summary=True)), None)


@pytest.fixture
def sig_report(tmp_path: Path) -> Report:
    """A run with the maps of one sample."""
    return load(str(run_folders.write(tmp_path, "20260101-120000-sig-signs-s0", preset="sig")), None)
