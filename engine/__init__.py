"""nadtui's engine: attacks, defenses and the pipeline that runs them, usable as a library.

``for event in engine.run(config): ...`` runs a job in the calling thread; `engine.running.job.Job` runs it in
the background. Importing this package, its configuration and its events loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.running.pipeline import run

__all__ = ["run"]


def __getattr__(name: str) -> object:
    """Resolve `run` on first use: it needs torch, which takes a second to import."""
    if name == "run":
        from engine.running.pipeline import run

        return run
    raise AttributeError(f"module 'engine' has no attribute {name!r}")
