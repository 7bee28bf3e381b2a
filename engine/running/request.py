"""What is asked of a run. Free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.config.run import RunConfig


@dataclass(frozen=True)
class RunRequest:
    """What to run, and where to keep it."""

    config: RunConfig
    out: Path
    """The folder of run folders."""
    name: str | None = None
    """What a new run's folder is called; None = by the time."""
    resume: Path | None = None
    """A run folder to go on with, instead of a new one; `config` is the one it holds, less what `changed` says."""
    cache: bool = True
    """Whether a cached suspect may stand in for training one."""
    store: Path | None = None
    """A folder of artifacts in which trained suspects are looked for first, and kept: several runs share it."""
    typed_model: bool = False
    """Whether a person typed the network's file for this very run: only then is it executed."""
    changed: Mapping[str, Any] = field(default_factory=dict)
    """On a resume: the fields, by dotted name, in which `config` differs from the one that was recorded."""
