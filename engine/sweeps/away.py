"""Cells on workers that see no folder of ours: a run's folder goes there and comes back whole, as bytes.

Free of torch until a cell is begun.
"""

from __future__ import annotations

import io
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from engine.sweeps.layout import RUNS
from engine.sweeps.working import carry_out


def carry_out_away(text: str, cell: str, begun: bytes | None, *, typed: bool = False) -> dict[str, Any]:
    """As `carry_out`, in a folder of the worker's own.

    Args:
        text: the cell's complete configuration, in YAML.
        cell: its id.
        begun: its run's folder as far as it came elsewhere, packed; None = there is none.
        typed: as `carry_out` has it.

    Returns:
        What `carry_out` returns, and `packed`, the run's folder; None where there is none.
    """
    with tempfile.TemporaryDirectory(prefix="nadtui-sweep-") as root:
        if begun is not None:
            unpack(begun, Path(root) / RUNS)
        told = carry_out(text, root, cell, shares=False, typed=typed)
        run = Path(root) / RUNS / cell
        return {**told, "packed": pack(run) if run.is_dir() else None}


def pack(run: Path) -> bytes:
    """A run's folder in an archive, under its name."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(run, arcname=run.name)
    return content.getvalue()


def unpack(packed: bytes, runs: Path) -> None:
    """Put a packed folder among the runs, in the place of what is there of it.

    Raises:
        OSError: it cannot be written.
    """
    runs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=runs) as hidden:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(hidden, filter="data")
        for run in Path(hidden).iterdir():
            shutil.rmtree(runs / run.name, ignore_errors=True)
            run.rename(runs / run.name)
